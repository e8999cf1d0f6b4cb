"""The sweeps of a home and how each one stands, for whoever asks while they run or after."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from searchlab.service.home import Home, SweepFolder, holder
from searchlab.service.order import Order
from searchlab.service.records import TrialRecord, ended, ranked
from searchlab.service.study import peek

Standing = Literal["running", "finished", "failed", "interrupted"]


@dataclass(frozen=True)
class Overview:
    """One sweep: how it stands, how its trials ended, and the best score so far with the trial that reached it."""

    sweep: str
    state: Standing
    asked: int
    complete: int
    pruned: int
    failed: int
    best: float | None
    trial: int | None
    created: float

    def plain(self) -> dict[str, Any]:
        """The overview as JSON values."""
        return asdict(self)


def overviews(home: Home) -> list[Overview]:
    """Every sweep of the home, oldest first."""
    return [_overview(folder) for folder in home.sweeps()]


def _overview(folder: SweepFolder) -> Overview:
    order = Order.of(folder)
    trials = peek(order.storage or folder.study, order.name)
    best = next(iter(ranked(trials, order.description["metric"].get("goal", "max"))), None)
    complete, pruned, failed = (
        sum(trial.state == state for trial in trials) for state in ("COMPLETE", "PRUNED", "FAIL")
    )
    standing = _standing(folder, order, trials)
    return Overview(
        sweep=order.name,
        state=standing,
        asked=order.trials,
        complete=complete,
        pruned=pruned,
        failed=failed,
        best=best.value if best else None,
        trial=best.number if best else None,
        created=order.created,
    )


def _standing(folder: SweepFolder, order: Order, trials: list[TrialRecord]) -> Standing:
    if holder(folder.lock) is not None:
        return "running"
    result = folder.read("result")
    if result is None or len(ended(trials)) < order.trials:
        return "interrupted"
    return "finished" if result["state"] == "FINISHED" else "failed"
