"""What a space takes of memory, from its smallest to its largest structure, told before anything is run."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from searchlab.data.download import nothing_fetched
from searchlab.engine.memory_limits import cores, share
from searchlab.errors import UserMistake, WorldFault
from searchlab.fusion.corner_points import extreme
from searchlab.fusion.memory import Need, Needs
from searchlab.space.byte_size import size
from searchlab.space.sweep import Sweep


@dataclass(frozen=True)
class MemoryRange:
    """The two ends of a space and the bytes that a worker has; `unavailable_reason` says why they are not known."""

    smallest: Need | None = None
    largest: Need | None = None
    name: str = ""  # of the largest structure
    folds: int = 1
    data: int = 0
    worker: int | None = None
    unavailable_reason: str = ""

    @property
    def told(self) -> str:
        """One or two lines for people."""
        if not self.smallest or not self.largest:
            return f"memory: not known, {self.unavailable_reason}"
        low, high = self.smallest, self.largest
        told = f"memory: {_between(size(low.replica), size(high.replica))} a replica, of "
        told += f"{_between(f'{low.parameters:,}', f'{high.parameters:,}')} parameters"
        told += f"; the largest is {self.name}" if self.name and low != high else ""
        return told + (f"\n{self._fit()}" if self.worker is not None else "")

    def plain(self) -> dict[str, Any]:
        """The same as JSON values."""
        ends = {"smallest": self.smallest, "largest": self.largest}
        known = {name: need and asdict(need) for name, need in ends.items()}
        fit = {"data": self.data, "worker": self.worker, "fit": self._trials()}
        return known | fit | {"unavailable_reason": self.unavailable_reason or None}

    def _trials(self) -> int | None:
        """How many trials of the largest structure a worker can train side by side."""
        if not self.largest or self.worker is None:
            return None
        return self.largest.most(self.worker - self.data, self.folds)

    def _fit(self) -> str:
        trials, room = self._trials(), size(self.worker or 0)
        data = f" beside {size(self.data)} of data" if self.data else ""
        if not trials:
            return f"Not one trial of the largest fits{data} into the {room} of a worker: such a trial will fail."
        one = trials == 1
        return f"{trials:,} trial{'' if one else 's'} of the largest fit{'s' if one else ''}{data} in {room} a worker."


def memory_of(sweep: Sweep) -> MemoryRange:
    """Measured on the sweep's data where they are at hand: nothing is fetched for it. One worker per core, no GPU."""
    try:
        with nothing_fetched():
            needs = Needs(sweep, sweep.data.training())
        ends = [extreme(sweep, largest=large, weigh=lambda one: needs.of(one).replica) for large in (False, True)]
        smallest, largest = (needs.of(point) for point in ends)
    except (WorldFault, UserMistake) as error:
        return MemoryRange(unavailable_reason=str(error))
    except Exception as error:  # of a part that the user wrote
        return MemoryRange(unavailable_reason=f"{type(error).__name__}: {error}")
    worker = share("cpu", cores())
    return MemoryRange(smallest, largest, needs.named(ends[1]), needs.folds, needs.data, worker)


def _between(low: str, high: str) -> str:
    return low if low == high else f"{low} to {high}"
