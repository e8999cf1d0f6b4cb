"""A thousand workers and a hundred thousand trials, on a simulated clock: what becomes of the study, and of the record.

python -m bench.simulate [--workers N...] [--trials N] [--epochs N] [--folds N] [--epoch-seconds S] [--group N|auto]
                         [--sampler random|tpe] [--storage URL] [--seed N] [--costs]

Workers train nothing (bench/simulated.py). The desk, the study, its pruner and its storage are the real ones: a call
takes on the simulated clock what it took by the wall clock, which is too long where the machine is not at rest. Fewer
workers get as many trials for each. --costs prints what single events cost, and simulates small searches alone.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import bench.timing  # noqa: F401  # first: it sets one BLAS thread  # isort: skip

import numpy as np
import ray
import sqlalchemy
from sqlalchemy.engine import make_url

from bench.mlp_torch import DEEP
from bench.overhead import SIX, SWEEP
from bench.simulated import Load, Simulation
from models.mlp import MLP
from models.rnn_lm import RnnLM
from searchlab import TPE, KFold, Random
from searchlab.cluster.connection import connected
from searchlab.engine.checkpoints import SHARE, Checkpoint, Checkpoints
from searchlab.engine.payload import JobPayload, payload_for_study
from searchlab.engine.study_actor import StudyActor, tune_garbage_collector
from searchlab.nn import Model, Parameters
from searchlab.optim import SGD, Adam
from searchlab.pruning.halving import Halving
from searchlab.pruning.learning_curves import LearningCurves
from searchlab.replicas import Replicas
from searchlab.runs.events import Ending, SweepRecord
from searchlab.runs.job import Job
from searchlab.runs.study_client import Decision
from searchlab.tracking.mlflow import Record
from searchlab.training import EpochReport

FINAL = ("COMPLETE", "PRUNED", "FAIL", "INFEASIBLE")
REPLICA = 100_000  # bytes of a replica's state, by which a simulated checkpoint is measured: 25,000 numbers
RECORDED = {"run": "to begin a run", "batch": "for the 8 points of an epoch", "end": "to end it"}
COUNTS = (1_000, 10_000, 100_000)  # trials that a pruner compares with


@dataclass
class Storage:
    """A study's storage under observation: its writes, commits of a database or lines of a journal, and its bytes."""

    at: Path | str
    commits: int = 0

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Count the commits of this process while the block lasts."""

        def count(connection: object) -> None:
            self.commits += 1

        sqlalchemy.event.listen(sqlalchemy.Engine, "commit", count)
        yield
        sqlalchemy.event.remove(sqlalchemy.Engine, "commit", count)

    @property
    def writes(self) -> int:
        """How often it was written to."""
        if isinstance(self.at, str):
            return self.commits
        with self.at.open("rb") as lines:
            return sum(1 for _ in lines)

    @property
    def bytes(self) -> int:
        """How large it is, all studies in it together."""
        if isinstance(self.at, Path):
            return self.at.stat().st_size
        lite = make_url(self.at).get_backend_name() == "sqlite"
        asked = "page_count * page_size FROM pragma_page_count(), pragma_page_size()"
        with sqlalchemy.create_engine(self.at).connect() as connection:
            question = f"SELECT {asked if lite else 'pg_database_size(current_database())'}"
            return int(connection.execute(sqlalchemy.text(question)).scalar_one())


@dataclass(frozen=True)
class Outcome:
    """A simulation that has run, what was stored, and what it took in earnest.

    `seconds` of simulating, `opened` until another desk has the study and all its trials, `memory` of this process.
    """

    world: Simulation
    writes: int
    bytes: int
    seconds: float
    opened: float
    memory: float

    def figures(self) -> Iterator[tuple[str, str]]:
        """What it says, by the name of the row."""
        world, load = self.world, self.world.load
        span, reports = world.now, len(world.desk.took["reports"])
        waits, work = np.array(world.waits), sum(map(sum, world.desk.took.values()))
        whole = span * load.workers
        yield "trials", f"{load.trials:,}"
        yield "simulated hours", f"{span / 3600:.2f}"
        yield "trials per second", f"{load.trials / span:.1f}"
        yield "epochs per trial", f"{world.epochs / load.trials:.1f}"
        yield "trial-epochs per second", f"{world.epochs / span:,.0f}"
        yield "study: reports per second", f"{reports / span:.1f}"
        yield "study: calls per second", f"{world.desk.served / span:.1f}"
        yield "study: busy", f"{world.desk.busy / span:.1%}"
        yield "  of it in its own code", f"{work / span:.1%}"
        yield "wait for it, ms: median", f"{1000 * np.median(waits):.1f}"
        yield "  95th percentile", f"{1000 * np.quantile(waits, 0.95):.1f}"
        yield "  longest", f"{1000 * waits.max():.0f}"
        yield "workers' time so lost", f"{waits.sum() / whole:.2%}"
        yield "checkpoints per second", f"{world.checkpoints / span:.1f}"
        yield "storage: writes per trial", f"{self.writes / load.trials:.1f}"
        yield "  writes per second", f"{self.writes / span:,.0f}"
        yield "  kB per trial", f"{self.bytes / load.trials / 1000:.2f}"
        yield "  MB", f"{self.bytes / 1e6:.0f}"
        yield "MLflow: points per second", f"{world.writes.points / span:,.0f}"
        yield "  batches per second", f"{world.writes.batches / span:,.0f}"
        yield "  runs per second", f"{world.writes.runs / span:.1f}"
        yield "real seconds: simulated in", f"{self.seconds:.0f}"
        yield "  opened again in", f"{self.opened:.1f}"
        yield "memory so far, GB", f"{self.memory / 1e9:.2f}"


def simulated(asked: argparse.Namespace, workers: int, trials: int, storage: Path | str, folder: Path) -> Outcome:
    """Simulate one search to its end; every trial must have ended in a final state, and be stored so."""
    sampler = {"random": Random(), "tpe": TPE()}[asked.sampler]
    sweep = replace(SWEEP, name="simulated", validation=KFold(asked.folds), sampler=sampler, **SIX)
    sweep = sweep.with_values({"training.epochs": asked.epochs})
    name, seconds = f"simulated-{os.getpid()}-{workers}", checkpoint_seconds(folder / "checkpoints", asked)
    job = Job(sweep, name, storage, folder / "checkpoints", trials, asked.seed, asked.group, workers)
    load = Load(workers, trials, asked.epochs, asked.folds, asked.epoch_seconds, asked.group, asked.seed, seconds)
    begun, parcel, kept = time.perf_counter(), payload_for_study(job), Storage(storage)
    with kept.watched():
        desk = StudyActor(parcel)
        desk.open()
        tune_garbage_collector()  # as its actor does
        world = Simulation(load, sweep, desk)
        world.run()
    desk.close()
    taken, most = time.perf_counter() - begun, 1024.0 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return Outcome(world, kept.writes, kept.bytes, taken, opened_seconds(parcel, trials), most)


def opened_seconds(parcel: JobPayload, trials: int) -> float:
    """Until another desk has the study with all its trials, each of them in a final state."""
    started = time.perf_counter()
    desk = StudyActor(parcel)
    desk.open()
    tune_garbage_collector()
    states = [record.state for record in desk.records()]
    seconds = time.perf_counter() - started
    desk.close()
    assert len(states) == trials, f"{len(states)} trials where {trials} were asked for"
    assert set(states) <= set(FINAL), f"a trial has not ended: {sorted(set(states))}"
    return seconds


def checkpoint_seconds(folder: Path, asked: argparse.Namespace) -> float:
    """What a checkpoint of a group of small networks takes to be written here."""
    replicas = asked.folds * (asked.group if isinstance(asked.group, int) else 8)
    state = {"parameters": np.ones((replicas, REPLICA // 4), np.float32)}
    return saved_seconds(folder, state)


def saved_seconds(folder: Path, state: dict[str, np.ndarray]) -> float:
    """What a checkpoint with this state takes to be written, in the median of five."""
    report = EpochReport(1, np.zeros(1), np.zeros(1), (None,), 0.0, 0.0)
    checkpoints, taken = Checkpoints(folder), []
    for _ in range(5):
        started = time.perf_counter()
        checkpoints.save("measured", Checkpoint((0,), (((0,), report),), state))
        taken.append(time.perf_counter() - started)
    checkpoints.drop("measured")
    return statistics.median(taken)


def table(outcomes: list[Outcome]) -> None:
    """Print a column for each number of workers."""
    columns = [dict(outcome.figures()) for outcome in outcomes]
    print(f"{'workers':28}" + "".join(f"{outcome.world.load.workers:12,}" for outcome in outcomes))
    for row in columns[0]:
        print(f"{row:28}" + "".join(f"{column[row]:>12}" for column in columns), flush=True)


def calls(outcome: Outcome) -> None:
    """Print what each call of the desk took in its own code, without the transport."""
    for method, took in sorted(outcome.world.desk.took.items()):
        middle, late, longest = 1000 * np.quantile(took, (0.5, 0.99, 1.0))
        told = (
            f"median {middle:.2f}, mean {1000 * np.mean(took):.2f}, 99th percentile {late:.2f}, longest {longest:.0f}"
        )
        print(f"  {method:10}{len(took):9,} calls, ms: {told}")


class Nothing:
    """An actor in the desk's place, whose answers take no time."""

    def reports(self, epochs: object) -> Decision:
        """The answer to a report."""
        return Decision(tuple(range(8)))

    def seconds(self) -> float:
        """What this process has been at work."""
        return time.process_time()


def asking(desk: Any, calls: int, abreast: int) -> None:
    """Report so often, with so many reports on the way."""
    report, sent = EpochReport(1, np.zeros(40), np.zeros(40), (None,) * 40, 0.1, 0.0), []
    for _ in range(calls):
        sent.append(desk.reports.remote([(tuple(range(8)), report)]))
        if len(sent) >= abreast:
            ray.get(sent.pop(0))
    ray.get(sent)


def ray_costs(folder: Path) -> None:
    """Print what an actor call costs, of one caller that waits for each answer and of eight."""
    with connected(Job(SWEEP, "nothing", folder / "nothing.journal", folder / "checkpoints", 1, workers=2)):
        desk: Any = ray.remote(Nothing).options(num_cpus=0).remote()
        caller = ray.remote(num_cpus=0)(asking)
        asking(desk, 200, 1)
        ray.get([caller.remote(desk, 10, 1) for _ in range(8)])
        for name, work in (
            ("one caller, one call on the way", lambda: asking(desk, 2000, 1)),
            ("one caller, fifty on the way", lambda: asking(desk, 2000, 50)),
            ("eight callers on the same cores", lambda: ray.get([caller.remote(desk, 250, 1) for _ in range(8)])),
        ):
            taken, at_work = call_costs(desk, work, 2000)
            print(f"actor call, {name}: {taken:.2f} ms a call, {at_work:.2f} ms of the actor's CPU time", flush=True)


def call_costs(desk: Any, work: Callable[[], object], count: int) -> tuple[float, float]:
    """Milliseconds for each of so many calls: of time, and of the actor's CPU time."""
    before, started = ray.get(desk.seconds.remote()), time.perf_counter()
    work()
    taken = time.perf_counter() - started
    return 1000 * taken / count, 1000 * (ray.get(desk.seconds.remote()) - before) / count


def pruner_costs(folds: int) -> None:
    """Print what the default pruner takes to judge one trial among so many that have come as far."""
    for count in COUNTS:
        rng, curves = np.random.default_rng(0), LearningCurves("max")
        for trial in range(count):
            for scores in 0.5 + 0.1 * rng.standard_normal((3 if trial % 3 == 0 else 2, folds)):
                curves.add(trial, scores.tolist())
        taken = {}
        for epoch, trials in ((2, range(1, count, 3)), (3, range(0, count, 3))):
            started = time.perf_counter()
            asked = list(trials)[:200]
            for trial in asked:
                Halving().why_stop(curves, trial)
            taken[epoch] = 1000 * (time.perf_counter() - started) / len(asked)
        told = ", ".join(f"{ms:.2f} ms after epoch {epoch}" for epoch, ms in taken.items())
        print(f"Halving() among {count:,} trials: {told}", flush=True)


def record_costs(folder: Path) -> None:
    """Print what MLflow's embedded store takes for a run, a small batch, and many points at once."""
    record = Record(f"sqlite:///{folder / 'mlflow.db'}", SweepRecord("costs", "accuracy", "max", folder, {}, {}), 0.0)
    record.flush()
    count, taken = 100, {}

    def timed(what: str, told: Callable[[int], None]) -> None:
        for trial in range(count):
            told(trial)
        started = time.perf_counter()
        record.flush()
        taken[what] = (time.perf_counter() - started) / count

    def epochs(trial: int, first: int, last: int) -> None:
        for epoch in range(first, last + 1):
            record.log(trial, epoch, [0.5] * 5, [1.0] * 5, 0.0)

    timed("run", lambda trial: record.start(trial, {f"p{n}": n for n in range(6)}, 0.0))
    timed("batch", lambda trial: epochs(trial, 1, 1))
    timed("bulk", lambda trial: epochs(trial, 2, 101))
    timed("end", lambda trial: record.finish(trial, Ending("COMPLETE", 0.5, 1, None, 1.0, 0.0)))
    each = ", ".join(f"{1000 * taken[what]:.1f} ms {told}" for what, told in RECORDED.items())
    print(f"MLflow on SQLite: {each}; {800 / taken['bulk']:,.0f} points/s in large calls", flush=True)


def checkpoint_costs(folder: Path) -> None:
    """Print how large the checkpoint of a group of real networks is, and what it takes to be written here."""
    tied = partial(RnnLM, words=10_000, layers=2, hidden=650, embed=650, tied=True)
    models: dict[str, tuple[int, Callable[[Replicas], Model], type]] = {
        "64-64-10, Adam": (5, lambda r: MLP(r, 64, 10), Adam),
        "784-100-10, Adam": (5, lambda r: MLP(r, 784, 10, hidden=100), Adam),
        "784-1024-512-512-512-10, Adam": (5, lambda r: MLP(r, 784, 10, hidden=DEEP[1:-1]), Adam),
        "LSTM 1x100, 10,000 words, SGD": (3, lambda r: RnnLM(r, 10_000), SGD),
        "LSTM 2x650 tied, 10,000 words, SGD": (3, tied, SGD),
    }
    for name, (folds, model, optimizer) in models.items():
        replicas = Replicas(list(range(folds)))
        parameters = Parameters(model(replicas).parameters())
        slots = {f"optimizer/{name}": slot for name, slot in optimizer(parameters, replicas).state().items()}
        state = parameters.state() | slots
        size, seconds = sum(array.nbytes for array in state.values()), saved_seconds(folder, state)
        every = max(1.0, seconds / SHARE)
        print(
            f"checkpoint of {name}: {size / folds / 1e6:.2f} MB a replica, {size / 1e6:.1f} MB for {folds} folds, "
            f"written in {seconds:.3f} s ({size / seconds / 1e6:.0f} MB/s), so every {every:.1f} s at most: "
            f"{size / every / 1e6:.1f} MB/s a worker"
        )


def costs(asked: argparse.Namespace, folder: Path) -> None:
    """Print what single events cost."""
    ray_costs(folder)
    pruner_costs(asked.folds)
    record_costs(folder)
    checkpoint_costs(folder)
    storages = {"journal": folder / "costs.journal", "SQLite": f"sqlite:///{folder / 'costs.db'}"}
    storages |= {make_url(asked.storage).get_backend_name(): asked.storage} if asked.storage else {}
    for name, storage in storages.items():
        outcome = simulated(asked, 10, 1000, storage, folder)
        told = f"{outcome.writes / 1000:.1f} writes and {outcome.bytes / 1e6:.1f} kB a trial"
        print(f"{name}, 1,000 trials of {asked.epochs} epochs x {asked.folds} folds, groups of {asked.group}: {told}")
        calls(outcome)


def arguments() -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, nargs="+", default=[10, 100, 300, 1000])
    parser.add_argument("--trials", type=int, default=100_000, help="of the largest number of workers")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--epoch-seconds", type=float, default=10.0, help="of a group, in the median over groups")
    parser.add_argument("--group", type=lambda given: given if given == "auto" else int(given), default="auto")
    parser.add_argument("--sampler", choices=("random", "tpe"), default="random")
    parser.add_argument("--storage", help="URL of a database; the default is the embedded journal")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--costs", action="store_true", help="what single events cost, instead")
    return parser.parse_args()


def main() -> None:
    """Print the table, and what the calls of the largest search took."""
    asked, outcomes = arguments(), list[Outcome]()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        if asked.costs:
            return costs(asked, folder)
        for workers in sorted(asked.workers):
            trials = max(1, asked.trials * workers // max(asked.workers))
            storage = asked.storage or folder / f"{workers}.journal"
            outcomes.append(simulated(asked, workers, trials, storage, folder))
        table(outcomes)
        calls(outcomes[-1])


if __name__ == "__main__":
    main()
