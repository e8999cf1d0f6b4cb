"""The list of sweeps: read from journals without Optuna, with the same counts as Optuna's, at any moment."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from searchlab.cli import execute
from searchlab.errors import WorldFault
from searchlab.monitor.journal_tail import JournalTail
from searchlab.monitor.status import SweepStatus, all_statuses, status_of
from searchlab.runs.events import EventBuffer
from searchlab.runs.file_lock import FileLock
from searchlab.runs.job import PriorTrial
from searchlab.runs.workspace import Workspace
from searchlab.study.reading import read_trials
from searchlab.study.study import Study
from searchlab.training import EpochReport
from tests.conftest import ROOT
from tests.jobs import make_job, make_manifest
from tests.leaderboards import leaderboard_of
from tests.sweeps import spiral_sweep

END_STATES = ("COMPLETE", "PRUNED", "FAIL", "INFEASIBLE")


def epoch(number, scores):
    """The report of one epoch, with two folds per trial."""
    scores = np.array(scores, dtype=float)
    return EpochReport(number, np.ones(len(scores)), scores, (None,) * len(scores), 0.6, 1000.0 + number)


def end_in_every_state(job):
    """Six trials: two complete ones with equal scores, one pruned, failed and infeasible each, and one unfinished."""
    study = Study(job, EventBuffer())
    numbers = [study.ask().trials[0] for _ in range(6)]
    study.finish(numbers[:2], epoch(1, [0.5, 0.75] * 2))
    study.report(numbers[2:4], epoch(1, [0.875] * 4))
    study.store.prune(numbers[2], "worse than the others")
    study.store.fail(numbers[3], "diverged")
    study.store.mark_infeasible(numbers[4], "too large")
    study.close()
    return numbers


@pytest.fixture
def workspace(tmp_path):
    """A workspace with one sweep, no trial of which has started."""
    made = Workspace.at(tmp_path)
    spiral_manifest().save(made.sweep("spiral"))
    return made


def spiral_manifest(**changes):
    return make_manifest(spiral_sweep(), **changes)


def job_in(workspace, **changes):
    folder = workspace.sweep("spiral")
    job = make_job(spiral_sweep(), "spiral", folder.study, folder.checkpoints, trials=7, fuse=1)
    return replace(job, **changes)


def counts(board):
    """The counts of a leaderboard, and its best trial."""
    best = (board.best.score, board.best.trial) if board.best else None
    return (board.started, board.ended, *map(board.count, END_STATES), best)


def counts_of_journal(job, goal="max"):
    return counts(JournalTail(job.storage, goal, with_parameters=False).read())


def counts_of_optuna(job, goal="max"):
    return counts(leaderboard_of(read_trials(job.storage, job.name), goal))


def test_a_journal_has_the_counts_that_optuna_has(workspace):
    job = job_in(workspace)
    end_in_every_state(job)
    assert counts_of_journal(job) == (6, 5, 2, 1, 1, 1, (0.625, 0))
    assert counts_of_journal(job) == counts_of_optuna(job)
    assert counts_of_journal(job, "min")[-1] == (0.625, 0), "of two equal trials the earlier one is the best"


def test_the_best_score_is_the_highest_or_the_lowest(workspace):
    job = job_in(workspace)
    study = Study(job, EventBuffer())
    for score in (0.5, 0.25, 0.75):
        study.finish(study.ask().trials, epoch(1, [score] * 2))
    study.close()
    assert counts_of_journal(job, "max")[-1] == (0.75, 2)
    assert counts_of_journal(job, "min")[-1] == (0.25, 1)


def test_trials_of_an_earlier_sweep_are_not_counted(workspace, tmp_path):
    earlier = Study(job_in(workspace, storage=tmp_path / "earlier.journal"), EventBuffer())
    prior_trials = [PriorTrial(earlier.ask().parameters[0], [1.0], pruned_epoch=epoch) for epoch in (None, None, 2)]
    earlier.close()
    job = job_in(workspace, prior_trials=prior_trials)
    assert end_in_every_state(job) == list(range(6))
    assert counts_of_journal(job) == counts_of_optuna(job)
    assert counts_of_journal(job)[-1] == (0.625, 0)


def test_a_line_that_is_being_written_is_not_counted(workspace):
    job = job_in(workspace)
    assert counts_of_journal(job) == (0, 0, 0, 0, 0, 0, None), "there is no journal yet"
    end_in_every_state(job)
    lines = job.storage.read_bytes().splitlines(keepends=True)
    for count in range(len(lines)):
        job.storage.write_bytes(b"".join(lines[:count]) + lines[count][:-1])
        assert counts_of_journal(job) == counts_of_optuna(job)


def test_a_damaged_journal_is_a_fault(workspace):
    end_in_every_state(job_in(workspace))
    journal = workspace.sweep("spiral").study
    journal.write_bytes(journal.read_bytes().replace(b'"state":1', b'"state":'))
    with pytest.raises(WorldFault, match="damaged"):
        status_of(workspace.sweep("spiral"))
    (status,) = all_statuses(workspace)
    assert status.state == "unreadable"
    assert "damaged" in status.error


@pytest.mark.parametrize("name", ["sweep", "result"])
@pytest.mark.parametrize(
    "content", ["", "{}", "[]", "null", '{"created": 1}', '{"trials": 7, "state"', '{"trials": {}}', "\xff"]
)
def test_a_damaged_file_takes_one_line_of_the_list(workspace, capfd, name, content):
    """As does the manifest of a newer version, which has entries that are unknown here."""
    other = workspace.sweep("other")
    replace(spiral_manifest(), name="other").save(other)
    (other.path / f"{name}.json").write_bytes(content.encode("latin-1"))
    assert [status.state for status in all_statuses(workspace) if status.sweep == "spiral"] == ["interrupted"]
    assert execute(["list", "--home", str(workspace.path), "--json"]) == 0
    out, err = capfd.readouterr()
    states = {sweep["sweep"]: sweep["state"] for sweep in json.loads(out)["sweeps"]}
    assert states == {"spiral": "interrupted", "other": "unreadable"}
    assert f"other: {other.path / name}.json cannot be read" in err.replace("\n", "")
    assert execute(["report", "other", "--home", str(workspace.path)]) == 1
    assert "cannot be read" in capfd.readouterr().err


def test_the_manifest_of_another_version_is_unreadable(workspace):
    folder = workspace.sweep("spiral")
    folder.write("sweep", folder.read("sweep") | {"added_later": 1})
    with pytest.raises(WorldFault, match=r"another version of searchlab: .*added_later"):
        status_of(folder)
    assert [status.state for status in all_statuses(workspace)] == ["unreadable"]


def result_of(ended, requested=7, state="FINISHED"):
    """What result.json holds after so many trials."""
    return {"state": state, "trials": {"asked": requested, "complete": ended - 1, "pruned": 1, "failed": 0}}


@pytest.mark.parametrize(
    ("result", "requested", "state"),
    [
        (None, 7, "interrupted"),
        (result_of(5), 7, "finished"),
        (result_of(5, state="FAILED"), 7, "failed"),
        (result_of(4), 7, "interrupted"),  # resumed after the result, and killed
        (result_of(5), 9, "interrupted"),  # extended after the result, and killed before a trial ended
    ],
)
def test_a_state_follows_from_lock_result_and_trials(workspace, result, requested, state):
    folder = workspace.sweep("spiral")
    end_in_every_state(job_in(workspace))
    spiral_manifest(trials=requested).save(folder)
    if result:
        folder.write("result", result)
    (status,) = all_statuses(workspace)
    assert (status.sweep, status.state, status.requested) == ("spiral", state, requested)
    assert (status.complete, status.pruned, status.failed, status.infeasible) == (2, 1, 1, 1)
    assert (status.best, status.trial, status.created) == (0.625, 0, 1000.0)
    lock = FileLock(folder.lock)
    assert all_statuses(workspace)[0].state == "running"
    lock.release()


def test_a_status_survives_json(workspace):
    end_in_every_state(job_in(workspace))
    (status,) = all_statuses(workspace)
    values = json.loads(json.dumps(status.to_json()))
    assert (values["asked"], values["complete"], values["best"], values["trial"]) == (7, 2, 0.625, 0)
    assert SweepStatus.from_json(values) == status


LIST_COMMAND = """
import json, sys
from searchlab.cli import searchlab
try:
    searchlab(["list", "--home", sys.argv[1]], standalone_mode=False)
finally:
    print(json.dumps(sorted({"optuna", "ray", "mlflow", "numpy"} & sys.modules.keys())))
"""


def test_list_imports_neither_optuna_nor_numpy_and_fits_into_80_columns(workspace):
    end_in_every_state(job_in(workspace))
    command = [sys.executable, "-c", LIST_COMMAND, workspace.path]
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "COLUMNS": "80"}, capture_output=True, text=True, check=True
    )
    *table, imported = done.stdout.splitlines()
    words = " ".join(table).split()
    for word in ("spiral", "interrupted", "4", "7:", "1", "pruned,", "failed,", "infeasible", "0.6250", "(trial"):
        assert word in words
    assert json.loads(imported) == []


def test_list_of_a_workspace_without_sweeps(tmp_path):
    command = [sys.executable, "-m", "searchlab.cli", "list", "--home", tmp_path, "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == {"home": str(tmp_path), "sweeps": []}
    assert "searchlab run" in done.stderr


def test_commands_are_listed_after_the_module_of_list_was_loaded():
    code = "import searchlab.cli as cli, searchlab.cli.list; assert 'list' in cli.searchlab.list_commands(None)"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
