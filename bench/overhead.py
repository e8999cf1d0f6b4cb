"""What a search costs beside the training: trials that train for no time, and studies of thousands of them.

python -m bench.overhead
"""

from __future__ import annotations

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

import bench.timing  # noqa: F401  # first: it sets one BLAS thread  # isort: skip

import numpy as np

from models.mlp import MLP
from searchlab import SGD, TPE, Accuracy, Adam, Choice, Float, Int, KFold, Random, Space, Spiral, Sweep, Trainer
from searchlab.engine import ray_tune
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

FEW, MANY = 40, 240  # the marginal cost is the difference over the 200 between
LARGE, EPOCHS, FOLDS = 2000, 20, 5
STAGES = (500, 1000, 2000)
RECORDED = 200  # trials: the record takes some 200 metrics of each
ROOT = Path(__file__).parents[1]
SWEEP = Sweep(
    name="trivial",
    data=Spiral(points=4),
    validation=KFold(2),
    metric=Accuracy(),
    model=Space(MLP, hidden=2),
    optimizer=Space(SGD, lr=Float(0.01, 1.0, log=True)),
    training=Space(Trainer, batch_size=4, epochs=1),
    trials=MANY,
)
SIX = {  # arguments, one of them under a condition
    "model": Space(MLP, hidden=Int(5, 20, step=5), dropout=Float(0.0, 0.3)),
    "optimizer": Choice(Space(SGD, lr=Float(0.1, 2.0, log=True)), Space(Adam, lr=Float(1e-3, 0.1, log=True))),
    "training": Space(Trainer, batch_size=4, epochs=EPOCHS, clip_norm=Float(0.5, 5.0, log=True)),
}
SEARCHES = {  # of whole curves: nothing is stopped
    "random, 1 argument": replace(SWEEP, sampler=Random(), pruner=NoPruning()),
    "TPE, 1 argument": replace(SWEEP, sampler=TPE(), pruner=NoPruning()),
    "TPE, 6 arguments": replace(SWEEP, sampler=TPE(), pruner=NoPruning(), **SIX),
}


def tune_seconds(trials: int, workers: int) -> float:
    """From the first ask to the last finish of this many trivial trials."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        config = RunConfig(fuse=1, workers=workers)
        job = Job(SWEEP, "trivial", place / "study.journal", place / "checkpoints", trials, config, root=ROOT)
        records = ray_tune.search(job, EventBuffer()).trials
    return max(record.ended or 0.0 for record in records) - min(record.started for record in records)


def curves() -> Iterator[list[EpochReport]]:
    """The reports of one trial after another, made up."""
    rng = np.random.default_rng(0)
    scores, losses = rng.random((50, EPOCHS, FOLDS)), rng.random((50, EPOCHS, FOLDS))
    for row in itertools.cycle(range(50)):
        yield [
            EpochReport(epoch + 1, losses[row, epoch], scores[row, epoch], (None,) * FOLDS, 0.1, time.time())
            for epoch in range(EPOCHS)
        ]


def study_seconds(job: Job, handler: EventHandler) -> dict[int, tuple[float, float, int]]:
    """After so many trials: seconds spent in the study, those of them at work, and the bytes of its journal."""
    study, spent, after = Study(job, handler), np.zeros(2), {}
    for done, reports in zip(range(1, job.trials + 1), curves(), strict=False):
        started = clocks()
        group = study.ask()
        for report in reports[:-1]:
            study.report(group.trials, report)
        study.finish(group.trials, reports[-1])
        spent += clocks() - started
        if done in STAGES or done == job.trials:
            after[done] = *spent.tolist(), job.storage.stat().st_size
    study.close()
    return after


def clocks() -> np.ndarray:
    """The time, and this process' time at work (2,), in seconds: they differ where the machine is not alone."""
    return np.array([time.perf_counter(), time.process_time()])


@contextmanager
def begun(sweep: Sweep, trials: int) -> Iterator[tuple[Workspace, Job]]:
    """A home with this sweep in it, for trials in groups of one."""
    with tempfile.TemporaryDirectory() as folder:
        home = Workspace.at(folder)
        place = home.sweep(sweep.name)
        SweepManifest.of(sweep, name=sweep.name, trials=trials).save(place)
        yield home, Job(sweep, sweep.name, place.study, place.checkpoints, trials, RunConfig(fuse=1, workers=1))


def opened_seconds(job: Job) -> float:
    """Until a study that is there is owned again, with all its trials."""
    started = time.perf_counter()
    study = Study(job, NullHandler())
    assert len(study.records()) == job.trials
    seconds = time.perf_counter() - started
    study.close()
    return seconds


def listed_seconds(home: Workspace) -> float:
    """A `searchlab list`, from the start of its process to its end."""
    started = time.perf_counter()
    subprocess.run([sys.executable, "-m", "searchlab.cli", "list", "--home", str(home.path)], check=True, stdout=-3)
    return time.perf_counter() - started


def large(name: str, sweep: Sweep) -> None:
    """Print what a large study costs: a trial, its place on the disk, to open it again and to list it."""
    with begun(sweep, LARGE) as (home, job):
        after = study_seconds(job, NullHandler())
        each = ", ".join(f"{1000 * after[n][0] / n:.1f}" for n in STAGES)
        work = 1000 * after[LARGE][1] / LARGE
        size = ", ".join(f"{after[n][2] / n / 1000:.2f}" for n in STAGES)
        opened = statistics.median(opened_seconds(job) for _ in range(3))
        listed = statistics.median(listed_seconds(home) for _ in range(3))
    stages = ", ".join(map(str, STAGES))
    print(
        f"{name}: ms per trial over the first {stages} trials: {each} (goal 15; {work:.1f} of it at work); "
        f"kB per trial: {size}; opened again in {opened:.2f} s (goal 5), listed in {listed:.2f} s (goal 1)",
        flush=True,
    )


def recorded() -> None:
    """Print what the record in MLflow, which is written by a process of its own, adds to a trial."""
    sweep = SEARCHES["random, 1 argument"]
    with begun(sweep, RECORDED) as (home, job):
        alone = study_seconds(job, NullHandler())[RECORDED][0]
    with begun(sweep, RECORDED) as (home, job):
        recorder = Recorder(home.tracking_uri, SweepRecord(sweep.name, "accuracy", "max", home.path, {}, {}))
        assert recorder.run_id, "the store is made before the first trial, as in a run"
        started = time.perf_counter()
        searched = study_seconds(job, recorder)[RECORDED][0]
        recorder.conclude("FINISHED", {}, {})
        written = time.perf_counter() - started
    each = [1000 * seconds / RECORDED for seconds in (alone, searched, written)]
    print(
        f"with the record, {RECORDED} trials, random: {each[1]:.1f} ms per trial ({each[0]:.1f} without it); "
        f"the record itself is written at {each[2]:.0f} ms per trial, by its own process"
    )


def main() -> None:
    """Print the cost of a trial: marginal, for one worker and for two, and in large studies."""
    for workers in (1, 2):
        costs = [(tune_seconds(MANY, workers) - tune_seconds(FEW, workers)) / (MANY - FEW) for _ in range(3)]
        told = ", ".join(f"{1000 * cost:.1f}" for cost in costs)
        middle = 1000 * statistics.median(costs)
        print(f"{workers} worker(s): one more trivial trial costs {middle:.1f} ms ({told}); goal 20", flush=True)
    print(f"{LARGE} trials x {EPOCHS} epochs x {FOLDS} folds, groups of one, in one process:")
    for name, sweep in SEARCHES.items():
        large(name, sweep)
    recorded()


if __name__ == "__main__":
    main()
