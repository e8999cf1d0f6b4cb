"""The memory of a sweep's trials, from the smallest structure of its space to the largest."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from searchlab.data.download import no_downloads
from searchlab.data.loaded import LoadedDataset
from searchlab.engine.memory_limits import available_cores, memory_per_worker
from searchlab.errors import UserMistake, WorldFault
from searchlab.fusion.corner_points import corner_point
from searchlab.fusion.memory import MemoryModel, MemoryNeed
from searchlab.fusion.trial_check import validate_trials
from searchlab.space.byte_size import format_bytes
from searchlab.space.sweep import Sweep
from searchlab.tracebacks import error_sentence


@dataclass(frozen=True)
class MemoryRange:
    """The memory of the smallest and of the largest structure of a space, and the memory of a worker.

    Attributes:
        smallest: Memory of the structure that takes least; None where it is not known.
        largest: Memory of the structure that takes most; None where it is not known.
        largest_name: Open arguments of the largest structure as text.
        folds: Number of folds of a trial.
        data_bytes: Bytes of the training rows.
        worker_bytes: Bytes that a worker has; None where it is not known.
        unavailable_reason: Why the memory is not known; empty where it is.
    """

    smallest: MemoryNeed | None = None
    largest: MemoryNeed | None = None
    largest_name: str = ""
    folds: int = 1
    data_bytes: int = 0
    worker_bytes: int | None = None
    unavailable_reason: str = ""

    @property
    def summary(self) -> str:
        """The memory in one or two lines of text."""
        if not self.smallest or not self.largest:
            return f"memory: not known, {self.unavailable_reason}"
        low, high = self.smallest, self.largest
        replica = _format_range(format_bytes(low.replica_bytes), format_bytes(high.replica_bytes))
        parameters = _format_range(f"{low.parameter_count:,}", f"{high.parameter_count:,}")
        text = f"memory: {replica} per replica, with {parameters} parameters"
        text += f"; the largest is {self.largest_name}" if self.largest_name and low != high else ""
        return text + (f"\n{self._fit_text()}" if self.worker_bytes is not None else "")

    def to_json(self) -> dict[str, Any]:
        """Return the facts as JSON values."""
        return {
            "smallest": self.smallest and asdict(self.smallest),
            "largest": self.largest and asdict(self.largest),
            "data_bytes": self.data_bytes,
            "worker_bytes": self.worker_bytes,
            "max_trials": self._max_trials(),
            "unavailable_reason": self.unavailable_reason or None,
        }

    def _max_trials(self) -> int | None:
        """Return how many trials of the largest structure a worker can train side by side."""
        if not self.largest or self.worker_bytes is None:
            return None
        return self.largest.max_trials(self.worker_bytes - self.data_bytes, self.folds)

    def _fit_text(self) -> str:
        trials, worker = self._max_trials(), format_bytes(self.worker_bytes or 0)
        data = f" together with {format_bytes(self.data_bytes)} of data" if self.data_bytes else ""
        if not trials:
            return f"a trial of the largest structure does not fit{data} into the {worker} of a worker and will fail"
        noun = (
            "1 trial of the largest structure fits"
            if trials == 1
            else f"{trials:,} trials of the largest structure fit"
        )
        return f"{noun}{data} into the {worker} of a worker"


def measure_memory_range(sweep: Sweep) -> MemoryRange:
    """Return the memory range, measured on the sweep's data where they need no download; one CPU worker per core.

    Raises UserMistake where a trial of one of the space's options cannot be trained.
    """
    try:
        with no_downloads():
            data = sweep.data.training()
    except (WorldFault, UserMistake) as error:
        return MemoryRange(unavailable_reason=str(error))
    except Exception as error:  # raised by a data set that the user wrote
        return MemoryRange(unavailable_reason=error_sentence(error))
    validate_trials(sweep, data)
    return _measure(sweep, data)


def _measure(sweep: Sweep, data: LoadedDataset) -> MemoryRange:
    try:
        memory = MemoryModel(sweep, data)
        smallest, largest = (
            corner_point(sweep, largest=is_largest, cost=lambda point: memory.measure(point).replica_bytes)
            for is_largest in (False, True)
        )
        needs = memory.measure(smallest), memory.measure(largest)
    except (WorldFault, UserMistake) as error:
        return MemoryRange(unavailable_reason=str(error))
    except Exception as error:  # raised by a part that the user wrote
        return MemoryRange(unavailable_reason=error_sentence(error))
    return MemoryRange(
        *needs,
        largest_name=memory.structure_name(largest),
        folds=memory.folds,
        data_bytes=memory.data_bytes,
        worker_bytes=memory_per_worker("cpu", available_cores()),
    )


def _format_range(low: str, high: str) -> str:
    return low if low == high else f"{low} to {high}"
