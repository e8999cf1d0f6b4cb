"""Speed: how many trials of one structure train fused best, found by a few timed steps before the first group is built.

What fusing gains depends on the machine as much as on the structure: small networks share what every step costs
anyhow, large ones wait for arithmetic or memory and gain nothing. A structure is measured once.
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
from searchlab.fusion.groups import LARGEST, build
from searchlab.fusion.memory import kind_of
from searchlab.nn.module import Carry
from searchlab.space.domains import Scalar
from searchlab.space.sweep import Sweep
from searchlab.training import Trainer

ASSUMED = 8  # trials side by side where measuring would cost too much: what small networks gain from at least
GAIN = 0.10  # of the rate, that twice the trials must bring for more to be tried
NEAR = 0.05  # of the best rate, that is given up for a smaller group: the sampler learns sooner
SHARE = 0.03  # of the time that groups train may go into measuring
FEWEST, MOST = 3, 6  # steps timed of each size
PARTS = 8  # of a trial's share of steps: one for each size, the rest for building what is timed


@dataclass(frozen=True)
class Speed:
    """How fast trials of one structure train on this machine; `steps` is empty where none was timed."""

    steps: Mapping[int, float]  # trials side by side -> seconds of one training step of all their replicas
    steps_per_epoch: int
    epochs: int
    most: int = LARGEST  # trials side by side that were asked about
    settled: bool = True  # whether all sizes were timed up to `most`, or to where more gain nothing

    @property
    def best(self) -> int:
        """The smallest number of trials side by side whose rate lies within 5 % of the best one timed.

        Where it has not been settled, 8 if no more were timed.
        """
        if not self.settled or not self.steps:
            return min(self.most, max(ASSUMED, *self.steps, 1))
        rates = {trials: trials / seconds for trials, seconds in self.steps.items()}
        enough = (1.0 - NEAR) * max(rates.values())
        return min(trials for trials, rate in rates.items() if rate >= enough)

    def step(self, trials: int) -> float:
        """Seconds of one step of so many trials: timed, or between two that were; beyond them, by the last one's rate.

        NaN where nothing was timed.
        """
        return between(self.steps, trials)


class Speeds:
    """How fast the structures of one sweep train on these rows, which lie on the device.

    Every question stands for a group about to be trained, and earns `share` of the seconds that it will take; what
    has been earned goes into measuring. So long trials are measured at once, short ones when their structure has come
    up often enough. `settle` makes one number of the seconds of some steps: the least, because whatever else the
    machine does can only slow a step down, and sizes are compared.
    """

    def __init__(
        self,
        sweep: Sweep,
        table: LoadedDataset,
        device: Device = "cpu",
        *,
        share: float = SHARE,
        settle: Callable[[Sequence[float]], float] = min,
    ) -> None:
        self.sweep, self.device, self.share, self.settle, self._table = sweep, device, share, settle, table
        self._split = sweep.validation.split(table)
        self._found: dict[Hashable, _Timings] = {}
        self.left = 0.0  # seconds earned and not yet spent

    def of(self, parameters: Mapping[str, Scalar], most: int = LARGEST) -> Speed:
        """The speed of 1, 2, 4, ... trials of this structure side by side, `most` at most and never more than 16.

        More are tried only while doubling them gains a tenth of the rate.
        """
        key = kind_of(self.sweep, parameters)
        if key not in self._found:
            self._found[key] = _Timings(self, parameters)
        return self._found[key].up_to(max(1, min(most, LARGEST)))

    def best(self, parameters: Mapping[str, Scalar], most: int) -> int:
        """How many trials of this structure, at most so many, train best side by side; one needs no measuring."""
        return 1 if most <= 1 else self.of(parameters, most).best

    def trainer(self, parameters: Mapping[str, Scalar], trials: int) -> Trainer:
        """A trainer of so many copies of one trial, to be timed and thrown away."""
        return build(self.sweep, [parameters] * trials, self._table, self._split, 0, self.device)


class _Timings:
    """The steps of one structure that were timed so far, and whether more trials side by side are worth a try."""

    def __init__(self, speeds: Speeds, parameters: Mapping[str, Scalar]) -> None:
        self.speeds, self.parameters = speeds, parameters
        self.steps: dict[int, float] = {}
        self.gains = True
        self.cost = 0.0  # seconds that the size timed last took, to build and to time
        self.clock = clock_of(speeds.device)
        trainer = self._built(1)
        self.epochs, self.steps_per_epoch = trainer.epochs, trainer.data.steps(trainer.split, trainer.batch_size)
        wanted = min(float(MOST), speeds.share * self.steps_per_epoch * self.epochs / PARTS)
        self.timed = max(FEWEST, int(wanted)) if wanted >= 1.0 else 0  # steps
        if self.timed:
            self._time(trainer, 1)

    def up_to(self, most: int) -> Speed:
        """What is known of at most so many trials, after timing what is not yet and can be afforded."""
        if self.timed:
            self._earn(self._told(most))
        while self._open(most) and 2 * self.cost <= self.speeds.left:
            before = max(self.steps)
            trials = min(2 * before, most)
            self._time(self._built(trials), trials)
            grown = (trials / self.steps[trials]) / (before / self.steps[before])
            self.gains = grown >= (1.0 + GAIN) ** math.log2(trials / before)
        return self._told(most)

    def _open(self, most: int) -> bool:
        return bool(self.timed) and self.gains and max(self.steps) < most

    def _told(self, most: int) -> Speed:
        known = {trials: seconds for trials, seconds in self.steps.items() if trials <= most}
        return Speed(known, self.steps_per_epoch, self.epochs, most, bool(self.timed) and not self._open(most))

    def _earn(self, speed: Speed) -> None:
        """A share of what the group will train, reckoned by what was timed: too little rather than too much."""
        seconds = speed.steps.get(speed.best, max(speed.steps.values()))
        self.speeds.left += self.speeds.share * seconds * self.steps_per_epoch * self.epochs

    def _built(self, trials: int) -> Trainer:
        started = self.clock()
        trainer = self.speeds.trainer(self.parameters, trials)
        self.cost = self.clock() - started
        return trainer

    def _time(self, trainer: Trainer, trials: int) -> None:
        started = self.clock()
        self.steps[trials] = self.speeds.settle(step_seconds(trainer, self.timed))
        self.cost += self.clock() - started
        self.speeds.left -= self.cost


def between(timed: Mapping[int, float], trials: int) -> float:
    """Seconds of so many trials side by side, from those of some sizes: in between, and beyond them in proportion.

    NaN where nothing was timed.
    """
    if not timed:
        return math.nan
    sizes = sorted(timed)
    seconds = float(np.interp(trials, sizes, [timed[size] for size in sizes]))
    return seconds * max(1.0, trials / sizes[-1])


def clock_of(device: Device) -> Callable[[], float]:
    """Seconds that this thread has spent on a processor; for another device, seconds that have passed."""
    return time.thread_time if device == "cpu" else time.perf_counter


def step_seconds(trainer: Trainer, count: int) -> list[float]:
    """Seconds of so many training steps, each with its batch gathered, after one that is not counted.

    On the CPU those that the processor spent, so that other programs count for little.
    """
    clock = clock_of(trainer.replicas.device)
    found: list[float] = []
    carry: Carry = None
    with np.errstate(all="ignore"):
        batches = _batches(trainer, count + 1)
        for _ in range(count + 1):
            started = clock()
            loss, carry = trainer.step(next(batches), carry)
            to_host(loss)  # waits for a device
            found.append(clock() - started)
    return found[1:]


def scoring_seconds(trainer: Trainer, batches: int) -> float:
    """Seconds of scoring so many batches of held-out rows by every metric, of which a few are timed again and again."""
    count, found, clock = min(batches, FEWEST), list[float](), clock_of(trainer.replicas.device)
    with np.errstate(all="ignore"):
        for _ in range(FEWEST + 1):
            started = clock()
            for metric in trainer.metrics:
                rows = trainer.data.scoring(trainer.split.held_out)
                to_host(metric.measure(trainer.model, islice(rows, count)))  # waits for a device
            found.append(clock() - started)
    return statistics.median(found[1:]) * batches / max(1, count)


def _batches(trainer: Trainer, count: int) -> Iterator[Batch]:
    """Training batches without end, from an epoch of at least so many where the folds have them.

    It is cut short because to shuffle all rows of all replicas would cost more than the steps. Rows that may be
    shuffled are taken from all over the table, so that they come from as far as in a whole epoch.
    """
    data, split = trainer.data, trainer.split
    whole = split.shortest
    rows = min(whole, math.ceil(whole * (count + 1) / data.steps(split, trainer.batch_size)))
    places = np.arange(rows) if data.ordered else np.arange(rows) * whole // rows
    train = Rows(split.train.index[:, places], np.full(len(split.train.counts), rows))
    short = Split(train, split.held_out, rows)
    while True:
        yield from data.epoch(short, trainer.replicas, trainer.batch_size)
