"""The sweeps of a home and how each one stands, for whoever asks while they run or after."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from searchlab.monitor.tally import Tally, tally, tally_of
from searchlab.runs.config import RunConfig
from searchlab.runs.file_lock import lock_holder_pid
from searchlab.runs.workspace import SweepFolder, Workspace

SweepState = Literal["running", "finished", "failed", "interrupted"]


@dataclass(frozen=True)
class SweepStatus:
    """One sweep: how it stands, how its trials ended, and the best score so far with the trial that reached it."""

    sweep: str
    state: SweepState
    asked: int
    complete: int
    pruned: int
    failed: int
    infeasible: int
    best: float | None
    trial: int | None
    created: float

    def plain(self) -> dict[str, Any]:
        """The overview as JSON values."""
        return asdict(self)


def all_statuses(home: Workspace) -> list[SweepStatus]:
    """Every sweep of the home, oldest first."""
    return [status_of(folder) for folder in home.sweeps()]


def status_of(folder: SweepFolder) -> SweepStatus:
    """One sweep; raises UserMistake when there is none in the folder."""
    order, driven = (
        RunConfig.of(folder),
        lock_holder_pid(folder.lock) is not None,
    )  # in this order: when it is free, all is stored
    counted = _count(folder, order)
    value, number = counted.best or (None, None)
    return SweepStatus(
        sweep=order.name,
        state="running" if driven else final_state(folder, order.trials, counted.ended),
        asked=order.trials,
        complete=counted.complete,
        pruned=counted.pruned,
        failed=counted.failed,
        infeasible=counted.infeasible,
        best=value,
        trial=number,
        created=order.created,
    )


def _count(folder: SweepFolder, order: RunConfig) -> Tally:
    goal = order.goal
    if order.storage is None:
        return tally(folder.study, goal)
    from searchlab.study.reading import peek  # here alone: it takes a second, and few sweeps have a database

    return tally_of(peek(order.storage, order.name), goal)


def final_state(folder: SweepFolder, asked: int, ended: int) -> SweepState:
    """How a sweep stands that nobody drives and of whose trials so many have ended.

    A result that is of other trials than there are now was written before the sweep was gone on with.
    """
    result = folder.read("result")
    if result is None or (asked, ended) != _told(result["trials"]):
        return "interrupted"
    return "finished" if result["state"] == "FINISHED" else "failed"


def _told(trials: dict[str, int]) -> tuple[int, int]:
    """How many trials a result was asked for, and how many had ended."""
    return trials["asked"], sum(count for state, count in trials.items() if state != "asked")
