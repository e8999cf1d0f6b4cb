"""The journal: every line is on its way to the disk at once, read back by its owner for nothing, and mended."""

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
from tests.conftest import ROOT


@pytest.fixture(autouse=True)
def quiet():
    optuna.logging.set_verbosity(optuna.logging.WARNING)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "study.journal"


def opened(storage):
    return optuna.create_study(study_name="s", storage=storage, load_if_exists=True)


def draw(study):
    trial = study.ask()
    trial.suggest_float("rate", 0.001, 1.0, log=True)
    trial.suggest_categorical("optimizer", ["SGD", "Adam"])
    return trial


def end(study, trial, value=0.5):
    trial.set_user_attr("end", {"reason": 'a "quoted" one, ünicode', "scores": [[0.1, 1 / 3], [2e-9, -0.0]]})
    study.tell(trial, value)


def seen(path):
    return optuna.load_study(study_name="s", storage=journal.look(path)).trials


@pytest.fixture
def syncs(monkeypatch):
    """The waits for the disk."""
    made = []
    monkeypatch.setattr(journal.os, "fsync", made.append)
    return made


def test_what_an_owner_writes_others_see_at_once_as_the_owner_does(path):
    study = opened(journal.own(path))
    end(study, draw(study), 1 / 3)
    draw(study)
    assert seen(path) == study.trials
    assert [trial.state.name for trial in seen(path)] == ["COMPLETE", "RUNNING"]
    onlooker = optuna.load_study(study_name="s", storage=journal.look(path))
    end(study, draw(study))
    assert onlooker.trials == study.trials, "an onlooker that read before reads on"


def test_another_owner_goes_on_where_the_last_one_stopped(path):
    first = opened(storage := journal.own(path))
    end(first, draw(first))
    left = draw(first)
    journal.release(storage)
    again = opened(journal.own(path))
    assert again.trials == first.trials
    again.tell(left.number, 0.25)
    assert [trial.value for trial in seen(path)] == [0.5, 0.25]


def test_an_owner_reads_its_file_once(path):
    study = opened(journal.own(path))
    end(study, draw(study))
    path.rename(path.with_name("elsewhere"))
    end(study, draw(study))
    assert [trial.state.name for trial in study.trials] == ["COMPLETE", "COMPLETE"]


def test_many_ends_wait_for_the_disk_once_and_the_last_of_them_when_the_study_is_let_go_of(path, monkeypatch, syncs):
    monkeypatch.setattr(journal, "SYNC", 1e9)
    study = opened(storage := journal.own(path))
    draw(study)
    assert not syncs, "a beginning is not worth a wait"
    for _ in range(20):
        end(study, draw(study))
    assert len(syncs) == 1
    journal.release(storage)
    journal.release(storage)
    assert len(syncs) == 2


def test_ends_that_lie_apart_wait_for_the_disk_each(path, monkeypatch, syncs):
    monkeypatch.setattr(journal, "SYNC", 0.0)
    study = opened(storage := journal.own(path))
    for _ in range(5):
        end(study, draw(study))
    assert len(syncs) == 5
    journal.release(storage)
    assert len(syncs) == 5


def test_a_journal_that_was_let_go_of_takes_no_more_and_harms_no_later_owner(path):
    first = opened(storage := journal.own(path))
    trial = draw(first)
    journal.release(storage)
    second = opened(journal.own(path))
    end(second, draw(second))
    with pytest.raises(ValueError, match="let go of"):
        first.tell(trial, 0.5)
    assert seen(path) == second.trials


def test_a_disk_that_fails_takes_the_line_back(path, monkeypatch):
    study = opened(journal.own(path))
    trial, size = draw(study), path.stat().st_size

    def fail(_file):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as broken:
        broken.setattr(journal.os, "fsync", fail)
        with pytest.raises(WorldFault, match=r"cannot be written \(Input/output error\); every trial that had ended"):
            study.tell(trial, 0.5)
    assert path.stat().st_size == size
    assert study.trials == seen(path), "what is in memory is what is stored"
    end(study, trial)
    assert [one.state.name for one in seen(path)] == ["COMPLETE"]


@pytest.mark.parametrize("torn", [b'{"op_code":5,"trial_id":0,"par', b"\0" * 4096])
def test_what_has_no_line_end_is_passed_over_by_others_and_cut_by_the_owner(path, torn):
    study = opened(storage := journal.own(path))
    end(study, draw(study))
    journal.release(storage)
    whole = path.read_bytes()
    path.write_bytes(whole + torn)
    assert seen(path) == study.trials
    assert path.read_bytes() == whole + torn, "an onlooker changes nothing"
    journal.own(path)
    assert path.read_bytes() == whole


@pytest.mark.parametrize("reader", [journal.own, journal.look])
def test_a_damaged_line_is_named(path, reader):
    study = opened(journal.own(path))
    end(study, draw(study))
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:2], b"\xff" + lines[2][7:], *lines[3:]]))
    with pytest.raises(WorldFault, match=r"line 3 of the study .* is damaged; put back a copy"):
        reader(path)


@pytest.mark.parametrize("hindered", ["missing/study.journal", "."])
def test_a_place_where_nothing_can_be_written_is_told(tmp_path, hindered):
    with pytest.raises(WorldFault, match="cannot be written"):
        journal.own(tmp_path / hindered)


def test_a_database_is_let_go_of_as_well(tmp_path):
    storage = journal.own(f"sqlite:///{tmp_path / 'study.db'}")
    opened(storage)
    journal.release(storage)


WRITER = """
import sys
from pathlib import Path
import optuna
from searchlab.study.storage import journal
optuna.logging.set_verbosity(optuna.logging.WARNING)
study = optuna.create_study(study_name="s", storage=journal.own(Path(sys.argv[1])), load_if_exists=True)
while True:
    trial = study.ask()
    trial.suggest_float("rate", 0.0, 1.0)
    trial.set_user_attr("end", {"scores": [[0.25] * 5] * 20})
    study.tell(trial, 0.5)
    print(trial.number, flush=True)
"""


def test_no_trial_that_has_ended_is_lost_by_a_kill(path):
    told = set()
    for ends in (3, 40):
        with subprocess.Popen([sys.executable, "-c", WRITER, path], cwd=ROOT, stdout=subprocess.PIPE) as writer:
            told |= {int(writer.stdout.readline()) for _ in range(ends)}
            writer.send_signal(signal.SIGKILL)
            told |= {int(line) for line in writer.stdout.read().split()}
        assert told <= {trial.number for trial in seen(path) if trial.state.name == "COMPLETE"}
    assert len(told) >= 43, "the second process went on with what the first had left"
    journal.release(journal.own(path))
    assert all(json.loads(line) for line in path.read_text().splitlines())
