"""The memory that trials of one structure take, measured on a few replicas before any group is built.

There is no table of memory by layer: one replica, and a few more where a replica is small, are built, trained for a
step, scored and copied as for a checkpoint, while tracemalloc counts what NumPy allocates. Each structure is measured
once.
"""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import TypeAlias

import numpy as np

from searchlab.backend import Device
from searchlab.data.loaded import LoadedDataset
from searchlab.fit import Fit
from searchlab.fusion.groups import build_trainer
from searchlab.kernels import kernels_are_cold, loaded_kernels, use_kernels
from searchlab.space.byte_size import format_bytes
from searchlab.space.domains import ParameterValues, Scalar
from searchlab.space.kernel_choice import kernels_of
from searchlab.space.structure import structural_parameters
from searchlab.space.sweep import Sweep
from searchlab.tracebacks import as_user_mistake
from searchlab.training import Trainer
from searchlab.wording import count

SMALL_REPLICA_BYTES = 16 * 2**20  # below it, what replicas share is not negligible and is measured separately
SAMPLE_REPLICAS = 3  # replicas of that second measurement
GPU_STEP_COPIES = 2  # copies of the parameters in an optimizer step on a GPU; on a CPU it works in small blocks
MAX_LIST_ITEMS = 100  # items of a list that are searched for arrays

CostKey: TypeAlias = tuple[tuple[str, Scalar], ...]


@dataclass(frozen=True)
class MemoryNeed:
    """The memory that trials of one structure take.

    Attributes:
        parameter_count: Number of weights of one replica.
        replica_bytes: Bytes of each replica.
        shared_bytes: Bytes that do not depend on the number of replicas.
    """

    parameter_count: int
    replica_bytes: int
    shared_bytes: int = 0

    def total_bytes(self, replicas: int) -> int:
        """Return the bytes of this many replicas side by side, without the data."""
        return self.shared_bytes + replicas * self.replica_bytes

    def max_trials(self, limit: int, folds: int) -> int:
        """Return how many trials of this many folds fit side by side into a limit in bytes."""
        return max(0, (limit - self.shared_bytes) // (folds * self.replica_bytes))


class MemoryModel:
    """The memory needs of the structures of one sweep on these training rows, which lie on the host.

    Attributes:
        folds: Number of folds of a trial.
        data_bytes: Bytes of the rows and of their split.
    """

    def __init__(self, sweep: Sweep, data: LoadedDataset, device: Device = "cpu") -> None:
        self.sweep, self.device, self._data = sweep, device, data
        with as_user_mistake("the training rows cannot be split"):
            self._split = sweep.validation.split(data)
        self.folds, self.data_bytes = self._split.folds, _array_bytes(data) + _array_bytes(self._split)
        self._upper_bounds: dict[Hashable, MemoryNeed] = {}
        self._needs: dict[Hashable, MemoryNeed] = {}

    def max_trials(self, trials: Sequence[ParameterValues], limit: int) -> int:
        """Return how many of these trials, all of one structure, fit side by side into a limit in bytes; may be 0."""
        for measure in (self.upper_bound, self.measure):  # the second takes longer and is often not necessary
            need = max((measure(parameters) for parameters in trials), key=lambda need: need.replica_bytes)
            count = need.max_trials(limit - self.data_bytes, self.folds)
            if count >= len(trials):
                break
        return min(count, len(trials))

    def measure(self, parameters: ParameterValues) -> MemoryNeed:
        """Return what replicas of this structure take."""
        bound = self.upper_bound(parameters)
        if bound.replica_bytes >= SMALL_REPLICA_BYTES:
            return bound
        return _measure_once(self._needs, self._key(parameters), lambda: self._measure_sample(parameters, bound))

    def upper_bound(self, parameters: ParameterValues) -> MemoryNeed:
        """Return an upper bound, measured on one replica: what replicas share is counted for each."""

        def measure() -> MemoryNeed:
            used, parameter_count = self._measure_peak(parameters, 1)
            return MemoryNeed(parameter_count, used)

        return _measure_once(self._upper_bounds, self._key(parameters), measure)

    def shortage_message(self, parameters: ParameterValues, limit: int) -> str:
        """Return why not even one trial of this structure fits into a limit in bytes, with the numbers."""
        need, name = self.measure(parameters), self.structure_name(parameters)
        total = format_bytes(need.total_bytes(self.folds) + self.data_bytes)
        data = f", and {format_bytes(self.data_bytes)} of data" if self.data_bytes else ""
        return (
            f"one trial{f' of {name}' if name else ''} needs {total} "
            f"({count(self.folds, 'fold')} x {format_bytes(need.replica_bytes)}{data}) "
            f"and a worker has {format_bytes(limit)}"
        )

    def structure_name(self, parameters: ParameterValues) -> str:
        """Return the open arguments of the structure as text: hidden=512, layers=2."""
        structure = structural_parameters(self.sweep, parameters)
        return ", ".join(f"{path.rpartition('.')[2]}={value}" for path, value in structure.items())

    def _measure_sample(self, parameters: ParameterValues, bound: MemoryNeed) -> MemoryNeed:
        used, parameter_count = self._measure_peak(parameters, SAMPLE_REPLICAS)
        replica_bytes = max(1, (used - bound.replica_bytes) // (SAMPLE_REPLICAS - 1))
        return MemoryNeed(parameter_count, replica_bytes, max(0, bound.replica_bytes - replica_bytes))

    def _measure_peak(self, parameters: ParameterValues, replicas: int) -> tuple[int, int]:
        """Return the peak bytes of this many replicas, and the number of weights of one.

        A pass that loads compiled kernels is repeated: their code is not memory of a replica. The first of them come
        with Numba, whose import takes four times as long where tracemalloc counts.
        """
        split = self._split[np.arange(replicas) % self.folds]
        use_kernels(kernels_of(self.sweep))
        if kernels_are_cold():
            _train_briefly(build_trainer(self.sweep, [parameters], self._data, split, 0, "cpu"))
        loaded = loaded_kernels()
        with _peak_bytes() as peak:
            trainer = build_trainer(self.sweep, [parameters], self._data, split, 0, "cpu")
            _train_briefly(trainer)
            state = trainer.state()
            packed = [array.copy() for array in state.values()]  # a checkpoint is packed before it is written
            del state, packed
        if loaded_kernels() != loaded:
            return self._measure_peak(parameters, replicas)
        copies = 0 if self.device == "cpu" else GPU_STEP_COPIES * trainer.parameters.values.nbytes
        return peak[0] + copies, trainer.parameters.count

    def _key(self, parameters: ParameterValues) -> Hashable:
        return cost_key(self.sweep, parameters)


def cost_key(sweep: Sweep, parameters: ParameterValues) -> CostKey:
    """Return a key that is equal for trials of equal memory and time: values by their paths.

    It holds the structure, and which of the other values are 0: dropout that is switched off, say, allocates nothing.
    """
    structure = structural_parameters(sweep, parameters)
    return tuple(sorted((path, structure.get(path, bool(value))) for path, value in parameters.items()))


def _measure_once(known: dict[Hashable, MemoryNeed], key: Hashable, measure: Callable[[], MemoryNeed]) -> MemoryNeed:
    if key not in known:
        known[key] = measure()
    return known[key]


def _train_briefly(trainer: Trainer) -> None:
    """Train a step, score a batch and train a step; or fit once, and score a batch.

    Each pass allocates beside what the one before left allocated.
    """
    with np.errstate(all="ignore"):
        if isinstance(trainer, Fit):
            trainer.fit_first()
        else:
            trainer.train_briefly()
        if trainer.split.held_out.counts.any():
            for metric in trainer.metrics:
                metric.measure(trainer.model, islice(trainer.data.scoring_batches(trainer.split.held_out), 1))
        if not isinstance(trainer, Fit):
            trainer.train_briefly()


@contextmanager
def _peak_bytes() -> Iterator[list[int]]:
    """Measure the peak of the bytes allocated within the block; the list holds it once the block has ended.

    A tracing of tracemalloc that was already running goes on.
    """
    peak: list[int] = []
    was_tracing = tracemalloc.is_tracing()
    if not was_tracing:
        tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        yield peak
        peak.append(tracemalloc.get_traced_memory()[1] - before)
    finally:
        if not was_tracing:
            tracemalloc.stop()


def _array_bytes(owner: object) -> int:
    """Return the bytes of the arrays that an object holds, directly or in its attributes."""
    sizes: dict[int, int] = {}
    _collect_array_bytes(owner, sizes)
    return sum(sizes.values())


def _collect_array_bytes(value: object, sizes: dict[int, int]) -> None:
    if hasattr(value, "nbytes"):
        sizes[id(value)] = int(value.nbytes)
    elif isinstance(value, (list, tuple)):
        for item in value[:MAX_LIST_ITEMS]:  # arrays come in small numbers; a list of a million words holds none
            _collect_array_bytes(item, sizes)
    elif hasattr(value, "__dict__") and id(value) not in sizes and not isinstance(value, type):
        sizes[id(value)] = 0
        for item in vars(value).values():
            _collect_array_bytes(item, sizes)
