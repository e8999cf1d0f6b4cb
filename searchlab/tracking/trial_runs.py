"""The run of a trial in MLflow: what the store has of it, and what is to be written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from mlflow.entities import Metric
from mlflow.entities import Run as MlflowRun

# only a failure is shown in red: a trial that was pruned, or is infeasible, has ended as it should
STATUS = {"COMPLETE": "FINISHED", "PRUNED": "FINISHED", "FAIL": "FAILED", "INFEASIBLE": "FINISHED"}
STATE_TAG = {"COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed", "INFEASIBLE": "infeasible"}


@dataclass
class TrialRun:
    """A trial's run as the store has it; `points` are the metrics there, by name and step."""

    id: str
    name: str
    done: bool = False
    running: bool = True
    keys: Sequence[str] = ()  # metrics of a run that existed before, whose points are not looked up yet
    points: set[tuple[str, int]] = field(default_factory=set)

    @classmethod
    def of_stored(cls, stored: MlflowRun) -> TrialRun:
        """Return the run that a search of the store has found."""
        running = stored.info.status == "RUNNING"
        done = not running and "searchlab.state" in stored.data.tags
        keys = () if done else tuple(stored.data.metrics)
        return cls(stored.info.run_id, stored.info.run_name or "", done, running, keys)


@dataclass
class PendingWrite:
    """What is to be written about a trial."""

    began: int  # milliseconds since 1970, as all times of MLflow
    params: dict[str, str] = field(default_factory=dict)
    points: dict[tuple[str, int], Metric] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    traceback: str | None = None
    end: tuple[str, int] | None = None
    score: float | None = None
