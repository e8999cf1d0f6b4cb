"""Parts of the cluster simulation: a simulated clock, an actor with a queue, and workers that train nothing.

The study actor, its study and its storage are real: each call is made, and takes on the simulated clock what it took.
A simulated process is a generator that yields the seconds at which it continues.
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
from searchlab.engine.checkpoints import MAX_TIME_SHARE
from searchlab.engine.driver_loop import POLL_INTERVAL
from searchlab.engine.group_run import MIN_MERGE_SECONDS, URGENT_EPOCH_SECONDS
from searchlab.engine.remote_study import REPORT_INTERVAL
from searchlab.engine.study_actor import StudyActor
from searchlab.fusion.groups import FuseOption, Group
from searchlab.runs.events import EpochFinished, Event, TrialFinished, TrialStarted
from searchlab.runs.study_client import Decision
from searchlab.space.domains import ParameterValues
from searchlab.space.sweep import Sweep
from searchlab.tracking import writer
from searchlab.tracking.batches import METRICS_PER_CALL
from searchlab.training import EpochReport

CALL_SECONDS = 0.0006  # that a Ray actor call costs each side: python -m bench.simulate --costs
TUNE_START_SECONDS, PROCESS_START_SECONDS = 0.015, 1.3  # of Tune for a worker, and of its process; measured by hand
BATCH_SECONDS, RUN_SECONDS = 0.0038, 0.0157  # of a batch and of a run in MLflow's embedded store, from --costs too
TUNE_RETRY_SECONDS = 0.1  # between two times that Tune asks for another worker while there is no work for one
MIN_CHECKPOINT_INTERVAL = 1.0  # seconds between two checkpoints of a worker: the default of CheckpointStore
ASSUMED_GROUP_SIZE = 8  # trials of a structure that train side by side, where the group size is not given

SimulatedProcess: TypeAlias = Generator[float, None, Any]
Reports: TypeAlias = list[tuple[tuple[int, ...], EpochReport]]  # epoch reports, each with its trials


@dataclass(frozen=True)
class Workload:
    """The search to simulate; seconds are those of the simulated clock."""

    workers: int
    trials: int
    epochs: int
    folds: int
    epoch_seconds: float  # of a group, in the median over groups
    group_size: FuseOption
    seed: int
    checkpoint_seconds: float  # of writing one checkpoint


class TimedActor:
    """The real study actor, which serves one call at a time, in the order of arrival.

    The duration of a call is measured, and the cost of its transport is added. `busy_seconds` is the sum of both.
    """

    def __init__(self, actor: StudyActor) -> None:
        self._actor, self._free_at, self.busy_seconds, self.calls = actor, 0.0, 0.0, 0
        self.call_seconds: dict[str, array[float]] = defaultdict(lambda: array("d"))  # of each call, by method

    def call(self, arrival: float, method: str, *arguments: Any) -> tuple[Any, float]:
        """Return the reply, and the second at which it arrives."""
        started = time.perf_counter()
        reply = getattr(self._actor, method)(*arguments)
        pickle.dumps(reply)
        seconds = time.perf_counter() - started
        self.call_seconds[method].append(seconds)
        self.busy_seconds, self.calls = self.busy_seconds + CALL_SECONDS + seconds, self.calls + 1
        self._free_at = max(arrival, self._free_at) + CALL_SECONDS + seconds
        return reply, self._free_at


@dataclass
class RecordWrites:
    """What the MLflow record would write of the events if it kept up: a batch for each trial and interval."""

    metrics: int = 0
    batches: int = 0
    runs: int = 0
    _pending: dict[int, int] = field(default_factory=dict)  # number of metrics by trial
    _written_runs: int = 0

    def add(self, events: Sequence[Event]) -> None:
        """Count mean, spread, loss and folds of each epoch, and score, epoch and seconds of each finished trial."""
        for event in events:
            if isinstance(event, TrialStarted | EpochFinished | TrialFinished):
                metrics = 3 + len(event.scores) if isinstance(event, EpochFinished) else 3
                new = 0 if isinstance(event, TrialStarted) else metrics
                self._pending[event.trial] = self._pending.get(event.trial, 0) + new
                self.runs += isinstance(event, TrialStarted)

    def flush(self) -> float:
        """Write what is pending, and return how many seconds that takes."""
        batches = sum(max(1, math.ceil(metrics / METRICS_PER_CALL)) for metrics in self._pending.values())
        self.metrics += sum(self._pending.values())
        self.batches += batches
        self._pending.clear()
        new_runs, self._written_runs = self.runs - self._written_runs, self.runs
        return batches * BATCH_SECONDS + new_runs * RUN_SECONDS


class ClusterSimulation:
    """Workers of one study until no trial is left. `now` is the simulated clock in seconds."""

    def __init__(self, workload: Workload, sweep: Sweep, actor: StudyActor) -> None:
        self.workload, self.pruner = workload, sweep.effective_pruner
        self.actor, self.writes = TimedActor(actor), RecordWrites()
        self.now, self.running_workers, self.all_started = 0.0, 0, False
        self.saved_reports: dict[str, Reports] = {}  # in checkpoints, by group
        self.wait_seconds = array("d")  # of a worker for a reply of the actor, each time
        self.epochs, self.checkpoints = 0, 0
        self._processes: list[SimulatedProcess] = []
        self._events: list[tuple[float, int]] = []  # second and number of the process that continues then
        actor.set_slots({"cpu": workload.workers})

    def run(self) -> None:
        """Let all processes continue in the order of their times, until all have ended."""
        for process in (self._tune(), self._driver(), self._recorder()):
            self._start(process, 0.0)
        while self._events:
            self.now, number = heapq.heappop(self._events)
            continues_at = next(self._processes[number], None)
            if continues_at is not None:
                heapq.heappush(self._events, (continues_at, number))
        self.writes.add(self.actor.call(self.now, "drain_events")[0])
        self.writes.flush()

    def _start(self, process: SimulatedProcess, at: float) -> None:
        self._processes.append(process)
        heapq.heappush(self._events, (at, len(self._processes) - 1))

    def _tune(self) -> SimulatedProcess:
        """Start a worker for every slot, as long as there is work."""
        for number in itertools.count():
            reply = "later"
            while reply == "later":
                reply, arrives_at = self.actor.call(self.now, "start_worker", str(number))
                yield arrives_at + (TUNE_RETRY_SECONDS if reply == "later" else TUNE_START_SECONDS)
            if reply == "never":
                break
            self.running_workers += 1
            self._start(SimulatedWorker(self, str(number)).process(), self.now + PROCESS_START_SECONDS)
        self.all_started = True

    def _driver(self) -> SimulatedProcess:
        """Collect the events of the study."""
        while self.running_workers or not self.all_started:
            events, arrives_at = self.actor.call(self.now, "drain_events")
            self.writes.add(events)
            yield arrives_at + POLL_INTERVAL

    def _recorder(self) -> SimulatedProcess:
        """Write the events of each interval."""
        interval = writer.WRITE_INTERVAL
        while self.running_workers or not self.all_started:
            yield self.now + interval
            seconds = self.writes.flush()
            interval = min(max(writer.WRITE_INTERVAL, seconds / writer.WRITE_SHARE), writer.MAX_WRITE_INTERVAL)


@dataclass
class SimulatedGroupRun:
    """The training of a group, in place of `searchlab.engine.group_run.GroupRun`."""

    group: Group
    curves: Mapping[int, Array]  # (epochs, folds) by trial
    epoch_seconds: float
    trials: tuple[int, ...]
    reports: Reports
    epoch: int
    latest_reply: tuple[Decision, float] | None = None  # to the latest report, and when it arrives

    def report(self, now: float) -> EpochReport:
        """Return the report of the next epoch."""
        self.epoch += 1
        scores = np.concatenate([self.curves[number][self.epoch - 1] for number in self.trials])
        report = EpochReport(self.epoch, 1.0 - scores, scores, (None,) * len(scores), self.epoch_seconds, now)
        self.reports.append((self.trials, report))
        return report


class SimulatedWorker:
    """A worker that trains nothing: it makes the calls of a Tune worker, its Worker, GroupRun and RemoteStudy."""

    def __init__(self, simulation: ClusterSimulation, worker_id: str) -> None:
        self.simulation, self.workload, self.worker_id = simulation, simulation.workload, worker_id
        self._unsent_reports: Reports = []
        self._last_sent, self._next_checkpoint = -math.inf, simulation.now + MIN_CHECKPOINT_INTERVAL

    def process(self) -> SimulatedProcess:
        """Train one group after the other, until there are no more."""
        while group := (yield from self._request("next_group", self.worker_id)):
            yield from self._train(group)
        yield from self._request("worker_ended", self.worker_id)
        self.simulation.running_workers -= 1

    def _train(self, group: Group) -> SimulatedProcess:
        """Train a group to its end, or until its survivors are returned to the study."""
        run = yield from self._begin(group)
        started_trials = len(run.trials)
        while run.trials and run.epoch + 1 < self.workload.epochs:
            before = len(run.trials)
            yield from self._advance(run)
            seconds_left = (self.workload.epochs - run.epoch) * run.epoch_seconds
            has_shrunk = len(run.trials) < before and 2 * len(run.trials) <= started_trials
            if run.trials and has_shrunk and seconds_left >= MIN_MERGE_SECONDS:
                yield from self._save(run)
                if (yield from self._request("return_survivors", run.group.subset(run.trials), run.epoch)):
                    return
            elif run.trials and self.simulation.now >= self._next_checkpoint:
                yield from self._save(run)
        if run.trials:
            yield from self._train_epoch(run)
            yield from self._request("finish", run.trials, run.report(self.simulation.now))
        self.simulation.saved_reports.pop(run.group.id, None)

    def _begin(self, group: Group) -> Generator[float, None, SimulatedGroupRun]:
        """Return the run of the group with its followers, continued from the checkpoints of the merged groups."""
        if group.max_followers:
            group = yield from self._request("grow", group, ASSUMED_GROUP_SIZE)
        curves = {
            number: random_curve(parameters, self.workload, number)
            for number, parameters in zip(group.trials, group.parameters, strict=True)
        }
        names = (group.id, *group.merged_groups)
        saved = [report for name in names for report in self.simulation.saved_reports.pop(name, ())]
        seconds = self.workload.epoch_seconds * _random_factor(self.workload.seed, group.trials[0])
        run = SimulatedGroupRun(group, curves, seconds, group.trials, saved, saved[-1][1].epoch if saved else 0)
        if saved:
            yield from self._request("restore_reports", saved)
            yield from self._save(run)
        return run

    def _advance(self, run: SimulatedGroupRun) -> SimulatedProcess:
        """Train an epoch that is not the last, and apply the decision on it or on the one before."""
        yield from self._train_epoch(run)
        report, previous_reply = run.report(self.simulation.now), run.latest_reply
        waits = self.simulation.pruner.worker_waits(report.epoch) or run.epoch_seconds >= URGENT_EPOCH_SECONDS
        run.latest_reply = yield from self._report(run.trials, report, urgent=waits)
        reply = run.latest_reply if waits else previous_reply
        if reply:
            decision, arrives_at = reply
            yield from self._wait(self.simulation.now, arrives_at)
            run.trials = tuple(number for number in run.trials if number in decision.trials)

    def _train_epoch(self, run: SimulatedGroupRun) -> SimulatedProcess:
        self.simulation.epochs += len(run.trials)
        yield self.simulation.now + run.epoch_seconds

    def _report(self, trials: tuple[int, ...], report: EpochReport, *, urgent: bool) -> SimulatedProcess:
        self._unsent_reports.append((trials, report))
        if not urgent and self.simulation.now - self._last_sent < REPORT_INTERVAL:
            return Decision(trials), self.simulation.now
        self._last_sent = self.simulation.now
        return (yield from self._send_reports())

    def _send_reports(self) -> SimulatedProcess:
        """Send the collected reports; return the decision, and when it arrives."""
        reports, self._unsent_reports = self._unsent_reports, []
        return (yield from self._call("report_epochs", reports))

    def _request(self, method: str, *arguments: Any) -> SimulatedProcess:
        """Return the reply of the actor, which has received all reports before."""
        if self._unsent_reports:
            yield from self._send_reports()
        requested_at = self.simulation.now
        reply, arrives_at = yield from self._call(method, *arguments)
        yield from self._wait(requested_at, arrives_at)
        return reply

    def _call(self, method: str, *arguments: Any) -> SimulatedProcess:
        yield self.simulation.now + CALL_SECONDS
        return self.simulation.actor.call(self.simulation.now, method, *arguments)

    def _wait(self, requested_at: float, arrives_at: float) -> SimulatedProcess:
        """Wait for a reply that was requested at `requested_at`."""
        self.simulation.wait_seconds.append(max(arrives_at, self.simulation.now) - requested_at)
        if arrives_at > self.simulation.now:
            yield arrives_at

    def _save(self, run: SimulatedGroupRun) -> SimulatedProcess:
        seconds = self.workload.checkpoint_seconds
        self.simulation.saved_reports[run.group.id] = run.reports
        self.simulation.checkpoints += 1
        yield self.simulation.now + seconds
        self._next_checkpoint = self.simulation.now + max(MIN_CHECKPOINT_INTERVAL, seconds / MAX_TIME_SHARE)


def random_curve(parameters: ParameterValues, workload: Workload, number: int) -> Array:
    """Return accuracies (epochs, folds) that approach a level given by the parameters by a power law, with noise."""
    generator, optimizer = np.random.default_rng([workload.seed, number]), str(parameters["optimizer"])
    lr, best_lr = float(parameters[f"optimizer.{optimizer}.lr"]), {"SGD": 0.5, "Adam": 0.01}[optimizer]  # type: ignore[arg-type]
    level = 0.95 - 0.02 * math.log10(lr / best_lr) ** 2 - 0.2 * float(parameters["model.dropout"]) ** 2  # type: ignore[arg-type]
    distance = np.arange(1, workload.epochs + 1)[:, None] ** -generator.uniform(0.5, 1.5)  # (epochs, 1)
    noise = 0.02 * generator.standard_normal((1, workload.folds))
    noise = noise + 0.01 * generator.standard_normal((workload.epochs, workload.folds))
    curve: Array = level - 0.5 * distance + noise
    return curve


def _random_factor(seed: int, number: int) -> float:
    """Return by how much the epochs of a group take longer than those of others."""
    return math.exp(0.2 * np.random.default_rng([seed, number, 1]).standard_normal())
