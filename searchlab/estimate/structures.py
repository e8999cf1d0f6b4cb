"""The structures that a search will train: how frequent each is, and what its trials are measured to take."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable
from dataclasses import dataclass
from statistics import fmean, median_low

from searchlab.backend import Device
from searchlab.errors import UserMistake
from searchlab.estimate.point_sample import PointSample
from searchlab.estimate.simulation import TrialKind
from searchlab.estimate.timing import StructureTiming, measure_in_processes
from searchlab.fusion.memory import MemoryModel, cost_key
from searchlab.space.domains import ParameterValues
from searchlab.space.structure import structural_parameters
from searchlab.space.sweep import Sweep


@dataclass(frozen=True)
class Structure:
    """Trials of one structure: how frequent they are, and what they take.

    Seconds and bytes are those of one trial in a group of `kind.group_size` trials.

    Attributes:
        name: Its open arguments as text.
        share: Share of all trials, from 0 to 1.
        kind: Group size, epochs and seconds of an epoch; None where such trials cannot train.
        step_seconds: Seconds of a training step of a whole group.
        memory_bytes: Bytes of one trial with its folds.
        is_measured: Whether it was measured; otherwise the numbers are those of similar structures.
        unavailable_reason: Why such trials cannot train; empty where they can.
    """

    name: str
    share: float
    kind: TrialKind | None = None
    step_seconds: float = math.nan
    memory_bytes: int = 0
    is_measured: bool = True
    unavailable_reason: str = ""

    @property
    def trial_seconds(self) -> float:
        """Seconds of one trial that is not pruned."""
        kind = self.kind
        return kind.epochs * kind.epoch_seconds(kind.group_size) / kind.group_size if kind else math.nan


class StructureEstimates:
    """Estimates of all structures among some points: the most frequent are measured, the others compared with them.

    Seconds include the influence of other programs that ran during the measurement.

    Attributes:
        slowdown: Factor by which other programs slowed down the measurement.

    Raises:
        UserMistake: When none of the structures can be trained.
    """

    def __init__(
        self,
        sweep: Sweep,
        sample: PointSample,
        *,
        max_trials: int,
        workers: int,
        device: Device,
        memory_limit: int | None,
    ) -> None:
        self.sweep, self._memory_limit = sweep, memory_limit
        self._memory = MemoryModel(sweep, sweep.data.training(), device)
        counts = Counter(cost_key(sweep, point) for point in sample.points)
        self._points: dict[Hashable, ParameterValues] = {}
        for point in sample.points:
            self._points.setdefault(cost_key(sweep, point), point)
        keys = [key for key, _ in counts.most_common()]
        reply = measure_in_processes(
            sweep, [self._points[key] for key in keys], max_trials=max_trials, workers=workers, device=device
        )
        results = dict(zip(keys, reply.timings, strict=True))
        self.slowdown = reply.slowdown
        self._timings = {key: timing for key, timing in results.items() if isinstance(timing, StructureTiming)}
        errors = {key: error for key, error in results.items() if isinstance(error, str)}
        if not self._timings:
            raise UserMistake(f"no structure of {sweep.name!r} can be trained: {next(iter(errors.values()))}")
        total = counts.total()
        self._structures = {key: self._estimate(key, counts[key] / total, errors.get(key, "")) for key in keys}

    def for_point(self, point: ParameterValues) -> Structure:
        """Return the structure of one of the points."""
        return self._structures[cost_key(self.sweep, point)]

    @property
    def by_frequency(self) -> tuple[Structure, ...]:
        """All structures, the most frequent first."""
        return tuple(self._structures.values())

    def _estimate(self, key: Hashable, share: float, error: str) -> Structure:
        point = self._points[key]
        name = self._memory.structure_name(point) or "all trials"
        if error:
            return Structure(name, share, unavailable_reason=error)
        timings = [self._timings[key]] if key in self._timings else self._nearest_timings(point)
        need = max((timing.memory for timing in timings), key=lambda need: need.replica_bytes)
        limit, folds = self._memory_limit, self._memory.folds
        max_trials = math.inf if limit is None else need.max_trials(limit - self._memory.data_bytes, folds)
        if not max_trials:
            return Structure(name, share, unavailable_reason=self._memory.shortage_message(point, limit or 0))
        size = int(min(max_trials, median_low([timing.speed.best_group_size for timing in timings])))
        epochs = self.sweep.configuration(point).training.keywords.get("epochs", timings[0].speed.epochs)
        slowdown = self.slowdown
        return Structure(
            name,
            share,
            kind=TrialKind(
                lambda trials: slowdown * fmean(timing.epoch_seconds(trials) for timing in timings), size, int(epochs)
            ),
            step_seconds=slowdown * fmean(timing.speed.seconds_per_step(size) for timing in timings),
            memory_bytes=need.total_bytes(folds),
            is_measured=key in self._timings,
        )

    def _nearest_timings(self, point: ParameterValues) -> list[StructureTiming]:
        """Return the timings of the measured structures that differ from this one in the fewest arguments."""
        structure = structural_parameters(self.sweep, point).items()
        distances = {
            key: len(structure ^ structural_parameters(self.sweep, self._points[key]).items()) for key in self._timings
        }
        smallest = min(distances.values())
        return [self._timings[key] for key, distance in distances.items() if distance == smallest]
