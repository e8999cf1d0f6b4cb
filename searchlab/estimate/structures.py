"""The structures that a search will meet: in which turn, how often, and what each was measured to take."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean, median_low

import numpy as np

from searchlab.backend import Device
from searchlab.errors import UserMistake
from searchlab.estimate.simulation import Kind
from searchlab.estimate.timing import Timing, measured
from searchlab.fusion.memory import Needs, kind_of
from searchlab.space.constraints import Candidates
from searchlab.space.domains import Choice, Domain, Float, Int, Scalar
from searchlab.space.structure import structural
from searchlab.space.sweep import Sweep

LONG = 400  # trials that stand for more
FEW = 200  # random points that tell how often each structure comes, where there are fewer trials
IN_VAIN = 50  # times as many draws that break the constraint end the drawing

Parameters = Mapping[str, Scalar]


@dataclass(frozen=True)
class Turns:
    """Points as they will be tried, or some that stand for them; `ends` says where those like each one end."""

    points: Sequence[Parameters]
    ends: Sequence[int] | None

    @property
    def alike(self) -> int | None:
        """The longest run of one structure, where the points are known beforehand."""
        return max((end - at for at, end in enumerate(self.ends)), default=1) if self.ends else None


@dataclass(frozen=True)
class Structure:
    """Trials of one structure: how often they come, how many of them train side by side, and what they take.

    Seconds and bytes are those of one trial in such a group. `measured` is False where they are those of structures
    near to it; `unavailable_reason` is the reason where such a trial cannot train at all.
    """

    name: str
    share: float  # of all trials
    kind: Kind | None = None
    step: float = math.nan  # seconds of a training step of a whole group
    memory: int = 0
    measured: bool = True
    unavailable_reason: str = ""

    @property
    def seconds(self) -> float:
        """Of one trial that trains to its end."""
        kind = self.kind
        return kind.epochs * kind.epoch(kind.together) / kind.together if kind else math.nan


def turns(sweep: Sweep, trials: int) -> Turns:
    """The points of a grid, or whole blocks of it that stand for all; else points drawn at random.

    Raises UserMistake where all that is drawn breaks the constraint.
    """
    plan = sweep.plan()
    if not plan:
        return Turns(_drawn(sweep, max(FEW, min(trials, LONG))), None)
    limits = sorted({0, *(end for end in plan.ends if end < trials), trials})
    blocks = list(pairwise(limits))[:: max(1, trials // LONG)]
    points: list[Parameters] = []
    ends: list[int] = []
    for begin, end in blocks:
        ends += [len(points) + end - begin] * (end - begin)
        points += plan.points[begin:end]
    return Turns(points, ends)


class Structures:
    """All structures among some points: the most frequent are measured, the others go by those near to them.

    Seconds are those that pass where others take the processors as they did while it was measured: `slowed` times
    what the machine would need to itself. Raises UserMistake where none of them can be built.
    """

    def __init__(
        self, sweep: Sweep, found: Turns, *, most: int, workers: int, device: Device, memory: int | None
    ) -> None:
        self.sweep, self._memory = sweep, memory
        self._needs = Needs(sweep, sweep.data.training(), device)
        self._points: dict[Hashable, Parameters] = {}
        counts: Counter[Hashable] = Counter()
        for point in found.points:
            key = kind_of(sweep, point)
            self._points.setdefault(key, point)
            counts[key] += 1
        order = [key for key, _ in counts.most_common()]
        answer = measured(sweep, [self._points[key] for key in order], most=most, workers=workers, device=device)
        told = dict(zip(order, answer.found, strict=True))
        self.slowed = answer.slowed
        self._timings = {key: one for key, one in told.items() if isinstance(one, Timing)}
        refused = {key: one for key, one in told.items() if isinstance(one, str)}
        if not self._timings:
            raise UserMistake(f"no structure of {sweep.name!r} can be trained: {next(iter(refused.values()))}")
        total = counts.total()
        self._found = {key: self._of(key, counts[key] / total, refused.get(key, "")) for key in order}

    def of(self, point: Parameters) -> Structure:
        """The structure of one of the points."""
        return self._found[kind_of(self.sweep, point)]

    @property
    def all(self) -> tuple[Structure, ...]:
        """The most frequent first."""
        return tuple(self._found.values())

    def _of(self, key: Hashable, share: float, refused: str) -> Structure:
        point = self._points[key]
        name = self._needs.named(point) or "all trials"
        if refused:
            return Structure(name, share, unavailable_reason=refused)
        near = [self._timings[key]] if key in self._timings else self._near(point)
        need = max((timing.need for timing in near), key=lambda need: need.replica)
        fit = math.inf if self._memory is None else need.most(self._memory - self._needs.data, self._needs.folds)
        if not fit:
            return Structure(name, share, unavailable_reason=self._needs.told(point, self._memory or 0))
        together = int(min(fit, median_low([timing.speed.best for timing in near])))
        epochs = self.sweep.settle(point).training.settled.get("epochs", near[0].speed.epochs)
        slowed = self.slowed
        kind = Kind(lambda trials: slowed * fmean(timing.epoch(trials) for timing in near), together, int(epochs))
        step = slowed * fmean(timing.speed.step(together) for timing in near)
        return Structure(name, share, kind, step, need.bytes(self._needs.folds), key in self._timings)

    def _near(self, point: Parameters) -> list[Timing]:
        """Of the measured structures those that differ from this one in the fewest arguments."""
        mine = structural(self.sweep, point).items()
        distances = {key: len(mine ^ structural(self.sweep, self._points[key]).items()) for key in self._timings}
        least = min(distances.values())
        return [self._timings[key] for key, distance in distances.items() if distance == least]


def _drawn(sweep: Sweep, number: int) -> list[Parameters]:
    """So many points at random, each on its range's own scale, without those that break the constraint."""
    generator, candidates = np.random.default_rng(0), Candidates(sweep, sweep.data.training)
    points: list[Parameters] = []
    for _ in range(IN_VAIN * number):
        point: dict[str, Scalar] = {}

        def ask(path: str, domain: Domain, point: dict[str, Scalar] = point) -> Scalar:
            return point.setdefault(path, _random(domain, generator))

        sweep.draw(ask)
        if candidates.excess(point) <= 0:
            points.append(point)
        if len(points) == number:
            break
    if not points:
        raise UserMistake(f"none of {IN_VAIN * number:,} points drawn at random keeps to the constraint.")
    return points


def _random(domain: Domain, generator: np.random.Generator) -> Scalar:
    """One value of a domain."""
    if isinstance(domain, Choice):
        names = list(domain.labels)
        return names[int(generator.integers(len(names)))]
    assert isinstance(domain, (Float, Int))
    if domain.log:
        value = math.exp(generator.uniform(math.log(domain.low), math.log(domain.high)))
        return round(value) if isinstance(domain, Int) else min(max(value, domain.low), domain.high)
    if domain.step is None:
        return float(generator.uniform(domain.low, domain.high))
    steps = int((domain.high - domain.low) / domain.step + 1e-9)
    return domain.low + domain.step * int(generator.integers(steps + 1))
