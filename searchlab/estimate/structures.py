"""The structures that a search will train: how frequent each is, and what its trials take."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass

from searchlab.backend import Device
from searchlab.errors import UserMistake
from searchlab.estimate.extrapolation import StructureFeatures, extrapolate
from searchlab.estimate.point_sample import PointSample
from searchlab.estimate.simulation import TrialKind
from searchlab.estimate.timing import StructureTiming, measure_in_processes
from searchlab.fusion.memory import CostKey, MemoryModel, cost_key
from searchlab.space.domains import ParameterValues
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
        is_measured: Whether it was measured; otherwise the numbers are extrapolated from other structures.
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
    """Estimates of all structures among some points: as many are measured as the time limit allows.

    The timings of the others are extrapolated. Seconds include the influence of other programs that ran during the
    measurement.

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
        first_points = {cost_key(sweep, point): point for point in reversed(sample.points)}
        counts = Counter(cost_key(sweep, point) for point in sample.points).most_common()
        shares = [count / len(sample.points) for _, count in counts]
        points = [first_points[key] for key, _ in counts]
        features = StructureFeatures([key for key, _ in counts])
        order = features.measuring_order(shares)
        reply = measure_in_processes(
            sweep, [points[number] for number in order], max_trials=max_trials, workers=workers, device=device
        )
        self.slowdown = reply.slowdown
        results = dict(zip(order, reply.timings, strict=True))
        errors = [result for result in results.values() if isinstance(result, str)]
        measured = {number: timing for number, timing in results.items() if isinstance(timing, StructureTiming)}
        if not measured:
            raise UserMistake(f"no structure of {sweep.name!r} can be trained: {errors[0]}")
        timings = extrapolate(features, measured)
        self._structures: dict[CostKey, Structure] = {}
        for number, (key, _) in enumerate(counts):
            result = results[number]
            self._structures[key] = self._estimate(
                points[number],
                shares[number],
                result if isinstance(result, str) else timings[number],
                is_measured=number in measured,
            )

    def for_point(self, point: ParameterValues) -> Structure:
        """Return the structure of one of the points."""
        return self._structures[cost_key(self.sweep, point)]

    @property
    def by_frequency(self) -> tuple[Structure, ...]:
        """All structures, the most frequent first."""
        return tuple(self._structures.values())

    def _estimate(
        self, point: ParameterValues, share: float, timing: StructureTiming | str, *, is_measured: bool
    ) -> Structure:
        """Return the estimate of a structure from its timing, or from the reason why it cannot be trained."""
        name = self._memory.structure_name(point) or "all trials"
        if isinstance(timing, str):
            return Structure(name, share, unavailable_reason=timing)
        limit, folds = self._memory_limit, self._memory.folds
        max_trials = math.inf if limit is None else timing.memory.max_trials(limit - self._memory.data_bytes, folds)
        if not max_trials:
            return Structure(name, share, unavailable_reason=self._memory.shortage_message(point, limit or 0))
        size, slowdown = int(min(max_trials, timing.speed.best_group_size)), self.slowdown
        epochs = self.sweep.configuration(point).training.keywords.get("epochs", timing.speed.epochs)
        return Structure(
            name,
            share,
            kind=TrialKind(lambda trials: slowdown * timing.epoch_seconds(trials), size, int(epochs)),
            step_seconds=slowdown * timing.speed.seconds_per_step(size),
            memory_bytes=timing.memory.total_bytes(folds),
            is_measured=is_measured,
        )
