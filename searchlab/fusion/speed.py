"""How many trials of one structure train fastest side by side, measured on a few steps before a group is built.

What fusing gains depends on the machine as much as on the structure: small networks share the fixed cost of every step,
large ones are bound by arithmetic or memory and gain nothing. A structure is measured once.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from searchlab.backend import Device, to_host
from searchlab.data.batch import Batch
from searchlab.data.loaded import LoadedDataset
from searchlab.data.splits import Rows, Split
from searchlab.fit import Fit
from searchlab.fusion.groups import MAX_GROUP_TRIALS, build_trainer
from searchlab.fusion.memory import cost_key
from searchlab.nn.module import Carry
from searchlab.space.domains import ParameterValues
from searchlab.space.sweep import Sweep
from searchlab.training import Trainer

ASSUMED_GROUP_SIZE = 8  # where measuring would cost too much; small networks gain up to at least this many trials
MIN_RATE_GAIN = 0.10  # of the rate, which doubling the trials must gain for more trials to be tried
RATE_TOLERANCE = 0.05  # of the best rate, which is given up for a smaller group: the sampler learns sooner
MEASURING_SHARE = 0.03  # of the time that groups train; it may be spent on measuring
MIN_TIMED_STEPS, MAX_TIMED_STEPS = 3, 6  # for each group size
SHARES_OF_TRIAL = 8  # a trial's measuring time is divided by this: one share per size, the rest for building trainers


@dataclass(frozen=True)
class SpeedProfile:
    """How fast trials of one structure train on this machine.

    Attributes:
        step_seconds: Seconds of one training step of all replicas, by trials side by side; empty where none was timed.
        steps_per_epoch: Training steps of an epoch.
        epochs: Epochs of a trial.
        max_trials: Largest number of trials side by side that was requested.
        is_complete: Whether all sizes up to `max_trials` were timed, or up to the size where more gain nothing.
    """

    step_seconds: Mapping[int, float]
    steps_per_epoch: int
    epochs: int
    max_trials: int = MAX_GROUP_TRIALS
    is_complete: bool = True

    @property
    def best_group_size(self) -> int:
        """The smallest number of trials side by side whose rate is within 5 % of the best rate timed.

        While the profile is not complete, it is 8, or the largest size timed where that is more.
        """
        if not self.is_complete or not self.step_seconds:
            return min(self.max_trials, max(ASSUMED_GROUP_SIZE, *self.step_seconds, 1))
        rates = {trials: trials / seconds for trials, seconds in self.step_seconds.items()}
        sufficient = (1.0 - RATE_TOLERANCE) * max(rates.values())
        return min(trials for trials, rate in rates.items() if rate >= sufficient)

    def seconds_per_step(self, trials: int) -> float:
        """Return the seconds of one step with this many trials; see `interpolate_seconds`."""
        return interpolate_seconds(self.step_seconds, trials)


class SpeedModel:
    """The speed of the structures of one sweep on these training rows, which lie on the device.

    Each question stands for a group that is about to train, and adds `measuring_share` of the seconds that the group
    will take to the measuring budget. So long trials are measured at once, and short ones when their structure has been
    requested often enough. `summarize` makes one number of the seconds of some steps: the minimum, because other
    programs can only slow a step down, and sizes are compared with each other.

    Attributes:
        budget_seconds: Seconds that may still be spent on measuring.
    """

    def __init__(
        self,
        sweep: Sweep,
        data: LoadedDataset,
        device: Device = "cpu",
        *,
        measuring_share: float = MEASURING_SHARE,
        summarize: Callable[[Sequence[float]], float] = min,
    ) -> None:
        self.sweep, self.device, self._data = sweep, device, data
        self.measuring_share, self.summarize = measuring_share, summarize
        self._split = sweep.validation.split(data)
        self._timers: dict[Hashable, _StructureTimer] = {}
        self.budget_seconds = 0.0

    def profile(self, parameters: ParameterValues, max_trials: int = MAX_GROUP_TRIALS) -> SpeedProfile:
        """Return the speed of 1, 2, 4, ... trials of this structure side by side, up to `max_trials` and to 16.

        More are tried only while doubling them gains a tenth of the rate.
        """
        key = cost_key(self.sweep, parameters)
        if key not in self._timers:
            self._timers[key] = _StructureTimer(self, parameters)
        return self._timers[key].profile(max(1, min(max_trials, MAX_GROUP_TRIALS)))

    def best_group_size(self, parameters: ParameterValues, max_trials: int) -> int:
        """Return how many trials of this structure, up to `max_trials`, train fastest side by side."""
        return 1 if max_trials <= 1 else self.profile(parameters, max_trials).best_group_size

    def build_trainer(self, parameters: ParameterValues, trials: int) -> Trainer:
        """Return a trainer of this many copies of one trial, for timing only."""
        return build_trainer(self.sweep, [parameters] * trials, self._data, self._split, 0, self.device)


class _StructureTimer:
    """The timed steps of one structure, and whether more trials side by side are worth timing."""

    def __init__(self, model: SpeedModel, parameters: ParameterValues) -> None:
        self.model, self.parameters = model, parameters
        self.step_seconds: dict[int, float] = {}  # by trials side by side
        self.gains = True  # whether the last doubling of the trials gained enough
        self.last_cost = 0.0  # seconds that building and timing the latest size took
        self.clock = device_clock(model.device)
        trainer = self._build(1)
        self.epochs = trainer.epochs
        self.steps_per_epoch = trainer.steps_per_epoch
        self.is_fit = isinstance(trainer, Fit)  # replicas are fitted one after the other: more gain nothing
        affordable = model.measuring_share * self.steps_per_epoch * self.epochs / SHARES_OF_TRIAL
        affordable = min(float(MAX_TIMED_STEPS), affordable)
        self.timed_steps = max(MIN_TIMED_STEPS, int(affordable)) if affordable >= 1.0 else 0
        self.gains = not self.is_fit
        if self.timed_steps:
            self._time(trainer, 1)

    def profile(self, max_trials: int) -> SpeedProfile:
        """Return the speed of up to this many trials, after timing the missing sizes that the budget allows."""
        if self.timed_steps:
            self._add_to_budget(self._known_profile(max_trials))
        while self._has_untimed_size(max_trials) and 2 * self.last_cost <= self.model.budget_seconds:
            before = max(self.step_seconds)
            trials = min(2 * before, max_trials)
            self._time(self._build(trials), trials)
            gain = (trials / self.step_seconds[trials]) / (before / self.step_seconds[before])
            self.gains = gain >= (1.0 + MIN_RATE_GAIN) ** math.log2(trials / before)
        return self._known_profile(max_trials)

    def _has_untimed_size(self, max_trials: int) -> bool:
        return bool(self.timed_steps) and self.gains and max(self.step_seconds) < max_trials

    def _known_profile(self, max_trials: int) -> SpeedProfile:
        known = {trials: seconds for trials, seconds in self.step_seconds.items() if trials <= max_trials}
        is_complete = bool(self.timed_steps) and not self._has_untimed_size(max_trials)
        largest = 1 if self.is_fit else max_trials
        return SpeedProfile(known, self.steps_per_epoch, self.epochs, largest, is_complete)

    def _add_to_budget(self, profile: SpeedProfile) -> None:
        """Add a share of the group's training time, estimated from the timed sizes: rather too little than too much."""
        seconds = profile.step_seconds.get(profile.best_group_size, max(profile.step_seconds.values()))
        self.model.budget_seconds += self.model.measuring_share * seconds * self.steps_per_epoch * self.epochs

    def _build(self, trials: int) -> Trainer:
        started = self.clock()
        trainer = self.model.build_trainer(self.parameters, trials)
        self.last_cost = self.clock() - started
        return trainer

    def _time(self, trainer: Trainer, trials: int) -> None:
        started = self.clock()
        self.step_seconds[trials] = self.model.summarize(time_steps(trainer, self.timed_steps))
        self.last_cost += self.clock() - started
        self.model.budget_seconds -= self.last_cost


def interpolate_seconds(timed: Mapping[int, float], trials: int) -> float:
    """Return the seconds for this many trials side by side, interpolated between the timed numbers of trials.

    Beyond the largest timed number, the seconds grow in proportion. NaN where nothing was timed.
    """
    if not timed:
        return math.nan
    sizes = sorted(timed)
    seconds = float(np.interp(trials, sizes, [timed[size] for size in sizes]))
    return seconds * max(1.0, trials / sizes[-1])


def device_clock(device: Device) -> Callable[[], float]:
    """Return a clock in seconds: the CPU time of this thread, or for a GPU the wall clock."""
    return time.thread_time if device == "cpu" else time.perf_counter


def time_steps(trainer: Trainer, count: int) -> list[float]:
    """Return the seconds of this many training steps, each with reading its batch, after one step that is not timed.

    On the CPU it is CPU time, so that other programs have little influence. Where replicas are fitted in one pass, one
    of them is timed, and the others are assumed to take as long.
    """
    clock = device_clock(trainer.replicas.device)
    seconds: list[float] = []
    carry: Carry = None
    if isinstance(trainer, Fit):
        started = clock()
        trainer.fit_first()
        return [(clock() - started) * trainer.replicas.count]
    with np.errstate(all="ignore"):
        batches = _endless_batches(trainer, count + 1)
        for _ in range(count + 1):
            started = clock()
            loss, carry = trainer.step(next(batches), carry)
            to_host(loss)  # waits for the device
            seconds.append(clock() - started)
    return seconds[1:]


def time_scoring(trainer: Trainer, batches: int) -> float:
    """Return the seconds of scoring this many batches of held-out rows by every metric, from a few timed repeatedly."""
    count, clock = min(batches, MIN_TIMED_STEPS), device_clock(trainer.replicas.device)
    seconds: list[float] = []
    with np.errstate(all="ignore"):
        for _ in range(MIN_TIMED_STEPS + 1):
            started = clock()
            for metric in trainer.metrics:
                held_out = trainer.data.scoring_batches(trainer.split.held_out)
                to_host(metric.measure(trainer.model, islice(held_out, count)))  # waits for the device
            seconds.append(clock() - started)
    return statistics.median(seconds[1:]) * batches / max(1, count)


def _endless_batches(trainer: Trainer, count: int) -> Iterator[Batch]:
    """Yield training batches without end, from repeated epochs over rows for at least `count` batches.

    An epoch is cut short because shuffling all rows of all replicas would take longer than the timed steps. Rows that
    may be shuffled are taken from the whole table, so that gathering them takes as long as in a whole epoch.
    """
    data, split = trainer.data, trainer.split
    total = split.min_train_rows
    rows = min(total, math.ceil(total * (count + 1) / trainer.steps_per_epoch))
    positions = np.arange(rows) if data.is_ordered else np.arange(rows) * total // rows
    train = Rows(split.train.index[:, positions], np.full(len(split.train.counts), rows))
    short = Split(train, split.held_out, rows)
    while True:
        yield from data.training_batches(short, trainer.replicas, trainer.batch_size)
