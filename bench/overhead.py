"""The overhead of a search: trials that do no training, studies of thousands of them, and the record in MLflow.

python -m bench.overhead [ray] [study] [postgresql] [record]
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

from bench.timing import ROOT  # first: it sets one BLAS thread

import numpy as np  # isort: skip

from models.mlp import MLP
from searchlab import (
    SGD,
    TPE,
    Accuracy,
    Adam,
    Choice,
    Float,
    Int,
    KFold,
    Random,
    Resources,
    Space,
    Spiral,
    Sweep,
    Trainer,
)
from searchlab.engine import ray_tune, tuner
from searchlab.engine.tune_worker import TuneWorker
from searchlab.pruning.pruner import NoPruning
from searchlab.runs.config import RunConfig
from searchlab.runs.events import EventBuffer, EventHandler, NullHandler
from searchlab.runs.job import Job
from searchlab.runs.manifest import SweepManifest
from searchlab.runs.workspace import Workspace
from searchlab.study.study import Study
from searchlab.tracking.recorder import Recorder
from searchlab.tracking.sweep_record import SweepRecord
from searchlab.training import EpochReport
from tests import postgres

FEW_TRIALS, MANY_TRIALS = 40, 240  # the cost of a trial is the time between their ends, divided by the 200 between
STUDY_TRIALS, EPOCHS, FOLDS = 2000, 20, 5
TRIAL_COUNTS = (500, 1000, 2000)  # after which the costs of a large study are taken
RECORDED_TRIALS = 200  # the record has about 200 metrics of each
SWEEP = Sweep(
    name="trivial",
    data=Spiral(points=4),
    validation=KFold(2),
    metric=Accuracy(),
    model=Space(MLP, hidden=2),
    optimizer=Space(SGD, lr=Float(0.01, 1.0, log=True)),
    training=Space(Trainer, batch_size=4, epochs=1),
    trials=MANY_TRIALS,
)
SIX_ARGUMENTS = {  # some of them conditional
    "model": Space(MLP, hidden=Int(5, 20, step=5), dropout=Float(0.0, 0.3)),
    "optimizer": Choice(Space(SGD, lr=Float(0.1, 2.0, log=True)), Space(Adam, lr=Float(1e-3, 0.1, log=True))),
    "training": Space(Trainer, batch_size=4, epochs=EPOCHS, clip_norm=Float(0.5, 5.0, log=True)),
}
SEARCHES = {  # without pruning: every learning curve is complete
    "random, 1 argument": replace(SWEEP, sampler=Random(), pruner=NoPruning()),
    "TPE, 1 argument": replace(SWEEP, sampler=TPE(), pruner=NoPruning()),
    "TPE, 6 arguments": replace(SWEEP, sampler=TPE(), pruner=NoPruning(), **SIX_ARGUMENTS),
}


class SilentWorker(TuneWorker):
    """A worker that reports no group to Ray Tune: all groups are one iteration."""

    def step(self) -> dict[str, Any]:
        """Train group after group, and return when the study has none for this worker."""
        while not (result := super().step()).get("done"):
            pass
        return result


def trial_milliseconds(workers: int, kind: type[TuneWorker] = TuneWorker) -> float:
    """Return the milliseconds that one more trial takes on Ray Tune, in a group of its own, once all workers train."""

    def named(name: str, resources: Resources) -> type[TuneWorker]:
        return type(name, (kind,), {"resources": resources, "__module__": kind.__module__})

    with tempfile.TemporaryDirectory() as name, mock.patch.object(tuner, "named_worker_class", named):
        folder = Path(name)
        config = RunConfig(fuse=1, workers=workers)
        job = Job(SWEEP, "trivial", folder / "study.journal", folder / "checkpoints", MANY_TRIALS, config, root=ROOT)
        ends = sorted(record.ended or 0.0 for record in ray_tune.search(job, EventBuffer()).trials)
    return 1000 * (ends[-1] - ends[FEW_TRIALS - 1]) / (MANY_TRIALS - FEW_TRIALS)


def print_trial_costs(workers: int) -> None:
    """Print what one more trial takes on Ray Tune, and how much of it is the result that Ray Tune gets."""
    costs = np.array([[trial_milliseconds(workers, kind) for kind in (TuneWorker, SilentWorker)] for _ in range(5)])
    reported, silent = np.median(costs, axis=0)
    result = np.median(costs[:, 0] - costs[:, 1])
    print(
        f"{workers} worker(s): overhead per trial {reported:.1f} ms ({costs[:, 0].min():.1f} to "
        f"{costs[:, 0].max():.1f}); goal 20; without results for Ray Tune {silent:.1f} ms, so that the result of a "
        f"group takes {result:.1f} ms; goal 2",
        flush=True,
    )


def random_reports() -> Iterator[list[EpochReport]]:
    """Yield the epoch reports of one trial after another, with random scores."""
    rng = np.random.default_rng(0)
    scores, losses = rng.random((50, EPOCHS, FOLDS)), rng.random((50, EPOCHS, FOLDS))
    for row in itertools.cycle(range(50)):
        yield [
            EpochReport(epoch + 1, losses[row, epoch], scores[row, epoch], (None,) * FOLDS, 0.1, time.time())
            for epoch in range(EPOCHS)
        ]


def study_costs(job: Job, handler: EventHandler) -> dict[int, tuple[float, float, int]]:
    """Return the seconds spent in the study, its CPU seconds and the bytes of its journal, by number of trials."""
    study, spent, costs = Study(job, handler), np.zeros(2), {}
    for count, reports in zip(range(1, job.trials + 1), random_reports(), strict=False):
        started = clocks()
        group = study.ask()
        for report in reports[:-1]:
            study.report(group.trials, report)
        study.finish(group.trials, reports[-1])
        spent += clocks() - started
        if count in TRIAL_COUNTS or count == job.trials:
            costs[count] = *spent.tolist(), job.storage.stat().st_size if isinstance(job.storage, Path) else 0
    study.close()
    return costs


def clocks() -> np.ndarray:
    """Return the time and the CPU time of this process (2,), in seconds: they differ where other programs run."""
    return np.array([time.perf_counter(), time.process_time()])


@contextmanager
def temporary_workspace(sweep: Sweep, trials: int) -> Iterator[tuple[Workspace, Job]]:
    """Create a workspace with this sweep in it, whose trials are in groups of one."""
    with tempfile.TemporaryDirectory() as name:
        workspace = Workspace.at(name)
        folder = workspace.sweep(sweep.name)
        SweepManifest.of(sweep, name=sweep.name, trials=trials).save(folder)
        job = Job(sweep, sweep.name, folder.study, folder.checkpoints, trials, RunConfig(fuse=1, workers=1))
        yield workspace, job


def reopen_seconds(job: Job) -> float:
    """Return how long it takes to open an existing study with all its trials."""
    started = time.perf_counter()
    study = Study(job, NullHandler())
    assert len(study.records()) == job.trials
    seconds = time.perf_counter() - started
    study.close()
    return seconds


def list_seconds(workspace: Workspace) -> float:
    """Return how long a `searchlab list` takes, from the start of its process to its end."""
    command = [sys.executable, "-m", "searchlab.cli", "list", "--home", str(workspace.path)]
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def print_study_costs(name: str, sweep: Sweep) -> None:
    """Print the costs of a large study: time and bytes per trial, the time to open it again, and to list it."""
    with temporary_workspace(sweep, STUDY_TRIALS) as (workspace, job):
        costs = study_costs(job, NullHandler())
        milliseconds = ", ".join(f"{1000 * costs[count][0] / count:.1f}" for count in TRIAL_COUNTS)
        cpu_milliseconds = 1000 * costs[STUDY_TRIALS][1] / STUDY_TRIALS
        kilobytes = ", ".join(f"{costs[count][2] / count / 1000:.2f}" for count in TRIAL_COUNTS)
        reopened = statistics.median(reopen_seconds(job) for _ in range(3))
        listed = statistics.median(list_seconds(workspace) for _ in range(3))
    counts = ", ".join(map(str, TRIAL_COUNTS))
    print(
        f"{name}: ms per trial over the first {counts} trials: {milliseconds} "
        f"(goal 15; {cpu_milliseconds:.1f} of it CPU time); "
        f"kB per trial: {kilobytes}; opened again in {reopened:.2f} s (goal 5), listed in {listed:.2f} s (goal 1)",
        flush=True,
    )


def print_database_costs() -> None:
    """Print what a trial costs with its study in PostgreSQL, on a server of its own with its default settings."""
    if reason := postgres.unavailable_reason():
        print(f"a study in PostgreSQL was not measured: {reason}")
        return
    with postgres.Postgres(settings=("fsync=on",)) as server:
        for number, (name, sweep) in enumerate(SEARCHES.items()):
            with temporary_workspace(sweep, STUDY_TRIALS) as (_, job):
                job = replace(job, storage=server.create(f"study_{number}"))
                costs = study_costs(job, NullHandler())
                milliseconds = ", ".join(f"{1000 * costs[count][0] / count:.1f}" for count in TRIAL_COUNTS)
                cpu_milliseconds = 1000 * costs[STUDY_TRIALS][1] / STUDY_TRIALS
                print(
                    f"{name}, in PostgreSQL: ms per trial over the first {', '.join(map(str, TRIAL_COUNTS))} trials: "
                    f"{milliseconds} (goal 3; {cpu_milliseconds:.1f} of it CPU time here); opened again in "
                    f"{reopen_seconds(job):.2f} s",
                    flush=True,
                )


def print_record_costs() -> None:
    """Print how much time the record in MLflow, which a process of its own writes, adds to a trial."""
    sweep = SEARCHES["random, 1 argument"]
    with temporary_workspace(sweep, RECORDED_TRIALS) as (workspace, job):
        without_record = study_costs(job, NullHandler())[RECORDED_TRIALS][0]
    with temporary_workspace(sweep, RECORDED_TRIALS) as (workspace, job):
        record = SweepRecord(sweep.name, "accuracy", "max", workspace.path, {}, {})
        recorder = Recorder(workspace.tracking_uri, record)
        assert recorder.run_id, "the store is created before the first trial, as in a run"
        started = time.perf_counter()
        with_record = study_costs(job, recorder)[RECORDED_TRIALS][0]
        recorder.conclude("FINISHED", {}, {})
        writing = time.perf_counter() - started
    without_record, with_record, writing = (
        1000 * seconds / RECORDED_TRIALS for seconds in (without_record, with_record, writing)
    )
    print(
        f"with the record, {RECORDED_TRIALS} trials, random: {with_record:.1f} ms per trial "
        f"({without_record:.1f} without it); the record itself is written at {writing:.0f} ms per trial, "
        "by its own process"
    )


def print_all_trial_costs() -> None:
    """Print what one more trial takes on Ray Tune with one worker, and with two."""
    for workers in (1, 2):
        print_trial_costs(workers)


def print_all_study_costs() -> None:
    """Print the costs of large studies whose journal is a file."""
    print(f"{STUDY_TRIALS} trials x {EPOCHS} epochs x {FOLDS} folds, groups of one, in one process:")
    for name, sweep in SEARCHES.items():
        print_study_costs(name, sweep)


PARTS = {
    "ray": print_all_trial_costs,
    "study": print_all_study_costs,
    "postgresql": print_database_costs,
    "record": print_record_costs,
}


def main() -> None:
    """Print the overhead of the parts that were named, by default of all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", metavar="|".join(PARTS), help="default: all")
    arguments = parser.parse_args()
    if wrong := [name for name in arguments.parts if name not in PARTS]:
        parser.error(f"there is no part {wrong[0]!r}; use {', '.join(PARTS)}.")
    for name in arguments.parts or PARTS:
        PARTS[name]()


if __name__ == "__main__":
    main()
