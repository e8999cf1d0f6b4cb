"""How a sweep stands at a moment, in plain values: what `searchlab watch` draws, sends as JSON, and reads elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from searchlab.monitor.status import SweepState

if TYPE_CHECKING:  # a watcher needs no NumPy
    from searchlab.metrics import Goal
    from searchlab.space.domains import Scalar

Stage: TypeAlias = Literal["starting"] | SweepState
OVER: tuple[Stage, ...] = ("finished", "failed", "interrupted")  # nothing drives it


@dataclass(frozen=True)
class Leader:
    """One of the best trials: its score, the spread over folds at its best epoch, that epoch, and its parameters."""

    trial: int
    score: float
    std: float | None
    epoch: int | None
    params: Mapping[str, Scalar]


@dataclass(frozen=True)
class FailureSummary:
    """Why trials failed or were infeasible: the reason of the first, and how many had one that differs in numbers."""

    state: Literal["failed", "infeasible"]
    reason: str
    count: int
    first: int


@dataclass(frozen=True)
class Snapshot:
    """A sweep at a moment. `open` trials are begun and not ended; `top` has the best complete ones, the best first.

    `seconds` is how long its latest run has taken, `rate` how many trials end in a second of it, and `left` roughly
    how many seconds remain: that these three have moved on makes no snapshot another. `over` says what ended the search
    before its trials were used up.
    """

    sweep: str
    state: Stage
    asked: int = 0
    complete: int = 0
    pruned: int = 0
    failed: int = 0
    infeasible: int = 0
    open: int = 0
    metric: str = "score"
    goal: Goal = "max"
    top: tuple[Leader, ...] = ()
    mishaps: tuple[FailureSummary, ...] = ()
    over: str | None = None
    seconds: float = field(default=0.0, compare=False)
    rate: float | None = field(default=None, compare=False)
    left: float | None = field(default=None, compare=False)

    @property
    def ended(self) -> int:
        """How many trials have ended; infeasible ones were not asked for."""
        return self.complete + self.pruned + self.failed

    @property
    def searched(self) -> bool:
        """Whether the search is through, and what remains is the winner."""
        return 0 < self.asked <= self.ended + self.infeasible and not self.open

    @property
    def best(self) -> Leader | None:
        """The best trial so far."""
        return self.top[0] if self.top else None

    def plain(self) -> dict[str, Any]:
        """The snapshot as JSON values."""
        values = asdict(self)
        best = {name: values["top"][0][name] for name in ("trial", "score", "std", "params")} if self.top else None
        rounded = {"seconds": round(self.seconds, 3)}
        return {**values, "best": best, "top": list(values["top"]), "mishaps": list(values["mishaps"]), **rounded}

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> Snapshot:
        """The snapshot that `plain` made these values of, as they come back from JSON; what it does not know it leaves.

        Raises KeyError when they are none of a snapshot.
        """
        known = {one.name: plain[one.name] for one in fields(cls) if one.name in plain}
        known |= {"sweep": plain["sweep"], "state": plain["state"]}
        known["top"] = tuple(_known(Leader, values) for values in plain.get("top", ()))
        known["mishaps"] = tuple(_known(FailureSummary, values) for values in plain.get("mishaps", ()))
        return cls(**known)


def _known(kind: Any, values: Mapping[str, Any]) -> Any:
    return kind(**{one.name: values[one.name] for one in fields(kind)})
