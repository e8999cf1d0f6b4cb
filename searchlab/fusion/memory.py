"""Memory: what trials of one structure will take, measured on a few throw-away replicas before any group is built.

No table of layers: one replica, and where it is small a few, are built, take a step, are scored and copied as for a
checkpoint, while tracemalloc counts what NumPy asks for. A structure is measured once.
"""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import TypeAlias

import numpy as np

from searchlab.backend import Device
from searchlab.data.loaded import LoadedDataset
from searchlab.fusion.groups import build
from searchlab.space.byte_size import size
from searchlab.space.domains import Scalar
from searchlab.space.structure import structural
from searchlab.space.sweep import Sweep
from searchlab.training import Trainer

SMALL = 16 * 2**20  # bytes of a replica below which what replicas share counts, and is told apart
SAMPLE = 3  # replicas measured beside the one, to tell that
UNCUT = 2  # arrays the size of the parameters that an optimizer's step makes on a GPU, where it is not cut into blocks

Parameters: TypeAlias = Mapping[str, Scalar]


@dataclass(frozen=True)
class Need:
    """What a structure takes: bytes of each replica, and those that do not depend on their number."""

    parameters: int  # of one replica
    replica: int
    shared: int = 0

    def bytes(self, replicas: int) -> int:
        """What so many replicas take side by side, without the data."""
        return self.shared + replicas * self.replica

    def most(self, limit: int, folds: int) -> int:
        """How many trials of so many folds fit side by side into so many bytes."""
        return max(0, (limit - self.shared) // (folds * self.replica))


class Needs:
    """What the structures of one sweep take on these rows, which lie on the host; `data` is what the rows take."""

    def __init__(self, sweep: Sweep, table: LoadedDataset, device: Device = "cpu") -> None:
        self.sweep, self.device, self._table = sweep, device, table
        self._split = sweep.validation.split(table)
        self.folds, self.data = self._split.folds, _held(table) + _held(self._split)
        self._bounds: dict[Hashable, Need] = {}
        self._found: dict[Hashable, Need] = {}

    def most(self, trials: Sequence[Parameters], limit: int) -> int:
        """How many of these trials, all of one structure, fit side by side into so many bytes; 0 if not one does."""
        for measure in (self.bound, self.of):  # the second takes longer, and is asked where the first says no
            need = max((measure(parameters) for parameters in trials), key=lambda need: need.replica)
            most = need.most(limit - self.data, self.folds)
            if most >= len(trials):
                break
        return min(most, len(trials))

    def of(self, parameters: Parameters) -> Need:
        """What replicas of this structure take."""
        bound = self.bound(parameters)
        if bound.replica >= SMALL:
            return bound
        return _once(self._found, self._key(parameters), lambda: self._sampled(parameters, bound))

    def bound(self, parameters: Parameters) -> Need:
        """At most this: one replica is measured, and what replicas share is counted for each."""

        def measure() -> Need:
            taken, count = self._measure(parameters, 1)
            return Need(count, taken)

        return _once(self._bounds, self._key(parameters), measure)

    def told(self, parameters: Parameters, limit: int) -> str:
        """Why not one trial fits, with the numbers."""
        need, of = self.of(parameters), self.named(parameters)
        total, data = need.bytes(self.folds) + self.data, f", and {size(self.data)} of data" if self.data else ""
        return (
            f"one trial{of and ' of '}{of} needs {size(total)} ({self.folds} folds x {size(need.replica)}{data}) "
            f"and a worker has {size(limit)}"
        )

    def named(self, parameters: Parameters) -> str:
        """What is open in the structure: hidden=512, layers=2."""
        open_ones = structural(self.sweep, parameters).items()
        return ", ".join(f"{path.rpartition('.')[2]}={value}" for path, value in open_ones)

    def _sampled(self, parameters: Parameters, bound: Need) -> Need:
        taken, count = self._measure(parameters, SAMPLE)
        replica = max(1, (taken - bound.replica) // (SAMPLE - 1))
        return Need(count, replica, max(0, bound.replica - replica))

    def _measure(self, parameters: Parameters, replicas: int) -> tuple[int, int]:
        """Bytes that so many replicas take at most, and the parameters of one."""
        split = self._split[np.arange(replicas) % self.folds]
        with _taken() as taken:
            trainer = build(self.sweep, [parameters], self._table, split, 0, "cpu")
            _train_a_little(trainer)
            state = trainer.state()
            packed = [array.copy() for array in state.values()]  # a checkpoint is packed before it is written
            del state, packed
        count = trainer.parameters.count
        uncut = 0 if self.device == "cpu" else UNCUT * trainer.parameters.values.nbytes
        return taken[0] + uncut, count

    def _key(self, parameters: Parameters) -> Hashable:
        return kind_of(self.sweep, parameters)


def kind_of(sweep: Sweep, parameters: Parameters) -> Hashable:
    """What tells trials apart that take other memory or time: the structure, and which of the other values are 0.

    What is switched off may take nothing.
    """
    structure = structural(sweep, parameters)
    return tuple(sorted((path, structure.get(path, bool(value))) for path, value in parameters.items()))


def _once(found: dict[Hashable, Need], key: Hashable, measure: Callable[[], Need]) -> Need:
    if key not in found:
        found[key] = measure()
    return found[key]


def _train_a_little(trainer: Trainer) -> None:
    """A step, a batch scored, and a step: each pass meets what the one before it left, as between two epochs."""
    with np.errstate(all="ignore"):
        _step(trainer)
        if trainer.split.held_out.counts.any():
            for metric in trainer.metrics:
                metric.measure(trainer.model, islice(trainer.data.scoring(trainer.split.held_out), 1))
        _step(trainer)


def _step(trainer: Trainer) -> None:
    for batch in islice(trainer.data.epoch(trainer.split, trainer.replicas, trainer.batch_size), 1):
        trainer.step(batch)


@contextmanager
def _taken() -> Iterator[list[int]]:
    """Bytes taken at most within the block, filled in at its end. Goes well with someone else's tracing."""
    taken: list[int] = []
    tracing = tracemalloc.is_tracing()
    if not tracing:
        tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        yield taken
        taken.append(tracemalloc.get_traced_memory()[1] - before)
    finally:
        if not tracing:
            tracemalloc.stop()


def _held(holder: object) -> int:
    """Bytes of the arrays that an object holds, itself or in what it is made of."""
    found: dict[int, int] = {}
    _weigh(holder, found)
    return sum(found.values())


def _weigh(value: object, found: dict[int, int]) -> None:
    if hasattr(value, "nbytes"):
        found[id(value)] = int(value.nbytes)
    elif isinstance(value, (list, tuple)):
        for item in value[:100]:  # arrays come in small numbers; a list of a million words holds none
            _weigh(item, found)
    elif hasattr(value, "__dict__") and id(value) not in found and not isinstance(value, type):
        found[id(value)] = 0
        for item in vars(value).values():
            _weigh(item, found)
