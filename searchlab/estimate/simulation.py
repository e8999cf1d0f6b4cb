"""A simulation of the search, including grouping, memory limits and pruning, with measured training times.

The scores of the trials are not known in advance, so their curves are random: each trial has a level of its own, and
varies a little around it from epoch to epoch and from fold to fold. Halving depends on ranks only, which random curves
have as well as any; for other pruners the result is a guess.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count

import numpy as np

from searchlab.fusion.groups import FuseOption, group_size
from searchlab.pruning.learning_curves import LearningCurves
from searchlab.pruning.pruner import Pruner
from searchlab.space.budget import Budget, BudgetUsage
from searchlab.study.optuna_pruners import create_stopping_rule

# measured on 2 cores of an EPYC: the first two by bench/overhead.py, the others in searches of many short epochs
PROPOSE_SECONDS = 0.0085  # in which the study proposes and records a trial, one trial after the other
TRIAL_SECONDS = 0.003  # of a worker, for each trial besides training
REPORT_SECONDS = 0.001  # of a worker, for the report of an epoch, however many trials are in its group
RECORD_SECONDS = 0.0005  # of other processes, for each epoch of a trial; they take a worker's core if none is free

CURVE_RISE = 1.0  # from the first epoch of a curve to the last, in standard deviations between trials
SCORE_NOISE = 0.2  # of a fold in an epoch, in standard deviations between trials


@dataclass(frozen=True)
class TrialKind:
    """Trials of equal cost.

    Attributes:
        epoch_seconds: Function from the number of trials side by side to the seconds of an epoch.
        group_size: Number of trials that train side by side.
        epochs: Epochs of a trial that is not pruned.
    """

    epoch_seconds: Callable[[int], float]
    group_size: int
    epochs: int


@dataclass(frozen=True)
class SimulationResult:
    """What a simulated search takes.

    Attributes:
        seconds: Seconds from the first trial to the last.
        epochs: Trained epochs of all trials together.
        pruned: Number of pruned trials.
    """

    seconds: float
    epochs: int
    pruned: int


@dataclass(frozen=True)
class SimulationConfig:
    """The search to simulate.

    Attributes:
        kinds: Kind of each trial, in the order in which the trials are proposed. Where there are more `trials`, these
            represent all of them; where there are fewer, only the first are used.
        trials: Number of trials of the search.
        workers: Number of workers.
        folds: Number of folds of a trial.
        slowdown: Factor by which other programs slow down what is not measured.
        cores_are_busy: Whether no core is free for work other than training.
        fuse: Largest number of trials in a group, or "auto".
        startup_trials: Number of trials that the sampler draws one by one at first.
        structure_ends: Where the points are known in advance, the end of the consecutive points with the structure of
            each; None otherwise.
        budget: Limits of the search.
    """

    kinds: Sequence[TrialKind]
    trials: int
    workers: int
    folds: int
    slowdown: float = 1.0
    cores_are_busy: bool = True
    fuse: FuseOption = "auto"
    startup_trials: int = 0
    structure_ends: Sequence[int] | None = None
    budget: Budget = field(default_factory=Budget)


def simulate(config: SimulationConfig, pruner: Pruner) -> SimulationResult:
    """Return the result of simulating the search once with this pruner."""
    return _Simulator(config, pruner).run()


@dataclass
class _SimulatedGroup:
    """A group that a simulated worker trains: the trials that are not pruned, and the epoch they have reached."""

    kind: TrialKind
    trials: list[int]
    epoch: int = 0


class _Simulator:
    """The state of the simulated search: the next event of each worker in order of time, and all curves so far."""

    def __init__(self, config: SimulationConfig, pruner: Pruner) -> None:
        self.config, self.stopping_rule = config, create_stopping_rule(pruner, "max")
        self.curves, self.started, self.pruned = LearningCurves("max"), 0, 0
        self.study_free_at = 0.0  # second from which the study is free to propose the next trial
        self.generator = np.random.default_rng(0)
        self.trial_count = min(len(config.kinds), config.trials)
        self.levels = self.generator.normal(size=self.trial_count)
        self._event_numbers = count()  # they order events of the same moment

    def run(self) -> SimulationResult:
        """Simulate from the first trial to the last."""
        config = self.config
        events: list[tuple[float, int, _SimulatedGroup | None]] = [
            (0.0, next(self._event_numbers), None) for _ in range(config.workers)
        ]
        now = 0.0
        while events:
            now, _, group = heapq.heappop(events)
            if config.budget.exhausted_reason(BudgetUsage(now, self.curves.total_epochs), "max"):
                break
            if group:
                self._finish_epoch(group)
            if not group or not group.trials or group.epoch == group.kind.epochs:
                now, group = self._next_group(now)
            if group:
                heapq.heappush(events, (now + self._epoch_seconds(group), next(self._event_numbers), group))
        scale = config.trials / max(1, min(config.trials, self.trial_count))
        return SimulationResult(now * scale, round(self.curves.total_epochs * scale), round(self.pruned * scale))

    def _epoch_seconds(self, group: _SimulatedGroup) -> float:
        trials = len(group.trials)
        overhead = REPORT_SECONDS + (trials * RECORD_SECONDS if self.config.cores_are_busy else 0.0)
        return group.kind.epoch_seconds(trials) + self.config.slowdown * overhead

    def _next_group(self, now: float) -> tuple[float, _SimulatedGroup | None]:
        """Return when the next group begins to train, and the group; None when all trials have begun."""
        config, first = self.config, self.started
        if first == self.trial_count:
            return now, None
        ends = config.structure_ends
        size = group_size(
            config.fuse,
            trials=config.trials,
            started=first,
            workers=config.workers,
            startup_trials=config.startup_trials,
            same_structure=ends[first] - first if ends and first < len(ends) else None,
        )
        kind = config.kinds[first]
        size = min(size, self.trial_count - first, kind.group_size if config.fuse == "auto" else size)
        self.started += size
        self.study_free_at = max(now, self.study_free_at) + config.slowdown * size * PROPOSE_SECONDS
        trial_seconds = TRIAL_SECONDS + (PROPOSE_SECONDS if config.cores_are_busy else 0.0)
        begins_at = self.study_free_at + config.slowdown * size * trial_seconds
        return begins_at, _SimulatedGroup(kind, list(range(first, first + size)))

    def _finish_epoch(self, group: _SimulatedGroup) -> None:
        """Score every trial of the group after an epoch, and prune trials unless it is the last epoch."""
        group.epoch += 1
        rise = CURVE_RISE * (1.0 - 1.0 / group.epoch)
        for trial in group.trials:
            noise = self.generator.normal(scale=SCORE_NOISE, size=self.config.folds)  # (folds,)
            self.curves.add_epoch(trial, (self.levels[trial] + rise + noise).tolist())
        if group.epoch == group.kind.epochs or not self.stopping_rule.is_due(group.epoch):
            return
        survivors = [trial for trial in group.trials if self.stopping_rule.stop_reason(self.curves, trial) is None]
        self.pruned += len(group.trials) - len(survivors)
        group.trials = survivors
