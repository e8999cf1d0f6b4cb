"""A search gone through in thought: workers, groups and pruning as they will be, and seconds that were measured.

What is not known beforehand is how well trials will do. Their curves are drawn: each has a level of its own, and
varies a little around it from epoch to epoch and fold to fold. Halving goes by ranks, which such curves have as good
as any; for other prunings this is a guess.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count

import numpy as np

from searchlab.fusion.groups import Fuse, group_size
from searchlab.pruning.learning_curves import LearningCurves
from searchlab.pruning.pruner import Pruner
from searchlab.space.budget import Budget, Spent
from searchlab.study.optuna_pruners import stopping_rule_of

# measured on 2 cores of an EPYC: bench/overhead.py for trials; searches of many short epochs for these
DRAW = 0.0085  # seconds that drawing and recording a trial take the study, which does one after the other
TRIAL = 0.003  # seconds of a worker for each trial besides
EPOCH = 0.001  # seconds of a worker for an epoch's report, however many trials are in its group
RECORD = 0.0005  # seconds of other processes for each trial's epoch: of a core's time, where none is free for them

RISE = 1.0  # what a curve gains from its first epoch to its last, in spreads between trials
NOISE = 0.2  # of a fold in an epoch, in spreads between trials


@dataclass(frozen=True)
class Kind:
    """Trials of one structure: seconds of an epoch by trials side by side, how many pay, and how long they train."""

    epoch: Callable[[int], float]
    together: int
    epochs: int


@dataclass(frozen=True)
class Simulation:
    """What a search would take: seconds from its first trial to its last, and epochs of all trials together."""

    seconds: float
    epochs: int
    stopped: int  # trials


@dataclass(frozen=True)
class SimulationConfig:
    """What is searched, by how many workers: the kinds of trials in their turn, and how groups are sized.

    Where there are more `trials` than kinds, those stand for all; where there are fewer, the first count. `ends` says
    of each kind where those like it end, where the points are known beforehand.
    """

    kinds: Sequence[Kind]
    trials: int
    workers: int
    folds: int
    slowed: float = 1.0  # what is not measured takes so many times the seconds that it takes a machine at rest
    crowded: bool = True  # whether no core is free for what is not training
    fuse: Fuse = "auto"
    start_up: int = 0
    ends: Sequence[int] | None = None
    budget: Budget = field(default_factory=Budget)


def simulate(cast: SimulationConfig, pruner: Pruner) -> Simulation:
    """Go through the search once, under this pruner."""
    return Simulator(cast, pruner).play()


@dataclass
class _Group:
    kind: Kind
    trials: list[int]
    epoch: int = 0


class Simulator:
    """The search at a moment: the workers' next events in order of time, and all curves so far."""

    def __init__(self, cast: SimulationConfig, pruner: Pruner) -> None:
        self.cast, self.judge = cast, stopping_rule_of(pruner, "max")
        self.curves, self.begun, self.stopped = LearningCurves("max"), 0, 0
        self.study = 0.0  # the second from which the study is free
        generator = np.random.default_rng(0)
        self.generator = generator
        self.all = min(len(cast.kinds), cast.trials)
        self.levels = generator.normal(size=self.all)
        self._order = count()  # of events at the same moment

    def play(self) -> Simulation:
        """From the first trial to the last."""
        events: list[tuple[float, int, _Group | None]] = [
            (0.0, next(self._order), None) for _ in range(self.cast.workers)
        ]
        now = 0.0
        while events:
            now, _, group = heapq.heappop(events)
            if self.cast.budget.why_over(Spent(now, self.curves.epochs), "max"):
                break
            if group:
                self._advance(group)
            if not group or not group.trials or group.epoch == group.kind.epochs:
                now, group = self._take(now)
            if group:
                alive = len(group.trials)
                told = EPOCH + (alive * RECORD if self.cast.crowded else 0.0)
                then = now + group.kind.epoch(alive) + self.cast.slowed * told
                heapq.heappush(events, (then, next(self._order), group))
        more = self.cast.trials / max(1, min(self.cast.trials, self.all))
        return Simulation(now * more, round(self.curves.epochs * more), round(self.stopped * more))

    def _take(self, now: float) -> tuple[float, _Group | None]:
        """The next group and when it begins to train; None when all trials are under way."""
        cast, first = self.cast, self.begun
        alike = cast.ends[first] - first if cast.ends and first < len(cast.ends) else None
        if first == self.all:
            return now, None
        size = group_size(
            cast.fuse, trials=cast.trials, begun=first, workers=cast.workers, start_up=cast.start_up, alike=alike
        )
        kind = cast.kinds[first]
        size = min(size, self.all - first, kind.together if cast.fuse == "auto" else size)
        self.begun += size
        self.study = max(now, self.study) + cast.slowed * size * DRAW
        own = TRIAL + (DRAW if cast.crowded else 0.0)
        return self.study + cast.slowed * size * own, _Group(kind, list(range(first, first + size)))

    def _advance(self, group: _Group) -> None:
        """An epoch: every trial of the group is scored, and judged where it is not the last."""
        group.epoch += 1
        rise = RISE * (1.0 - 1.0 / group.epoch)
        for trial in group.trials:
            noise = self.generator.normal(scale=NOISE, size=self.cast.folds)
            self.curves.add(trial, (self.levels[trial] + rise + noise).tolist())
        if group.epoch == group.kind.epochs or not self.judge.due(group.epoch):
            return
        stay = [trial for trial in group.trials if self.judge.why_stop(self.curves, trial) is None]
        self.stopped += len(group.trials) - len(stay)
        group.trials = stay
