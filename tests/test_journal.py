"""The journal: every line is written at once, its owner reads the file once, and incomplete lines are repaired."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys

import optuna
import pytest

from searchlab.errors import WorldFault
from searchlab.study.storage import journal
from searchlab.study.storage.opening import open_owned, open_read_only
from tests.conftest import ROOT


@pytest.fixture(autouse=True)
def quiet():
    optuna.logging.set_verbosity(optuna.logging.WARNING)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "study.journal"


def load_study(storage):
    return optuna.create_study(study_name="s", storage=storage, load_if_exists=True)


def start_trial(study):
    trial = study.ask()
    trial.suggest_float("rate", 0.001, 1.0, log=True)
    trial.suggest_categorical("optimizer", ["SGD", "Adam"])
    return trial


def end_trial(study, trial, value=0.5):
    trial.set_user_attr("end", {"reason": 'a "quoted" one, ünicode', "scores": [[0.1, 1 / 3], [2e-9, -0.0]]})
    study.tell(trial, value)


def read_trials(path):
    return optuna.load_study(study_name="s", storage=open_read_only(path)).trials


@pytest.fixture
def syncs(monkeypatch):
    """The list of waits for the disk."""
    calls = []
    monkeypatch.setattr(journal.os, "fsync", calls.append)
    return calls


def test_readers_see_at_once_what_the_owner_writes(path):
    study = load_study(open_owned(path, "s"))
    end_trial(study, start_trial(study), 1 / 3)
    start_trial(study)
    assert read_trials(path) == study.trials
    assert [trial.state.name for trial in read_trials(path)] == ["COMPLETE", "RUNNING"]
    reader = optuna.load_study(study_name="s", storage=open_read_only(path))
    end_trial(study, start_trial(study))
    assert reader.trials == study.trials, "a reader that has read before continues"


def test_the_next_owner_continues_where_the_last_one_stopped(path):
    first = load_study(storage := open_owned(path, "s"))
    end_trial(first, start_trial(first))
    unfinished = start_trial(first)
    storage.close()
    again = load_study(open_owned(path, "s"))
    assert again.trials == first.trials
    again.tell(unfinished.number, 0.25)
    assert [trial.value for trial in read_trials(path)] == [0.5, 0.25]


def test_an_owner_reads_its_file_once(path):
    study = load_study(open_owned(path, "s"))
    end_trial(study, start_trial(study))
    path.rename(path.with_name("elsewhere"))
    end_trial(study, start_trial(study))
    assert [trial.state.name for trial in study.trials] == ["COMPLETE", "COMPLETE"]


def test_many_ends_wait_for_the_disk_once_and_the_last_one_when_the_study_is_closed(path, monkeypatch, syncs):
    monkeypatch.setattr(journal, "SYNC_INTERVAL", 1e9)
    study = load_study(storage := open_owned(path, "s"))
    start_trial(study)
    assert not syncs, "the start of a trial is not waited for"
    for _ in range(20):
        end_trial(study, start_trial(study))
    assert len(syncs) == 1
    storage.close()
    storage.close()
    assert len(syncs) == 2


def test_ends_with_time_between_them_wait_for_the_disk_each(path, monkeypatch, syncs):
    monkeypatch.setattr(journal, "SYNC_INTERVAL", 0.0)
    study = load_study(storage := open_owned(path, "s"))
    for _ in range(5):
        end_trial(study, start_trial(study))
    assert len(syncs) == 5
    storage.close()
    assert len(syncs) == 5


def test_a_closed_journal_accepts_nothing_and_does_not_disturb_the_next_owner(path):
    first = load_study(storage := open_owned(path, "s"))
    trial = start_trial(first)
    storage.close()
    second = load_study(open_owned(path, "s"))
    end_trial(second, start_trial(second))
    with pytest.raises(ValueError, match="closed"):
        first.tell(trial, 0.5)
    assert read_trials(path) == second.trials


def test_a_failing_disk_removes_the_line_again(path, monkeypatch):
    study = load_study(open_owned(path, "s"))
    trial, size = start_trial(study), path.stat().st_size

    def fail(_file):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patch:
        patch.setattr(journal.os, "fsync", fail)
        with pytest.raises(WorldFault, match=r"cannot be written \(Input/output error\)"):
            study.tell(trial, 0.5)
    assert path.stat().st_size == size
    assert study.trials == read_trials(path), "the memory agrees with the file"
    end_trial(study, trial)
    assert [trial.state.name for trial in read_trials(path)] == ["COMPLETE"]


@pytest.mark.parametrize("rest", [b'{"op_code":5,"trial_id":0,"par', b"\0" * 4096])
def test_an_incomplete_line_is_ignored_by_readers_and_deleted_by_the_owner(path, rest):
    study = load_study(storage := open_owned(path, "s"))
    end_trial(study, start_trial(study))
    storage.close()
    whole = path.read_bytes()
    path.write_bytes(whole + rest)
    assert read_trials(path) == study.trials
    assert path.read_bytes() == whole + rest, "a reader changes nothing"
    open_owned(path, "s")
    assert path.read_bytes() == whole


@pytest.mark.parametrize("opener", [lambda path: open_owned(path, "s"), open_read_only], ids=["owner", "reader"])
def test_a_damaged_line_is_named(path, opener):
    study = load_study(open_owned(path, "s"))
    end_trial(study, start_trial(study))
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:2], b"\xff" + lines[2][7:], *lines[3:]]))
    with pytest.raises(WorldFault, match=r"line 3 of the study .* is damaged"):
        opener(path)


@pytest.mark.parametrize("name", ["missing/study.journal", "."])
def test_a_path_that_cannot_be_written_is_an_error(tmp_path, name):
    with pytest.raises(WorldFault, match="cannot be written"):
        open_owned(tmp_path / name, "s")


WRITER = """
import sys
from pathlib import Path
import optuna
from searchlab.study.storage.opening import open_owned
optuna.logging.set_verbosity(optuna.logging.WARNING)
study = optuna.create_study(study_name="s", storage=open_owned(Path(sys.argv[1]), "s"), load_if_exists=True)
while True:
    trial = study.ask()
    trial.suggest_float("rate", 0.0, 1.0)
    trial.set_user_attr("end", {"scores": [[0.25] * 5] * 20})
    study.tell(trial, 0.5)
    print(trial.number, flush=True)
"""


def test_a_kill_loses_no_trial_that_has_ended(path):
    ended = set()
    for count in (3, 40):
        with subprocess.Popen([sys.executable, "-c", WRITER, path], cwd=ROOT, stdout=subprocess.PIPE) as writer:
            ended |= {int(writer.stdout.readline()) for _ in range(count)}
            writer.send_signal(signal.SIGKILL)
            ended |= {int(line) for line in writer.stdout.read().split()}
        assert ended <= {trial.number for trial in read_trials(path) if trial.state.name == "COMPLETE"}
    assert len(ended) >= 43, "the second process continued the study of the first"
    open_owned(path, "s").close()
    assert all(json.loads(line) for line in path.read_text().splitlines())
