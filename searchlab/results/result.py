"""What a sweep gave."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from searchlab.metrics import Goal
from searchlab.reporting import search_figures
from searchlab.results.winner import Winner
from searchlab.runs.trials import TrialRecord, pareto

if TYPE_CHECKING:
    from searchlab.reporting.figures import Figure


@dataclass(frozen=True)
class Result:
    """A finished sweep: every trial, the winner and where everything lies. Seconds are by phase.

    `metric` and `goal` are the primary metric's; `others` has the goals of the further ones by name.
    `over` says what ended the search before its trials were used up, where something did. `report` is a page of HTML.
    """

    sweep: str
    trials: tuple[TrialRecord, ...]
    asked: int
    winner: Winner | None
    metric: str
    goal: Goal
    seconds: Mapping[str, float]
    tracking_uri: str | None
    run_id: str | None
    figures: tuple[Path, ...] = ()
    others: Mapping[str, Goal] = field(default_factory=dict)
    over: str | None = None
    report: Path | None = None

    @property
    def best(self) -> TrialRecord | None:
        """The trial that won; None when every trial failed."""
        return self.winner.trial if self.winner else None

    @property
    def front(self) -> list[TrialRecord]:
        """The Pareto front, best first in the primary metric: no other trial beats these in all respects."""
        return pareto(self.trials, (self.goal, *self.others.values()))

    @property
    def artifact(self) -> Path | None:
        """The folder with weights.npz and manifest.json."""
        return self.winner.artifact if self.winner else None

    @property
    def state(self) -> str:
        """FINISHED, or FAILED when no trial came to an end with a score."""
        return "FINISHED" if self.winner else "FAILED"

    def count(self, state: str) -> int:
        """How many trials ended in this state."""
        return sum(trial.state == state for trial in self.trials)

    def counts(self) -> dict[str, int]:
        """How many trials are complete, pruned and failed; infeasible ones are told where there are any."""
        return {word: n for word, state in _COUNTED.items() if (n := self.count(state)) or state != "INFEASIBLE"}

    def boxes(self, parameter: str) -> Figure:
        """A picture: a box of scores for each value of a parameter ("optimizer", "lr"); a notebook shows it."""
        return search_figures.boxes(self.trials, parameter, self.metric, self.goal)

    def plain(self) -> dict[str, Any]:
        """The result as JSON values."""
        return {
            "sweep": self.sweep,
            "state": self.state,
            "trials": {"asked": self.asked, **self.counts()},
            "over": self.over,
            "best": self._plain_winner(self.winner) if self.winner else None,
            **({"pareto": [self._plain_point(trial) for trial in self.front]} if self.others else {}),
            "seconds": {phase: round(seconds, 3) for phase, seconds in self.seconds.items()},
            "artifact": str(self.artifact) if self.artifact else None,
            "report": str(self.report) if self.report else None,
            "tracking_uri": self.tracking_uri,
            "run_id": self.run_id,
        }

    def _plain_winner(self, winner: Winner) -> dict[str, Any]:
        whole, tested, halved = winner.trial.plain(), winner.test_scores, winner.artifact_scores
        best = {k: whole[k] for k in ("trial", "score", "std", "folds", "epoch", "params")}
        best |= {"test": winner.test_score, "test_float16": winner.artifact_score}
        values = dict(zip(self.others, winner.trial.values[1:], strict=True))
        others = {n: {"score": v, "test": tested[n], "test_float16": halved[n]} for n, v in values.items()}
        return best | ({"others": others} if others else {})

    def _plain_point(self, trial: TrialRecord) -> dict[str, Any]:
        scores = dict(zip((self.metric, *self.others), trial.values, strict=True))
        return {"trial": trial.number, "scores": scores, "params": dict(trial.parameters)}


_COUNTED = {"complete": "COMPLETE", "pruned": "PRUNED", "failed": "FAIL", "infeasible": "INFEASIBLE"}
