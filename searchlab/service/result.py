"""What a sweep gave."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from searchlab.metrics import Goal
from searchlab.service import pictures
from searchlab.service.records import TrialRecord
from searchlab.service.winner import Winner

if TYPE_CHECKING:
    from searchlab.tracking.figures import Figure


@dataclass(frozen=True)
class Result:
    """A finished sweep: every trial, the winner and where everything lies. Seconds are by phase."""

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

    @property
    def best(self) -> TrialRecord | None:
        """The trial that won; None when every trial failed."""
        return self.winner.trial if self.winner else None

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

    def boxes(self, parameter: str) -> Figure:
        """A picture: a box of scores for each value of a parameter ("optimizer", "lr"); a notebook shows it."""
        return pictures.boxes(self.trials, parameter, self.metric, self.goal)

    def plain(self) -> dict[str, Any]:
        """The result as JSON values."""
        counts = {word: self.count(state) for word, state in _COUNTED.items()}
        best = self.best.plain() if self.best else None
        if best and self.winner:
            best = {k: best[k] for k in ("trial", "score", "std", "folds", "epoch", "params")}
            best |= {"test": self.winner.test_score, "test_float16": self.winner.artifact_score}
        return {
            "sweep": self.sweep,
            "state": self.state,
            "trials": {"asked": self.asked, **counts},
            "best": best,
            "seconds": {phase: round(seconds, 3) for phase, seconds in self.seconds.items()},
            "artifact": str(self.artifact) if self.artifact else None,
            "report": None,
            "tracking_uri": self.tracking_uri,
            "run_id": self.run_id,
        }


_COUNTED = {"complete": "COMPLETE", "pruned": "PRUNED", "failed": "FAIL"}
