"""The result of a sweep."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

from searchlab.errors import UserMistake
from searchlab.metrics import Goal
from searchlab.numeric_types import is_whole_number
from searchlab.reporting.result_html import render_result
from searchlab.results.result_figures import ResultFigures
from searchlab.results.result_json import result_json
from searchlab.results.result_text import headline, result_facts, result_text
from searchlab.results.trial_frames import curve_frame, importance_series, trial_frame
from searchlab.results.winner import Winner
from searchlab.runs.trials import State, TrialRecord, pareto, ranked

if TYPE_CHECKING:
    import pandas as pd

    from searchlab.space.sweep import Sweep

ResultState: TypeAlias = Literal["FINISHED", "FAILED", "RUNNING", "INTERRUPTED"]


@dataclass(frozen=True, kw_only=True, repr=False)
class Result(ResultFigures):
    """The result of a sweep: every trial, the winner, and where everything is stored.

    It prints itself in at most 12 lines. A notebook shows it with the winner, a table of the best trials, and the curve
    of the best score so far.

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
        home: The home folder, which holds the sweep; None where the result was made otherwise.
        definition: The sweep itself, where it was run by this process; otherwise its file holds it.

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
        >>> result.frame()["model.hidden"].tolist()
        [2, 4]
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
    home: Path | None = None
    definition: Sweep | None = field(default=None, compare=False)

    def __repr__(self) -> str:
        return result_text(self)

    def _repr_html_(self) -> str:
        """Return the result as HTML, which a notebook shows."""
        best = self.front if self.others else ranked(self.trials, self.goal)
        return render_result(headline(self), result_facts(self), best, self.trials, self.goals)

    @property
    def goals(self) -> dict[str, Goal]:
        """The direction of each metric by name, the primary one first."""
        return {self.metric: self.goal, **self.others}

    @property
    def best(self) -> TrialRecord | None:
        """The trial that won; None where there is no winner."""
        return self.winner.trial if self.winner else None

    @property
    def front(self) -> list[TrialRecord]:
        """The Pareto front: the complete trials that no other dominates, best first in the primary metric."""
        return pareto(self.trials, list(self.goals.values()))

    @property
    def beats_baseline(self) -> bool:
        """Whether the winner is better than a prediction that ignores the inputs; True where there is none."""
        winner = self.winner
        if winner is None or winner.baseline is None:
            return True
        return winner.baseline.is_beaten_by(winner.cross_validated_score, self.goal)

    @property
    def optimism(self) -> float | None:
        """By how much the winner's score in the search beats that of fresh seeds, below 0 if worse; None if unknown."""
        finalist = self.winner.finalist if self.winner else None
        if finalist is None or finalist.mean is None:
            return None
        return (finalist.search_score - finalist.mean) * (1.0 if self.goal == "max" else -1.0)

    @property
    def artifact(self) -> Path | None:
        """The folder with weights.npz and manifest.json."""
        return self.winner.artifact if self.winner else None

    def count(self, state: str) -> int:
        """Return how many trials are in a state.

        Args:
            state: A trial's `state`, such as "COMPLETE" or "RUNNING", or the word of `counts()`, such as "complete".

        Raises:
            UserMistake: When there is no such state.
        """
        wanted, states = _COUNTED.get(state, state), get_args(State)
        if wanted not in states:
            names = ", ".join([*_COUNTED, *states])
            raise UserMistake(f"count takes the state of trials, one of {names}; got {state!r}.")
        return sum(trial.state == wanted for trial in self.trials)

    def counts(self) -> dict[str, int]:
        """Return how many trials are complete, pruned and failed, and infeasible where there are any."""
        return {word: n for word, state in _COUNTED.items() if (n := self.count(state)) or state != "INFEASIBLE"}

    def frame(self) -> pd.DataFrame:
        """Return a pandas frame with one row per trial, the complete trials first, the best of them on top.

        Returns:
            Columns "rank" (of a complete trial, from 1), "trial" and "state"; a column for each parameter by its path,
            with its type, where NA means that the trial has no such parameter; "mean" and "std" over the folds and
            "folds" (a list) of the primary metric at the best epoch; the mean of each other metric by its name;
            "epoch" (the best one, from 1), "seconds" (training time) and "reason" (why the trial was pruned, failed or
            is infeasible).

        Raises:
            UserMistake: When pandas is not installed.
        """
        ranks = {trial.number: rank for rank, trial in enumerate(ranked(self.trials, self.goal), start=1)}
        return trial_frame(self.trials, ranks, list(self.others))

    def curves(self) -> pd.DataFrame:
        """Return a pandas frame of all learning curves in the long form, with one row per trial, epoch and fold.

        Returns:
            Columns "trial", "epoch" (from 1), "fold" (from 0), "score" (the primary metric on the held-out rows),
            "loss" (mean training loss), "held_out_loss", "training_score" (the primary metric on a sample of the
            training rows), and each other metric by its name. What was not measured in an epoch is NaN.

        Raises:
            UserMistake: When pandas is not installed.
        """
        return curve_frame(self.trials, list(self.others))

    def importance(self) -> pd.Series:
        """Return a pandas series with the importance of each parameter by its path, the most important first.

        It is computed by Optuna's PED-ANOVA over the complete and the pruned trials, which are compared at equal
        epochs.

        Returns:
            Shares that add up to 1; empty where there are too few trials. Its `attrs` hold the "evaluator", the
            "epoch" at which the trials are compared, the number of "trials" and of those that count as the "best", and
            the "reason" where there is no importance.

        Raises:
            UserMistake: When pandas is not installed.
        """
        from searchlab.study.importance import parameter_importance

        return importance_series(parameter_importance(self.trials, self.goal))

    def resume(
        self,
        *,
        trials: int | str | None = None,
        seconds: float | None = None,
        sweep: Sweep | None = None,
        address: str | None = None,
        storage: str | None = None,
        tracking_uri: str | None = None,
        changed_code: bool = False,
        look_again: bool = False,
        register: str | None = None,
        progress: bool = True,
    ) -> Result:
        """Continue the sweep where it was interrupted, or add trials to it, and return the new result.

        Args:
            trials: Number of trials to add, as in `resume(trials=+20)`; default: none. It is how many there are in all
                for `searchlab.resume` and the command line, which know no result to add to.
            seconds: Time budget of the search in seconds, all runs together; default: as before.
            sweep: The sweep; default: the one that this process has run, or else its file.
            address: Address of the Ray cluster now, for a sweep that was started on one; default: as before.
            storage: URL of the study's database with its password; default: without a password.
            tracking_uri: URL of the MLflow server with its password; default: without a password.
            changed_code: Go on although the code has changed, which the record then says; default: refuse.
            look_again: Test the winner even on test rows that were opened before; default: no.
            register: Name in MLflow's model registry to register the winner by, "" for that of the sweep; default:
                as before.
            progress: Show the run: a board in a terminal, one line in a notebook; default: yes.

        Raises:
            UserMistake: When the sweep is not where it was, its code or data have changed, or `trials` is no number
                above 0.
            WorldFault: When the search had to stop early.
            SearchFailed: When no trial could be trained.
        """
        if self.home is None:
            raise UserMistake(f"this result of {self.sweep!r} has no home folder; searchlab.open gives one that has.")
        # imported here: it points up, as in `Sweep.run`
        result: Result = importlib.import_module("searchlab.runner.resume").resume(
            self.sweep,
            home=self.home,
            trials=_added(trials),
            seconds=seconds,
            sweep=sweep or self.definition,
            address=address,
            storage=storage,
            tracking_uri=tracking_uri,
            changed_code=changed_code,
            look_again=look_again,
            register=register,
            progress=progress,
        )
        return result

    def to_json(self) -> dict[str, Any]:
        """Return the result as JSON values, as `searchlab run --json` prints them."""
        return result_json(self)


def _added(trials: int | str | None) -> str | None:
    """Return a number of trials that are added as `searchlab.resume` takes it: "+20" for 20 and for "+20"."""
    if trials is None or isinstance(trials, str):
        return trials
    if not is_whole_number(trials) or trials < 1:
        raise UserMistake(f"trials is a number of trials to add, at least 1; got {trials!r}.")
    return f"+{trials}"


_COUNTED: Mapping[str, State] = {
    "complete": "COMPLETE",
    "pruned": "PRUNED",
    "failed": "FAIL",
    "infeasible": "INFEASIBLE",
}
