"""The owner of a study in a database: one process at a time, wherever it runs, and nobody after it was cut off."""

# ruff: noqa: F811  # fixtures of another file are imported

from __future__ import annotations

import re
import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import replace

import optuna
import pytest

from searchlab.errors import UserMistake, WorldFault
from searchlab.runs.events import EventBuffer
from searchlab.study.storage import postgres_journal, postgres_lock
from searchlab.study.storage.opening import open_owned
from searchlab.study.study import Study
from tests.jobs import make_job
from tests.sweeps import spiral_sweep
from tests.test_database import execute, quiet, run_trial, running, server, stored_trials, url  # noqa: F401
from tests.waiting import wait_for


@pytest.fixture
def short_timeouts(monkeypatch):
    """An owned study is waited for only shortly."""
    monkeypatch.setattr(postgres_lock, "OWNER_TIMEOUT", 0.5)
    monkeypatch.setattr(postgres_lock, "NOTIFY_AFTER", 0.1)
    monkeypatch.setattr(postgres_lock, "POLL_INTERVAL", 0.05)


TAKEN = "'mine' is being run by another process on 127.0.0.1; "
LOST = "another process.* has taken the study 'mine' over while this one was cut off from its database"
OWNER = """
import sys, time
from searchlab.study.storage.opening import open_owned
storage = open_owned(sys.argv[1], "mine")
print("owned", flush=True)
time.sleep(600)
"""


@pytest.fixture
def open_mine(url):
    """Opens the study `mine` as its owner, and closes it at the end of the test."""
    with ExitStack() as stack:

        def opened(notify=None):
            storage = open_owned(url, "mine", notify)
            stack.callback(storage.close)
            return optuna.create_study(study_name="mine", storage=storage, load_if_exists=True), storage

        yield opened


def cut(storage, url):
    """End the connection that holds the lock."""
    execute(url, "SELECT pg_terminate_backend(%s)", lock_of(storage).known_as.pid)


def lock_of(storage):
    return storage._journal._lock


def is_new(storage, before):
    """Whether another connection holds the lock than before."""
    return lock_of(storage).connection is not None and lock_of(storage).known_as[:2] != before[:2]


def states(url):
    return [trial.state.name for trial in stored_trials(url, "mine")]


@pytest.mark.slow
def test_a_study_has_one_owner_at_a_time_wherever_it_runs(short_timeouts, url, open_mine):
    _, first = open_mine()
    messages = []
    with pytest.raises(UserMistake) as caught:
        open_mine(messages.append)
    assert str(caught.value).startswith(TAKEN)
    assert len(messages) == 1
    assert re.search(r"another process.*'mine'.*0\.5 seconds", messages[0])
    other = open_owned(url, "another")  # of the same database
    first.close()
    open_mine()
    other.close()


@pytest.mark.slow
def test_a_refused_owner_leaves_no_connection(short_timeouts, url, open_mine):
    count = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    open_mine()
    before = execute(url, count)
    with pytest.raises(UserMistake):
        open_mine()
    wait_for(lambda: execute(url, count) == before)


@pytest.mark.slow
def test_a_killed_owner_releases_the_study(monkeypatch, url, open_mine):
    process = subprocess.Popen([sys.executable, "-c", OWNER, url], stdout=subprocess.PIPE)
    try:
        assert process.stdout.readline() == b"owned\n"
        monkeypatch.setattr(postgres_lock, "OWNER_TIMEOUT", 0.5)
        with pytest.raises(UserMistake):
            open_mine()
    finally:
        process.kill()
        process.communicate()
    monkeypatch.setattr(postgres_lock, "OWNER_TIMEOUT", 10.0)
    open_mine()


@pytest.mark.slow
@pytest.mark.parametrize("lost", ["server", "connection", "connection unknown to the server"])
def test_an_owner_that_was_cut_off_keeps_the_study(short_timeouts, server, url, open_mine, lost):
    study, storage = open_mine()
    before, connection = lock_of(storage).known_as, None
    if lost == "server":
        server.kill()
        server.start()
    elif lost == "connection":
        cut(storage, url)
    else:
        connection, lock_of(storage).connection = lock_of(storage).connection, None
    run_trial(study)
    assert is_new(storage, before)
    with pytest.raises(UserMistake) as caught:
        open_mine()
    assert str(caught.value).startswith(TAKEN)
    if connection:
        connection.close()


@pytest.mark.slow
def test_an_idle_owner_takes_its_lock_again(monkeypatch, url, open_mine):
    monkeypatch.setattr(postgres_journal, "CHECK_INTERVAL", 0.2)
    _, storage = open_mine()
    before = lock_of(storage).known_as
    cut(storage, url)
    wait_for(lambda: is_new(storage, before))


@pytest.mark.slow
@pytest.mark.parametrize("is_closed", [False, True], ids=["which owns it still", "which has closed it"])
def test_an_owner_that_was_cut_off_writes_nothing_after_another_owner(short_timeouts, url, open_mine, is_closed):
    """What it knows of the study is out of date: it never owns it again."""
    study, storage = open_mine()
    trial = study.ask()
    storage.flush()
    cut(storage, url)
    second, other = open_mine()
    second_trial = second.ask()
    other.flush()
    if is_closed:
        other.close()
    started = time.monotonic()
    for write in (lambda: study.tell(trial, 1.0), lambda: trial.set_user_attr("end", 1), study.ask, study.ask):
        with pytest.raises(WorldFault, match=LOST):
            write()
    assert time.monotonic() - started < 5, "each call fails at once"
    assert states(url) == ["RUNNING", "RUNNING"]
    if not is_closed:
        second.tell(second_trial, 1.0)
        assert states(url) == ["RUNNING", "COMPLETE"]


@pytest.mark.slow
def test_a_refused_study_is_not_owned(short_timeouts, url, tmp_path):
    """It is another sweep's: a traceback that is kept, as in a notebook, does not keep the study open."""
    job = make_job(spiral_sweep(trials=4), "mine", url, tmp_path / "c", 4, id="one")
    Study(job, EventBuffer()).close()
    with pytest.raises(UserMistake, match=r"of another.*sweep") as caught:
        Study(replace(job, id="another", lock=tmp_path / "lock"), EventBuffer())
    Study(replace(job, lock=tmp_path / "lock"), EventBuffer()).close()
    assert caught.traceback


@pytest.mark.slow
def test_a_study_of_another_sweep_in_the_same_database_is_not_opened(url, tmp_path):
    mine, another = (make_job(spiral_sweep(), "s", url, tmp_path, trials=6, id=id) for id in ("mine", "another"))
    Study(mine, EventBuffer()).close()
    Study(mine, EventBuffer()).close()
    with pytest.raises(UserMistake, match="of another"):
        Study(another, EventBuffer())
