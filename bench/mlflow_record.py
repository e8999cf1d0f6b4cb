"""The record of 2,000 trials in MLflow's embedded store: how long it takes after the end of a search.

python -m bench.mlflow_record
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from searchlab.runs.events import EpochFinished, Event, TrialFinished, TrialStarted
from searchlab.runs.workspace import Workspace
from searchlab.tracking.mlflow import MlflowRecord
from searchlab.tracking.recorder import Recorder
from searchlab.tracking.sqlite_runs import SqliteRuns
from searchlab.tracking.sweep_record import SweepRecord

TRIALS, EPOCHS, FOLDS, ARGUMENTS = 2000, 20, 5, 6
CLIENT_TRIALS = 100  # a round of MLflow's client, which is slow
ROUNDS = 5
GOAL_SECONDS = 10.0


def events(first: int, count: int) -> Iterator[Event]:
    """Yield the events of so many trials, each with the curves of its folds."""
    for trial in range(first, first + count):
        yield TrialStarted(trial, {f"p{n}": n * 0.1 for n in range(ARGUMENTS)}, float(trial))
        for epoch in range(1, EPOCHS + 1):
            scores = [0.5 + 0.01 * epoch + 0.001 * fold for fold in range(FOLDS)]
            yield EpochFinished(trial, epoch, scores, [1.0 / epoch] * FOLDS, trial + epoch / 100, (), scores)
        yield TrialFinished(trial, "COMPLETE", 0.7, EPOCHS, None, 0.5, trial + 0.5)


def seconds_after_the_search(home: Path) -> float:
    """Return how long the record takes where every event arrives at once, from the first to the end of the process."""
    record = SweepRecord("bench", "accuracy", "max", home, {}, {})
    recorder = Recorder(Workspace.at(home).tracking_uri, record)
    _ = recorder.run_id  # MLflow is imported while a search goes on
    started = time.perf_counter()
    for event in events(0, TRIALS):
        recorder.handle(event)
    recorder.conclude("FINISHED", {}, {})
    return time.perf_counter() - started


def milliseconds_per_trial(home: Path, *, direct: bool) -> Iterator[float]:
    """Yield the processor time for a trial in several rounds, written into the tables or by MLflow's client."""
    uri = Workspace.at(home).tracking_uri
    kept = SqliteRuns.of_store
    if not direct:
        SqliteRuns.of_store = lambda *_: None  # type: ignore[method-assign,assignment]
    record = MlflowRecord(uri, SweepRecord("bench", "accuracy", "max", home, {}, {}), 0.0)
    SqliteRuns.of_store = kept  # type: ignore[method-assign]
    count = TRIALS // ROUNDS if direct else CLIENT_TRIALS
    for number in range(ROUNDS):
        for event in events(number * count, count):
            record.handle(event)
        started = time.process_time()
        record.flush()
        yield 1000 * (time.process_time() - started) / count


def main() -> None:
    """Print both ways in turn, and the record of a whole search."""
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    with tempfile.TemporaryDirectory() as folder:
        for direct in (False, True):
            home = Path(folder) / str(direct)
            found = [*milliseconds_per_trial(home, direct=direct)]
            text = ", ".join(f"{value:.1f}" for value in found)
            way = "into the tables" if direct else "by MLflow's client"
            print(f"{way}: {statistics.median(found):.1f} ms of processor time per trial ({text})", flush=True)
        seconds = seconds_after_the_search(Path(folder) / "whole")
        print(f"{TRIALS:,} trials that end at once: recorded in {seconds:.1f} s; goal {GOAL_SECONDS:.0f}", flush=True)


if __name__ == "__main__":
    main()
