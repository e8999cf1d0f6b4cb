"""Simulate a cluster of a thousand workers and a hundred thousand trials: the load of the study and of the record.

python -m bench.simulate [--workers N...] [--trials N] [--epochs N] [--folds N] [--epoch-seconds S] [--group N|auto]
                         [--sampler random|tpe] [--storage URL] [--seed N] [--costs]

Workers train nothing (bench/simulated.py). The study actor, the study, its pruner and its storage are real: a call
takes on the simulated clock what it took by the wall clock, which is too long where other programs run. With fewer
workers, the number of trials is reduced in proportion. --costs prints what single events cost (bench/event_costs.py),
and simulates only small searches.
"""

from __future__ import annotations

import argparse
import os
import resource
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import bench.timing  # noqa: F401  # first: it sets one BLAS thread  # isort: skip

import numpy as np
import psycopg

from bench.event_costs import (
    checkpoint_seconds,
    print_checkpoint_costs,
    print_pruner_costs,
    print_ray_costs,
    print_record_costs,
)
from bench.overhead import SIX_ARGUMENTS, SWEEP
from bench.simulated import ASSUMED_GROUP_SIZE, ClusterSimulation, Workload
from searchlab import TPE, KFold, Random
from searchlab.engine.garbage_collection import tune_garbage_collector
from searchlab.engine.payload import JobPayload, payload_for_study
from searchlab.engine.study_actor import StudyActor
from searchlab.runs.config import RunConfig
from searchlab.runs.job import Job

FINAL_STATES = ("COMPLETE", "PRUNED", "FAIL", "INFEASIBLE")
REPLICA_BYTES = 100_000  # of a replica's state in a simulated checkpoint: 25,000 numbers


@dataclass
class WatchedStorage:
    """A study's storage and its writes: appends of a database, or lines of a journal."""

    location: Path | str

    @property
    def writes(self) -> int:
        """Number of writes."""
        if isinstance(self.location, str):
            return self._ask("SELECT count(*) FROM searchlab_journal")
        with self.location.open("rb") as lines:
            return sum(1 for _ in lines)

    @property
    def bytes(self) -> int:
        """Size of the storage, with all studies in it."""
        if isinstance(self.location, Path):
            return self.location.stat().st_size
        return self._ask("SELECT pg_total_relation_size('searchlab_journal')")

    def _ask(self, query: str) -> int:
        with psycopg.connect(str(self.location).replace("+psycopg", "")) as connection:
            return int(connection.execute(query).fetchone()[0])


@dataclass(frozen=True)
class SimulatedSearch:
    """A simulated search, and what it took in reality.

    `seconds` is the time of simulating it, `reopen_seconds` that of opening the study with all its trials again, and
    `memory_bytes` the memory of this process.
    """

    simulation: ClusterSimulation
    writes: int
    storage_bytes: int
    seconds: float
    reopen_seconds: float
    memory_bytes: float

    def rows(self) -> Iterator[tuple[str, str]]:
        """Yield the name and the value of each row of the table."""
        simulation, workload, actor = self.simulation, self.simulation.workload, self.simulation.actor
        span, trials = simulation.now, workload.trials
        waits, own_seconds = np.array(simulation.wait_seconds), sum(map(sum, actor.call_seconds.values()))
        yield "trials", f"{trials:,}"
        yield "simulated hours", f"{span / 3600:.2f}"
        yield "trials per second", f"{trials / span:.1f}"
        yield "epochs per trial", f"{simulation.epochs / trials:.1f}"
        yield "epochs of trials per second", f"{simulation.epochs / span:,.0f}"
        yield "study: reports per second", f"{len(actor.call_seconds['report_epochs']) / span:.1f}"
        yield "study: calls per second", f"{actor.calls / span:.1f}"
        yield "study: busy", f"{actor.busy_seconds / span:.1%}"
        yield "  in its own code", f"{own_seconds / span:.1%}"
        yield "wait for it, ms: median", f"{1000 * np.median(waits):.1f}"
        yield "  95th percentile", f"{1000 * np.quantile(waits, 0.95):.1f}"
        yield "  longest", f"{1000 * waits.max():.0f}"
        yield "workers' time waiting", f"{waits.sum() / (span * workload.workers):.2%}"
        yield "checkpoints per second", f"{simulation.checkpoints / span:.1f}"
        yield "storage: writes per trial", f"{self.writes / trials:.1f}"
        yield "  writes per second", f"{self.writes / span:,.0f}"
        yield "  kB per trial", f"{self.storage_bytes / trials / 1000:.2f}"
        yield "  MB", f"{self.storage_bytes / 1e6:.0f}"
        yield "MLflow: metrics per second", f"{simulation.writes.metrics / span:,.0f}"
        yield "  batches per second", f"{simulation.writes.batches / span:,.0f}"
        yield "  runs per second", f"{simulation.writes.runs / span:.1f}"
        yield "real seconds: to simulate", f"{self.seconds:.0f}"
        yield "  to open the study again", f"{self.reopen_seconds:.1f}"
        yield "memory of the process, GB", f"{self.memory_bytes / 1e9:.2f}"


def simulate_search(
    options: argparse.Namespace, workers: int, trials: int, storage: Path | str, folder: Path
) -> SimulatedSearch:
    """Simulate one search to its end, and check that every trial is stored in a final state."""
    sampler = {"random": Random(), "tpe": TPE()}[options.sampler]
    sweep = replace(SWEEP, name="simulated", validation=KFold(options.folds), sampler=sampler, **SIX_ARGUMENTS)
    sweep = sweep.with_values({"training.epochs": options.epochs})
    checkpoints = folder / "checkpoints"
    name = f"simulated-{os.getpid()}-{workers}"
    config = RunConfig(seed=options.seed, fuse=options.group, workers=workers)
    job = Job(sweep, name, storage, checkpoints, trials, config)
    workload = Workload(
        workers=workers,
        trials=trials,
        epochs=options.epochs,
        folds=options.folds,
        epoch_seconds=options.epoch_seconds,
        group_size=options.group,
        seed=options.seed,
        checkpoint_seconds=small_checkpoint_seconds(checkpoints, options),
    )
    started, payload, watched = time.perf_counter(), payload_for_study(job), WatchedStorage(storage)
    actor = StudyActor(payload)
    actor.open()
    tune_garbage_collector()  # as in the process of a real actor
    simulation = ClusterSimulation(workload, sweep, actor)
    simulation.run()
    actor.close()
    seconds, memory_bytes = time.perf_counter() - started, 1024.0 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    reopened = reopen_seconds(payload, trials)
    return SimulatedSearch(simulation, watched.writes, watched.bytes, seconds, reopened, memory_bytes)


def reopen_seconds(payload: JobPayload, trials: int) -> float:
    """Return how long another actor takes to open the study; check that each of its trials is in a final state."""
    started = time.perf_counter()
    actor = StudyActor(payload)
    actor.open()
    tune_garbage_collector()
    states = [record.state for record in actor.records()]
    seconds = time.perf_counter() - started
    actor.close()
    assert len(states) == trials, f"the study has {len(states)} trials instead of {trials}"
    assert set(states) <= set(FINAL_STATES), f"a trial is not in a final state: {sorted(set(states))}"
    return seconds


def small_checkpoint_seconds(folder: Path, options: argparse.Namespace) -> float:
    """Return how long writing a checkpoint of a group of small networks takes here."""
    trials = options.group if isinstance(options.group, int) else ASSUMED_GROUP_SIZE
    state = {"parameters": np.ones((options.folds * trials, REPLICA_BYTES // 4), np.float32)}  # (R, P)
    return checkpoint_seconds(folder, state)


def print_table(searches: list[SimulatedSearch]) -> None:
    """Print a column for each number of workers."""
    columns = [dict(search.rows()) for search in searches]
    print(f"{'workers':28}" + "".join(f"{search.simulation.workload.workers:12,}" for search in searches))
    for row in columns[0]:
        print(f"{row:28}" + "".join(f"{column[row]:>12}" for column in columns), flush=True)


def print_calls(search: SimulatedSearch) -> None:
    """Print what each method of the actor took in its own code, without the transport."""
    for method, seconds in sorted(search.simulation.actor.call_seconds.items()):
        median, late, longest = 1000 * np.quantile(seconds, (0.5, 0.99, 1.0))
        print(
            f"  {method:17}{len(seconds):9,} calls, ms: median {median:.2f}, mean {1000 * np.mean(seconds):.2f}, "
            f"99th percentile {late:.2f}, longest {longest:.0f}"
        )


def print_costs(options: argparse.Namespace, folder: Path) -> None:
    """Print what single events cost."""
    print_ray_costs(folder)
    print_pruner_costs(options.folds)
    print_record_costs(folder)
    print_checkpoint_costs(folder)
    storages: dict[str, Path | str] = {"journal": folder / "costs.journal"}
    storages |= {"PostgreSQL": options.storage} if options.storage else {}
    for name, storage in storages.items():
        search = simulate_search(options, 10, 1000, storage, folder)
        print(
            f"{name}, 1,000 trials of {options.epochs} epochs x {options.folds} folds, groups of {options.group}: "
            f"{search.writes / 1000:.1f} writes and {search.storage_bytes / 1e6:.1f} kB per trial"
        )
        print_calls(search)


def parse_options() -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, nargs="+", default=[10, 100, 300, 1000])
    parser.add_argument("--trials", type=int, default=100_000, help="with the largest number of workers")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--epoch-seconds", type=float, default=10.0, help="of a group, in the median over groups")
    parser.add_argument("--group", type=lambda text: text if text == "auto" else int(text), default="auto")
    parser.add_argument("--sampler", choices=("random", "tpe"), default="random")
    parser.add_argument("--storage", help="URL of an empty PostgreSQL database; default: the embedded journal")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--costs", action="store_true", help="print what single events cost instead")
    return parser.parse_args()


def main() -> None:
    """Print the table, and what the calls of the largest search took."""
    options, searches = parse_options(), list[SimulatedSearch]()
    with tempfile.TemporaryDirectory() as path:
        folder = Path(path)
        if options.costs:
            return print_costs(options, folder)
        for workers in sorted(options.workers):
            trials = max(1, options.trials * workers // max(options.workers))
            storage = options.storage or folder / f"{workers}.journal"
            searches.append(simulate_search(options, workers, trials, storage, folder))
        print_table(searches)
        print_calls(searches[-1])


if __name__ == "__main__":
    main()
