"""The list of sweeps: counted in the journal's lines, equal to what Optuna loads, and right at any moment."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from searchlab.errors import WorldFault
from searchlab.monitor.status import all_statuses
from searchlab.monitor.tally import Tally, tally, tally_of
from searchlab.runs.config import RunConfig
from searchlab.runs.events import Buffer
from searchlab.runs.file_lock import FileLock
from searchlab.runs.job import Job
from searchlab.runs.workspace import Workspace
from searchlab.study.reading import peek
from searchlab.study.study import Study
from searchlab.training import EpochReport
from tests.conftest import ROOT
from tests.sweeps import spiral_sweep


def epoch(number, scores):
    """A report of one epoch, two folds to a trial."""
    scores = np.array(scores, dtype=float)
    return EpochReport(number, np.ones(len(scores)), scores, (None,) * len(scores), 0.6, 1000.0 + number)


def end_in_every_way(job):
    """Six trials: two complete and equal, one each that was stopped, failed or infeasible, and one that is open."""
    study = Study(job, Buffer())
    numbers = [study.ask().trials[0] for _ in range(6)]
    study.finish(numbers[:2], epoch(1, [0.5, 0.75] * 2))
    study.report(numbers[2:4], epoch(1, [0.875] * 4))
    study.ledger.prune(numbers[2], "worse than the others")
    study.ledger.fail(numbers[3], "diverged")
    study.ledger.rule_out(numbers[4], "too large")
    study.close()
    return numbers


@pytest.fixture
def place(tmp_path):
    """A home with one sweep in it, of which nothing is trained yet."""
    home = Workspace.at(tmp_path)
    order_of().keep(home.sweep("spiral"))
    return home


def order_of(**changes):
    sweep = spiral_sweep()
    return replace(RunConfig("spiral", 7, sweep.fingerprint(), sweep.describe(), created=1000.0), **changes)


def job_in(home, **changes):
    folder = home.sweep("spiral")
    made = Job(spiral_sweep(), "spiral", folder.study, folder.checkpoints, trials=7, fuse=1)
    return replace(made, **changes)


def test_a_tally_is_what_the_loaded_trials_are(place):
    job = job_in(place)
    end_in_every_way(job)
    counted = tally(job.storage, "max")
    assert counted == Tally(6, complete=2, pruned=1, failed=1, infeasible=1, best=(0.625, 0))
    assert counted == tally_of(peek(job.storage, job.name), "max")
    assert counted.ended == 5
    assert tally(job.storage, "min").best == (0.625, 0), "the earlier of two equals, whichever way is better"


def test_the_best_is_the_largest_or_the_smallest(place):
    job = job_in(place)
    study = Study(job, Buffer())
    for score in (0.5, 0.25, 0.75):
        study.finish(study.ask().trials, epoch(1, [score] * 2))
    study.close()
    assert tally(job.storage, "max").best == (0.75, 2)
    assert tally(job.storage, "min").best == (0.25, 1)


def test_trials_of_an_earlier_sweep_are_not_counted(place, tmp_path):
    drawn = Study(job_in(place, storage=tmp_path / "earlier.journal"), Buffer())
    known = [(drawn.ask().parameters[0], [1.0]) for _ in range(3)]
    drawn.close()
    job = job_in(place, known=known)
    assert end_in_every_way(job) == list(range(6))
    assert tally(job.storage, "max") == tally_of(peek(job.storage, job.name), "max")
    assert tally(job.storage, "max").best == (0.625, 0)


def test_a_tally_taken_while_lines_are_written_counts_whole_ones(place):
    job = job_in(place)
    assert tally(job.storage, "max") == Tally(0, 0, 0, 0, 0, None), "no journal yet"
    end_in_every_way(job)
    lines = job.storage.read_bytes().splitlines(keepends=True)
    for count in range(len(lines)):
        job.storage.write_bytes(b"".join(lines[:count]) + lines[count][:-1])
        assert tally(job.storage, "max") == tally_of(peek(job.storage, job.name), "max")


def test_a_damaged_end_is_told(place):
    job = job_in(place)
    end_in_every_way(job)
    job.storage.write_bytes(job.storage.read_bytes().replace(b'"state":1', b'"state":'))
    with pytest.raises(WorldFault, match="is damaged in the line"):
        tally(job.storage, "max")


def told(ended, asked=7, state="FINISHED"):
    return {"state": state, "trials": {"asked": asked, "complete": ended - 1, "pruned": 1, "failed": 0}}


@pytest.mark.parametrize(
    ("result", "asked", "state"),
    [
        (None, 7, "interrupted"),
        (told(5), 7, "finished"),
        (told(5, state="FAILED"), 7, "failed"),
        (told(4), 7, "interrupted"),  # resumed since, and killed
        (told(5), 9, "interrupted"),  # extended since, and killed before anything ended
    ],
)
def test_how_a_sweep_stands_is_told_by_its_lock_its_result_and_its_trials(place, result, asked, state):
    folder = place.sweep("spiral")
    end_in_every_way(job_in(place))
    order_of(trials=asked).keep(folder)
    if result:
        folder.write("result", result)
    (sweep,) = all_statuses(place)
    assert (sweep.sweep, sweep.state, sweep.asked) == ("spiral", state, asked)
    assert (sweep.complete, sweep.pruned, sweep.failed, sweep.infeasible) == (2, 1, 1, 1)
    assert (sweep.best, sweep.trial, sweep.created) == (0.625, 0, 1000.0)
    lock = FileLock(folder.lock)
    assert all_statuses(place)[0].state == "running"
    lock.release()


def test_a_sweep_in_a_database_is_counted_alike(place, tmp_path):
    end_in_every_way(job_in(place))
    (embedded,) = all_statuses(place)
    address = f"sqlite:///{tmp_path / 'study.db'}"
    order_of(storage=address).keep(place.sweep("spiral"))
    end_in_every_way(job_in(place, storage=address))
    place.sweep("spiral").study.unlink()
    assert all_statuses(place) == [embedded]


LISTS = """
import json, sys
from searchlab.cli import searchlab
try:
    searchlab(["list", "--home", sys.argv[1]], standalone_mode=False)
finally:
    print(json.dumps(sorted({"optuna", "ray", "mlflow", "numpy"} & sys.modules.keys())))
"""


def test_a_list_loads_neither_optuna_nor_numpy_and_tells_all_in_80_columns(place):
    end_in_every_way(job_in(place))
    command = [sys.executable, "-c", LISTS, place.path]
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "COLUMNS": "80"}, capture_output=True, text=True, check=True
    )
    *table, loaded = done.stdout.splitlines()
    words = " ".join(table).split()
    for word in ("spiral", "interrupted", "4", "7:", "1", "pruned,", "failed,", "infeasible", "0.6250", "(trial"):
        assert word in words
    assert json.loads(loaded) == []
