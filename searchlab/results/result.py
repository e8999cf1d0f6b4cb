"""The result of a sweep."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from searchlab.metrics import Goal
from searchlab.reporting import search_figures
from searchlab.results.winner import Winner
from searchlab.runs.trials import State, TrialRecord, pareto

if TYPE_CHECKING:
    from searchlab.reporting.figures import Figure

ResultState: TypeAlias = Literal["FINISHED", "FAILED", "RUNNING", "INTERRUPTED"]


@dataclass(frozen=True, kw_only=True)
class Result:
    """The result of a sweep: every trial, the winner, and where everything is stored.

    Attributes:
        sweep: Name of the sweep.
        state: "FINISHED"; "FAILED", where no trial has a score; "RUNNING" or "INTERRUPTED", where it is not over.
        trials: Every trial, in the order of their numbers.
        requested: Number of trials requested.
        winner: The winner with its test scores; None while there is none.
        metric: Name of the primary metric.
        goal: Its direction, "max" or "min".
        seconds: Seconds of each phase ("start", "search", "finalists", "winner", "record") and "total"; empty while the
            sweep is not over.
        tracking_uri: URL of the MLflow store, without a password; None where no record is kept.
        run_id: Id of the sweep's MLflow run; None where no record is kept, or it is not complete.
        record_fault: Why the record in MLflow is not complete, and how to complete it; None where nothing is missing.
        figures: Paths of the figures, as PNG files.
        others: Direction of each metric after the primary one, by name.
        over: Which limit of the budget ended the search; None where all trials were run.
        report: Path of the HTML report; None while there is none.
        registered: Name and alias of the winner in MLflow's model registry, as "digits@champion"; None where it was not
            registered.

    Example:
        >>> import tempfile
        >>> from searchlab import Accuracy, Choice, Holdout, Grid, SGD, Space, Spiral, Sweep, Trainer
        >>> from models.mlp import MLP
        >>> sweep = Sweep(name="tiny", data=Spiral(points=20, classes=2), validation=Holdout(0.5), metric=Accuracy(),
        ...     model=Space(MLP, hidden=Choice(2, 4)), optimizer=Space(SGD), training=Space(Trainer, epochs=1),
        ...     sampler=Grid())
        >>> result = sweep.run(engine="local", tracking=None, home=tempfile.mkdtemp())
        >>> result.state, len(result.trials), result.best.state
        ('FINISHED', 2, 'COMPLETE')
    """

    sweep: str
    state: ResultState
    trials: tuple[TrialRecord, ...]
    requested: int
    winner: Winner | None
    metric: str
    goal: Goal
    seconds: Mapping[str, float] = field(default_factory=dict)
    tracking_uri: str | None = None
    run_id: str | None = None
    record_fault: str | None = None
    figures: tuple[Path, ...] = ()
    others: Mapping[str, Goal] = field(default_factory=dict)
    over: str | None = None
    report: Path | None = None
    registered: str | None = None

    @property
    def best(self) -> TrialRecord | None:
        """The trial that won; None where there is no winner."""
        return self.winner.trial if self.winner else None

    @property
    def front(self) -> list[TrialRecord]:
        """The Pareto front: the complete trials that no other dominates, best first in the primary metric."""
        return pareto(self.trials, (self.goal, *self.others.values()))

    @property
    def beats_baseline(self) -> bool:
        """Whether the winner is better than a prediction that ignores the inputs; True where there is none."""
        winner = self.winner
        if winner is None or winner.baseline is None:
            return True
        return winner.baseline.is_beaten_by(winner.cross_validated_score, self.goal)

    @property
    def optimism(self) -> float | None:
        """By how much the winner's score in the search is better than its score with fresh seeds; None if unknown."""
        finalist = self.winner.finalist if self.winner else None
        if finalist is None or finalist.mean is None:
            return None
        return (finalist.search_score - finalist.mean) * (1.0 if self.goal == "max" else -1.0)

    @property
    def artifact(self) -> Path | None:
        """The folder with weights.npz and manifest.json."""
        return self.winner.artifact if self.winner else None

    def count(self, state: State) -> int:
        """Return how many trials are in this state."""
        return sum(trial.state == state for trial in self.trials)

    def counts(self) -> dict[str, int]:
        """Return how many trials are complete, pruned and failed, and infeasible where there are any."""
        return {word: n for word, state in _COUNTED.items() if (n := self.count(state)) or state != "INFEASIBLE"}

    def boxes(self, parameter: str) -> Figure:
        """Return a figure with a box of scores for each value of a parameter, such as "optimizer" or "lr".

        Raises UserMistake where no trial has such a parameter.
        """
        return search_figures.box_plot(self.trials, parameter, self.metric, self.goal)

    def to_json(self) -> dict[str, Any]:
        """Return the result as JSON values, as `searchlab run --json` prints them."""
        return {
            "sweep": self.sweep,
            "state": self.state,
            "trials": {"asked": self.requested, **self.counts()},
            "over": self.over,
            "best": self._plain_winner(self.winner) if self.winner else None,
            **({"pareto": [self._plain_point(trial) for trial in self.front]} if self.others else {}),
            "seconds": {phase: round(seconds, 3) for phase, seconds in self.seconds.items()},
            "artifact": str(self.artifact) if self.artifact else None,
            "report": str(self.report) if self.report else None,
            "tracking_uri": self.tracking_uri,
            "run_id": self.run_id,
            "registered": self.registered,
            "record_fault": self.record_fault,
        }

    def _plain_winner(self, winner: Winner) -> dict[str, Any]:
        whole, tested, halved = winner.trial.to_json(), winner.test_scores, winner.artifact_scores
        best = {k: whole[k] for k in ("trial", "score", "std", "folds", "epoch", "params")}
        best |= {"test": winner.test_score, "test_float16": winner.artifact_score}
        best |= {"test_look": winner.test_look}
        if winner.networks > 1:
            best |= {"networks": winner.networks, "network_tests": list(winner.network_scores)}
        if winner.learning_rate_factors:
            best |= {"learning_rate_factors": list(winner.learning_rate_factors)}
        if winner.baseline:
            best |= {"baseline": asdict(winner.baseline), "beats_baseline": self.beats_baseline}
        if winner.finalists:
            best |= {"finalists": [finalist.to_json() for finalist in winner.finalists]}
        if winner.finalist:
            best |= {"reseeded": winner.finalist.mean, "optimism": self.optimism}
        values = dict(zip(self.others, winner.trial.values[1:], strict=True))
        others = {n: {"score": v, "test": tested.get(n), "test_float16": halved.get(n)} for n, v in values.items()}
        return best | ({"others": others} if others else {})

    def _plain_point(self, trial: TrialRecord) -> dict[str, Any]:
        scores = dict(zip((self.metric, *self.others), trial.values, strict=True))
        return {"trial": trial.number, "scores": scores, "params": dict(trial.parameters)}


_COUNTED: Mapping[str, State] = {
    "complete": "COMPLETE",
    "pruned": "PRUNED",
    "failed": "FAIL",
    "infeasible": "INFEASIBLE",
}
