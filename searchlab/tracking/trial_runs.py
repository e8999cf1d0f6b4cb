"""The run of a trial in MLflow: what the store has of it, and what is to be written."""

from __future__ import annotations

import getpass
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from mlflow.entities import Metric
from mlflow.entities import Run as MlflowRun

from searchlab.space.metric_names import record_key

# only a failure is shown in red: a trial that was pruned, or is infeasible, has ended as it should
STATUS = {"COMPLETE": "FINISHED", "PRUNED": "FINISHED", "FAIL": "FAILED", "INFEASIBLE": "FINISHED"}
STATE_TAG = {"COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed", "INFEASIBLE": "infeasible"}
MAX_TAG_LETTERS, MAX_PARAM_LETTERS = 8000, 6000  # what MLflow takes


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

    def add(self, points: Mapping[tuple[str, int], Metric]) -> None:
        """Add points, by name and step; one that is there already stays."""
        for point, metric in points.items():
            self.points.setdefault(point, metric)


def valid_params(params: Mapping[str, str]) -> dict[str, str]:
    """Return parameters with the names and the lengths that MLflow takes."""
    return {record_key(name): str(value)[:MAX_PARAM_LETTERS] for name, value in params.items()}


def valid_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """Return tags with the names and the lengths that MLflow takes."""
    return {record_key(name): str(value)[:MAX_TAG_LETTERS] for name, value in tags.items()}


def user() -> str:
    """Return the name of this user, "unknown" in a container without an account for them."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"
