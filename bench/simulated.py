"""The parts of the simulation: a clock of its own, servers with queues, and workers that train nothing.

The desk, the study in it and its storage are the real ones: each call is made, and takes on the simulated clock what it
took. A worker is a generator that yields the moments, in seconds from the start, at which it goes on.
"""

from __future__ import annotations

import heapq
import itertools
import math
import pickle
import time
from array import array
from collections import defaultdict
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np

from searchlab.backend import Array
from searchlab.engine.checkpoints import SHARE
from searchlab.engine.driver_loop import POLL
from searchlab.engine.group_run import AT_ONCE, WORTH
from searchlab.engine.remote_study import OFTEN
from searchlab.engine.study_actor import StudyActor
from searchlab.fusion.groups import Fuse, Group
from searchlab.runs.events import Event
from searchlab.runs.study_client import Decision
from searchlab.space.domains import Scalar
from searchlab.space.sweep import Sweep
from searchlab.tracking import writer
from searchlab.tracking.mlflow import POINTS
from searchlab.training import EpochReport

CALL = 0.0006  # seconds that a Ray actor call costs each side: python -m bench.simulate --costs
TUNE, START = 0.015, 1.3  # seconds that Tune takes to begin a worker, and its process to start, measured by hand
BATCH, RUN = 0.0038, 0.0157  # seconds of a batch and of a run in MLflow's embedded store, from the same
LOOK = 0.1  # seconds between two times that Tune asks for work for another worker, while there is none
LEAST = 1.0  # seconds between two checkpoints of a worker, at least: the default of Checkpoints
PAYS = 8  # trials of a structure that are taken to pay side by side, where groups find their size

Life: TypeAlias = Generator[float, None, Any]


@dataclass(frozen=True)
class Load:
    """What is simulated; seconds are those of the simulated clock."""

    workers: int
    trials: int
    epochs: int
    folds: int
    epoch_seconds: float  # of a group, in the median over groups
    group: Fuse
    seed: int
    checkpoint: float  # seconds that writing one takes


class Server:
    """The real desk as a Ray actor, which serves a call at a time, in the order in which they come.

    What a call takes is measured, and the transport's share is added. `busy` is in seconds.
    """

    def __init__(self, desk: StudyActor) -> None:
        self._desk, self._free, self.busy, self.served = desk, 0.0, 0.0, 0
        self.took: dict[str, array[float]] = defaultdict(lambda: array("d"))  # seconds of each call, by method

    def call(self, arrival: float, method: str, *given: Any) -> tuple[Any, float]:
        """The answer, and when it is there."""
        started = time.perf_counter()
        answer = getattr(self._desk, method)(*given)
        pickle.dumps(answer)
        seconds = time.perf_counter() - started
        self.took[method].append(seconds)
        self.busy, self.served = self.busy + CALL + seconds, self.served + 1
        self._free = max(arrival, self._free) + CALL + seconds
        return answer, self._free


@dataclass
class Writes:
    """What MLflow's record would write of the study's events, if it kept up: a batch per trial and period."""

    points: int = 0
    batches: int = 0
    runs: int = 0
    _pending: dict[int, int] = field(default_factory=dict)  # points by trial
    _begun: int = 0  # runs before the latest writing

    def take(self, events: Sequence[Event]) -> None:
        """Mean, spread, loss and every fold of an epoch; score, epoch and seconds of a trial that has ended."""
        for method, told in events:
            if method != "note":
                new = {"start": 0, "log": 3 + len(told.get("scores", ())), "finish": 3}[method]
                self._pending[told["trial"]] = self._pending.get(told["trial"], 0) + new
                self.runs += method == "start"

    def flush(self) -> float:
        """Write what is pending; how long that takes."""
        batches = sum(max(1, math.ceil(points / POINTS)) for points in self._pending.values())
        self.points += sum(self._pending.values())
        self.batches += batches
        self._pending.clear()
        begun, self._begun = self.runs - self._begun, self.runs
        return batches * BATCH + begun * RUN


class Simulation:
    """Workers at one desk until nothing is left to train. `now` is the simulated clock."""

    def __init__(self, load: Load, sweep: Sweep, desk: StudyActor) -> None:
        self.load, self.pruner, self.desk, self.writes = load, sweep.chosen_pruner, Server(desk), Writes()
        self.now, self.at_work, self.ended = 0.0, 0, False
        self.saved: dict[str, list[tuple[tuple[int, ...], EpochReport]]] = {}  # the reports in checkpoints, by group
        self.waits = array("d")  # seconds that a worker waited for an answer of the desk, each time
        self.epochs, self.checkpoints = 0, 0
        self._lives: list[Life] = []
        self._moments: list[tuple[float, int]] = []
        desk.seat({"cpu": load.workers})

    def run(self) -> None:
        """Let everybody go on in the order of their moments."""
        for life in (self._tune(), self._listen(), self._write()):
            self._begin(life, 0.0)
        while self._moments:
            self.now, number = heapq.heappop(self._moments)
            moment = next(self._lives[number], None)
            if moment is not None:
                heapq.heappush(self._moments, (moment, number))
        self.writes.take(self.desk.call(self.now, "drain")[0])
        self.writes.flush()

    def _begin(self, life: Life, moment: float) -> None:
        self._lives.append(life)
        heapq.heappush(self._moments, (moment, len(self._lives) - 1))

    def _tune(self) -> Life:
        """Begins a worker for every seat, as long as there is work."""
        for number in itertools.count():
            opening = "later"
            while opening == "later":
                opening, there = self.desk.call(self.now, "opening", str(number))
                yield there + (LOOK if opening == "later" else TUNE)
            if opening == "never":
                break
            self.at_work += 1
            self._begin(Worker(self, str(number)).life(), self.now + START)
        self.ended = True

    def _listen(self) -> Life:
        """The driver: asks for news."""
        while self.at_work or not self.ended:
            events, there = self.desk.call(self.now, "drain")
            self.writes.take(events)
            yield there + POLL

    def _write(self) -> Life:
        """The recording process: writes what has come in a period."""
        period = writer.PERIOD
        while self.at_work or not self.ended:
            yield self.now + period
            period = min(max(writer.PERIOD, self.writes.flush() / writer.SHARE), writer.LONGEST)


@dataclass
class Run:
    """A group at work, as `searchlab.engine.group_run.GroupRun` has it."""

    group: Group
    curves: Mapping[int, Array]  # (epochs, folds) by trial
    seconds: float  # of an epoch
    trials: tuple[int, ...]
    reports: list[tuple[tuple[int, ...], EpochReport]]
    epoch: int
    answer: tuple[Decision, float] | None = None  # to the latest report, and when it is there

    def report(self, now: float) -> EpochReport:
        """The next epoch."""
        self.epoch += 1
        scores = np.concatenate([self.curves[number][self.epoch - 1] for number in self.trials])
        report = EpochReport(self.epoch, 1.0 - scores, scores, (None,) * len(scores), self.seconds, now)
        self.reports.append((self.trials, report))
        return report


class Worker:
    """A process that trains nothing: it does what Shift, Worker, GroupRun and RemoteStudy do in a real one."""

    def __init__(self, world: Simulation, shift: str) -> None:
        self.world, self.load, self.shift = world, world.load, shift
        self._untold: list[tuple[tuple[int, ...], EpochReport]] = []
        self._told, self._due = -math.inf, world.now + LEAST  # when reports were last sent, when a checkpoint is next

    def life(self) -> Life:
        """One group after the other, until there are no more."""
        while group := (yield from self._ask("take", self.shift)):
            yield from self._train(group)
        yield from self._ask("leave", self.shift)
        self.world.at_work -= 1

    def _train(self, group: Group) -> Life:
        """Train a group to its end, or until it is put back."""
        run = yield from self._begun(group)
        began = len(run.trials)
        while run.trials and run.epoch + 1 < self.load.epochs:
            before = len(run.trials)
            yield from self._advance(run)
            left = (self.load.epochs - run.epoch) * run.seconds
            if run.trials and len(run.trials) < before and 2 * len(run.trials) <= began and left >= WORTH:
                yield from self._save(run)
                if (yield from self._ask("take_back", run.group.of(run.trials), run.epoch)):
                    return
            elif run.trials and self.world.now >= self._due:
                yield from self._save(run)
        if run.trials:
            yield from self._epoch(run)
            yield from self._ask("finish", run.trials, run.report(self.world.now))
        self.world.saved.pop(run.group.id, None)

    def _begun(self, group: Group) -> Generator[float, None, Run]:
        """The group with its followers, gone on with from the checkpoints of its parts."""
        if group.room:
            group = yield from self._ask("grow", group, PAYS)
        curves = {
            number: curve_of(parameters, self.load, number)
            for number, parameters in zip(group.trials, group.parameters, strict=True)
        }
        saved = [told for part in (group.id, *group.parts) for told in self.world.saved.pop(part, ())]
        seconds = self.load.epoch_seconds * _spread(self.load.seed, group.trials[0])
        run = Run(group, curves, seconds, group.trials, saved, saved[-1][1].epoch if saved else 0)
        if saved:
            yield from self._ask("recall", saved)
            yield from self._save(run)
        return run

    def _advance(self, run: Run) -> Life:
        """An epoch that is not the last, and the answer to it or to the one before."""
        yield from self._epoch(run)
        report, answer = run.report(self.world.now), run.answer
        at_once = self.world.pruner.decisive(report.epoch) or run.seconds >= AT_ONCE
        run.answer = yield from self._report(run.trials, report, at_once=at_once)
        answer = run.answer if at_once else answer
        if answer:
            verdict, there = answer
            yield from self._wait(self.world.now, there)
            run.trials = tuple(number for number in run.trials if number in verdict.stay)

    def _epoch(self, run: Run) -> Life:
        self.world.epochs += len(run.trials)
        yield self.world.now + run.seconds

    def _report(self, trials: tuple[int, ...], report: EpochReport, *, at_once: bool) -> Life:
        self._untold.append((trials, report))
        if not at_once and self.world.now - self._told < OFTEN:
            return Decision(trials), self.world.now
        self._told = self.world.now
        return (yield from self._send())

    def _send(self) -> Life:
        """Tell the epochs that were held back; the verdict, and when it is there."""
        epochs, self._untold = self._untold, []
        return (yield from self._call("reports", epochs))

    def _ask(self, method: str, *given: Any) -> Life:
        """The desk's answer, which has heard everything before it."""
        if self._untold:
            yield from self._send()
        begun = self.world.now
        answer, there = yield from self._call(method, *given)
        yield from self._wait(begun, there)
        return answer

    def _call(self, method: str, *given: Any) -> Life:
        yield self.world.now + CALL
        return self.world.desk.call(self.world.now, method, *given)

    def _wait(self, begun: float, there: float) -> Life:
        """Wait until this moment, for an answer that has been wanted since `begun`."""
        self.world.waits.append(max(there, self.world.now) - begun)
        if there > self.world.now:
            yield there

    def _save(self, run: Run) -> Life:
        self.world.saved[run.group.id] = run.reports
        self.world.checkpoints += 1
        yield self.world.now + self.load.checkpoint
        self._due = self.world.now + max(LEAST, self.load.checkpoint / SHARE)


def curve_of(parameters: Mapping[str, Scalar], load: Load, number: int) -> Array:
    """Accuracies (epochs, folds) of a trial: by a power law towards what its parameters are worth, with noise."""
    rng, kind = np.random.default_rng([load.seed, number]), parameters["optimizer"]
    rate = math.log10(float(parameters[f"optimizer.{kind}.lr"]) / {"SGD": 0.5, "Adam": 0.01}[str(kind)])  # type: ignore[arg-type]
    worth = 0.95 - 0.02 * rate**2 - 0.2 * float(parameters["model.dropout"]) ** 2  # type: ignore[arg-type]
    way = np.arange(1, load.epochs + 1)[:, None] ** -rng.uniform(0.5, 1.5)
    noise = 0.02 * rng.standard_normal((1, load.folds)) + 0.01 * rng.standard_normal((load.epochs, load.folds))
    curve: Array = worth - 0.5 * way + noise
    return curve


def _spread(seed: int, number: int) -> float:
    """How much longer than others the epochs of a group take."""
    return math.exp(0.2 * np.random.default_rng([seed, number, 1]).standard_normal())
