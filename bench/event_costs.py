"""The costs of single events: an actor call, a pruner's decision, a record in MLflow, and a checkpoint."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import bench.timing  # noqa: F401  # first: it sets one BLAS thread  # isort: skip

import numpy as np
import ray

from bench.mlp_torch import DEEP
from bench.overhead import SWEEP
from models.mlp import MLP
from models.rnn_lm import RnnLM
from searchlab.cluster.connection import connected
from searchlab.engine.checkpoints import MAX_TIME_SHARE, Checkpoint, CheckpointStore
from searchlab.nn import Model, Parameters
from searchlab.optim import SGD, Adam
from searchlab.pruning.halving import Halving
from searchlab.pruning.learning_curves import LearningCurves
from searchlab.replicas import Replicas
from searchlab.runs.config import RunConfig
from searchlab.runs.events import EpochFinished, TrialFinished, TrialStarted
from searchlab.runs.job import Job
from searchlab.runs.study_client import Decision
from searchlab.tracking.mlflow import MlflowRecord
from searchlab.tracking.sweep_record import SweepRecord
from searchlab.training import EpochReport

CALLS = 2000  # actor calls of each measurement
COMPARED_TRIALS = (1_000, 10_000, 100_000)  # among which a pruner decides
RECORD_EVENTS = {"start": "to start a run", "epoch": "for the 8 metrics of an epoch", "end": "to end it"}


class InstantActor:
    """An actor in place of the study, whose replies take no time."""

    def report_epochs(self, reports: object) -> Decision:
        """Return a reply of the usual size."""
        return Decision(tuple(range(8)))

    def cpu_seconds(self) -> float:
        """Return the CPU time of this process."""
        return time.process_time()


def send_reports(actor: Any, calls: int, pending: int) -> None:
    """Send this many reports, with at most `pending` of them without a reply."""
    report, sent = EpochReport(1, np.zeros(40), np.zeros(40), (None,) * 40, 0.1, 0.0), []
    for _ in range(calls):
        sent.append(actor.report_epochs.remote([(tuple(range(8)), report)]))
        if len(sent) >= pending:
            ray.get(sent.pop(0))
    ray.get(sent)


def print_ray_costs(folder: Path) -> None:
    """Print what an actor call costs, from one caller that waits for each reply, and from eight callers."""
    with connected(Job(SWEEP, "costs", folder / "costs.journal", folder / "checkpoints", 1, RunConfig(workers=2))):
        actor: Any = ray.remote(InstantActor).options(num_cpus=0).remote()
        caller = ray.remote(num_cpus=0)(send_reports)
        send_reports(actor, 200, 1)
        ray.get([caller.remote(actor, 10, 1) for _ in range(8)])
        for name, work in (
            ("one caller, one call pending", lambda: send_reports(actor, CALLS, 1)),
            ("one caller, fifty calls pending", lambda: send_reports(actor, CALLS, 50)),
            ("eight callers", lambda: ray.get([caller.remote(actor, CALLS // 8, 1) for _ in range(8)])),
        ):
            milliseconds, cpu_milliseconds = call_costs(actor, work, CALLS)
            text = f"{milliseconds:.2f} ms per call, {cpu_milliseconds:.2f} ms of the actor's CPU time"
            print(f"actor call, {name}: {text}", flush=True)


def call_costs(actor: Any, work: Callable[[], object], calls: int) -> tuple[float, float]:
    """Return the milliseconds of each call: of time, and of the actor's CPU time."""
    cpu_before, started = ray.get(actor.cpu_seconds.remote()), time.perf_counter()
    work()
    seconds = time.perf_counter() - started
    return 1000 * seconds / calls, 1000 * (ray.get(actor.cpu_seconds.remote()) - cpu_before) / calls


def print_pruner_costs(folds: int) -> None:
    """Print how long the default pruner takes to decide on one trial among many that have reached the same epoch."""
    for count in COMPARED_TRIALS:
        generator, curves = np.random.default_rng(0), LearningCurves("max")
        for trial in range(count):
            for scores in 0.5 + 0.1 * generator.standard_normal((3 if trial % 3 == 0 else 2, folds)):
                curves.add_epoch(trial, scores.tolist())
        milliseconds = {}
        for epoch, trials in ((2, range(1, count, 3)), (3, range(0, count, 3))):
            decided = trials[:200]
            started = time.perf_counter()
            for trial in decided:
                Halving().stop_reason(curves, trial)
            milliseconds[epoch] = 1000 * (time.perf_counter() - started) / len(decided)
        text = ", ".join(f"{ms:.2f} ms after epoch {epoch}" for epoch, ms in milliseconds.items())
        print(f"Halving() among {count:,} trials: {text}", flush=True)


def print_record_costs(folder: Path) -> None:
    """Print how long MLflow's embedded store takes for a run, for a small batch, and for many metrics at once."""
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    record = MlflowRecord(uri, SweepRecord("costs", "accuracy", "max", folder, {}, {}), 0.0)
    record.flush()
    count, seconds = 100, {}

    def measure(name: str, add_events: Callable[[int], None]) -> None:
        for trial in range(count):
            add_events(trial)
        started = time.perf_counter()
        record.flush()
        seconds[name] = (time.perf_counter() - started) / count

    def add_epochs(trial: int, first: int, last: int) -> None:
        for epoch in range(first, last + 1):
            record.handle(EpochFinished(trial, epoch, [0.5] * 5, [1.0] * 5, 0.0))

    measure("start", lambda trial: record.handle(TrialStarted(trial, {f"p{n}": n for n in range(6)}, 0.0)))
    measure("epoch", lambda trial: add_epochs(trial, 1, 1))
    measure("bulk", lambda trial: add_epochs(trial, 2, 101))
    measure("end", lambda trial: record.handle(TrialFinished(trial, "COMPLETE", 0.5, 1, None, 1.0, 0.0)))
    text = ", ".join(f"{1000 * seconds[name]:.1f} ms {event}" for name, event in RECORD_EVENTS.items())
    print(f"MLflow on SQLite: {text}; {800 / seconds['bulk']:,.0f} metrics/s in large calls", flush=True)


def print_checkpoint_costs(folder: Path) -> None:
    """Print how large the checkpoint of a group of real networks is, and how long writing it takes here."""
    tied = partial(RnnLM, vocabulary_size=10_000, layers=2, hidden=650, embed=650, tied=True)
    models: dict[str, tuple[int, Callable[[Replicas], Model], type]] = {
        "64-64-10, Adam": (5, lambda r: MLP(r, 64, 10), Adam),
        "784-100-10, Adam": (5, lambda r: MLP(r, 784, 10, hidden=100), Adam),
        "784-1024-512-512-512-10, Adam": (5, lambda r: MLP(r, 784, 10, hidden=DEEP[1:-1]), Adam),
        "LSTM 1x100, 10,000 words, SGD": (3, lambda r: RnnLM(r, 10_000), SGD),
        "LSTM 2x650 tied, 10,000 words, SGD": (3, tied, SGD),
    }
    for name, (folds, model, optimizer) in models.items():
        replicas = Replicas(list(range(folds)))
        parameters = Parameters(model(replicas).named_parameters())
        slots = {f"optimizer/{slot}": array for slot, array in optimizer(parameters, replicas).state().items()}
        state = parameters.state() | slots
        size, seconds = sum(array.nbytes for array in state.values()), checkpoint_seconds(folder, state)
        interval = max(1.0, seconds / MAX_TIME_SHARE)
        print(
            f"checkpoint of {name}: {size / folds / 1e6:.2f} MB per replica, {size / 1e6:.1f} MB for {folds} folds, "
            f"written in {seconds:.3f} s ({size / seconds / 1e6:.0f} MB/s), so at most every {interval:.1f} s: "
            f"{size / interval / 1e6:.1f} MB/s per worker"
        )


def checkpoint_seconds(folder: Path, state: dict[str, np.ndarray]) -> float:
    """Return how long writing a checkpoint with this state takes, the median of five."""
    report = EpochReport(1, np.zeros(1), np.zeros(1), (None,), 0.0, 0.0)
    checkpoints, seconds = CheckpointStore(folder), []
    for _ in range(5):
        started = time.perf_counter()
        checkpoints.save("measured", Checkpoint((0,), (((0,), report),), state))
        seconds.append(time.perf_counter() - started)
    checkpoints.delete("measured")
    return statistics.median(seconds)
