"""The state of a sweep at one moment as plain values: what `searchlab watch` shows, prints as JSON, and reads again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from searchlab.monitor.reasons import ReasonCount

if TYPE_CHECKING:  # watching needs no NumPy
    from searchlab.metrics import Goal
    from searchlab.space.domains import Scalar

SweepState: TypeAlias = Literal["running", "finished", "failed", "interrupted", "unreadable"]
SnapshotState: TypeAlias = Literal["starting"] | SweepState
FINAL_STATES: tuple[SnapshotState, ...] = ("finished", "failed", "interrupted")  # no process is running the sweep


@dataclass(frozen=True)
class TopTrial:
    """One of the best trials.

    Attributes:
        trial: Number of the trial.
        score: Mean over folds at the best epoch.
        std: Standard deviation over folds at that epoch, None where it is not known.
        epoch: The best epoch, from 1.
        params: Parameters by path.
    """

    trial: int
    score: float
    std: float | None
    epoch: int | None
    params: Mapping[str, Scalar]


@dataclass(frozen=True)
class Snapshot:
    """A sweep at one moment. Two snapshots are equal if they differ only in times.

    Attributes:
        sweep: Name of the sweep.
        state: Whether it is starting, running, finished, failed (without a winner) or interrupted.
        requested: Number of trials requested.
        complete: Number of complete trials; `pruned`, `failed` and `infeasible` count the others that have ended.
        unfinished: Number of trials that have started and not ended.
        metric: Name of the primary metric.
        goal: Its direction, "max" or "min".
        top: The best complete trials, the best first.
        failures: The most frequent reasons of failed and infeasible trials.
        over: Which limit of the budget ended the search; None where all trials were run.
        seconds: Duration of the latest run so far.
        trials_per_second: How many trials per second end in that run; None before the first has ended.
        seconds_left: Estimate of the time until all requested trials have ended.
    """

    sweep: str
    state: SnapshotState
    requested: int = 0
    complete: int = 0
    pruned: int = 0
    failed: int = 0
    infeasible: int = 0
    unfinished: int = 0
    metric: str = "score"
    goal: Goal = "max"
    top: tuple[TopTrial, ...] = ()
    failures: tuple[ReasonCount, ...] = ()
    over: str | None = None
    seconds: float = field(default=0.0, compare=False)
    trials_per_second: float | None = field(default=None, compare=False)
    seconds_left: float | None = field(default=None, compare=False)

    @property
    def ended(self) -> int:
        """Number of trials that have ended, without the infeasible ones, which do not count towards `requested`."""
        return self.complete + self.pruned + self.failed

    @property
    def is_search_over(self) -> bool:
        """Whether every trial has ended, so that only the winner is left to be trained."""
        return 0 < self.requested <= self.ended + self.infeasible and not self.unfinished

    @property
    def best(self) -> TopTrial | None:
        """The best trial so far."""
        return self.top[0] if self.top else None

    def to_json(self) -> dict[str, Any]:
        """Return the snapshot as JSON values; the number of requested trials is called "asked", as by every command."""
        values = asdict(self)
        best = values["top"][0] if self.top else None
        values["asked"] = values.pop("requested")
        values |= {"best": best, "top": list(values["top"]), "failures": list(values["failures"])}
        return values | {"seconds": round(self.seconds, 3)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Snapshot:
        """Return the snapshot with these JSON values; names that this version does not know are ignored.

        Raises KeyError when the values are not those of a snapshot.
        """
        arguments = {one.name: values[one.name] for one in fields(cls) if one.name in values}
        arguments |= {"sweep": values["sweep"], "state": values["state"], "requested": values.get("asked", 0)}
        arguments["top"] = tuple(_from_json(TopTrial, trial) for trial in values.get("top", ()))
        arguments["failures"] = tuple(_from_json(ReasonCount, reason) for reason in values.get("failures", ()))
        return cls(**arguments)


def _from_json(kind: Any, values: Mapping[str, Any]) -> Any:
    return kind(**{one.name: values[one.name] for one in fields(kind)})
