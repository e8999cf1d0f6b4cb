"""A study in a database that becomes unavailable and returns: nothing is lost, nothing is done twice, nothing fails."""

from __future__ import annotations

import itertools
import re
import sqlite3
import subprocess
import sys
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace

import optuna
import pytest
import sqlalchemy

from searchlab.engine import local
from searchlab.errors import UserMistake, WorldFault
from searchlab.runs import retry
from searchlab.runs.events import EventBuffer, TrialFinished, TrialStarted
from searchlab.study.reading import read_trials
from searchlab.study.storage import database, ownership
from searchlab.study.storage.opening import close, open_owned, open_read_only, record_owner
from searchlab.study.study import Study
from tests import postgres
from tests.jobs import make_job
from tests.postgres import PASSWORD, Postgres
from tests.relay import relay
from tests.sweeps import spiral_sweep
from tests.waiting import DEADLINE, wait_for

COUNT = itertools.count()
ABSENT = "postgresql://study:secret%2Fword@127.0.0.1:{}/study"  # here, because a traceback shows the lines of a test
ORACLE = "oracle+oracledb://u:secret@h/d"


@pytest.fixture(autouse=True)
def quiet():
    optuna.logging.set_verbosity(optuna.logging.WARNING)


@pytest.fixture(scope="module")
def running():
    if reason := postgres.unavailable_reason():
        pytest.skip(reason)
    with Postgres() as server:
        yield server


@pytest.fixture
def server(running):
    """A server that runs, whatever the test before did to it."""
    running.start()
    return running


@pytest.fixture
def url(server):
    """An empty database."""
    return server.create(f"study_{next(COUNT)}")


@pytest.fixture
def open_database():
    """Opens databases, and closes them at the end of the test."""
    with ExitStack() as stack:

        def opened(url, notify=None):
            storage = open_owned(url, notify)
            stack.callback(close, storage)
            return storage

        yield opened


def load_study(storage):
    return optuna.create_study(study_name="s", storage=storage, load_if_exists=True)


def stored_trials(url):
    return optuna.load_study(study_name="s", storage=open_read_only(url)).trials


def run_trial(study):
    """Run a trial with every kind of value that a study stores; its number."""
    trial = study.ask()
    rate = trial.suggest_float("rate", 0.001, 1.0, log=True)
    trial.suggest_categorical("optimizer", ["SGD", "Adam"])
    trial.set_constraint("constraint", rate - 2.0)
    trial.report(rate / 2, 1)
    trial.set_user_attr("end", {"scores": [[0.25, rate]]})
    study.tell(trial, rate)
    return trial.number


def check_whole(trials, count):
    """So many trials are complete, each with all its values."""
    assert [trial.number for trial in trials] == list(range(count))
    assert {trial.state.name for trial in trials} == {"COMPLETE"}
    for trial in trials:
        rate = trial.params["rate"]
        assert set(trial.params) == {"rate", "optimizer"}
        assert trial.user_attrs["end"] == {"scores": [[0.25, rate]]}
        assert (trial.value, trial.intermediate_values) == (rate, {1: rate / 2})
        assert trial.constraints == {"constraint": rate - 2.0}


@pytest.mark.slow
def test_restarts_of_the_server_lose_and_repeat_nothing(server, url, open_database):
    study, done, stop = load_study(open_database(url)), [], threading.Event()

    def run_trials():
        while not stop.is_set():
            done.append(run_trial(study))

    with ThreadPoolExecutor(3) as pool:
        threads = [pool.submit(run_trials) for _ in range(3)]
        try:
            for count in (4, 12, 20):
                wait_for(lambda count=count: len(done) >= count or any(thread.done() for thread in threads))
                server.stop()
                time.sleep(0.3)
                server.start()
            wait_for(lambda: len(done) >= 30 or any(thread.done() for thread in threads))
        finally:
            stop.set()
        for thread in threads:
            thread.result()
    check_whole(study.trials, len(done))
    check_whole(stored_trials(url), len(done))


def through(relay, url):
    return url.replace(f":{relay.target}/", f":{relay.port}/")


@pytest.mark.slow
@pytest.mark.parametrize(
    "statement",
    [
        b"INSERT INTO studies",
        b"INSERT INTO study_user_attributes",
        b"INSERT INTO trials",
        b"INSERT INTO trial_params",
        b"INSERT INTO trial_system_attributes",
        b"INSERT INTO trial_user_attributes",
        b"INSERT INTO trial_intermediate_values",
        b"INSERT INTO trial_values",
    ],
)
def test_a_lost_answer_repeats_nothing(server, url, open_database, statement):
    with relay(server.port, drop_commit_of=statement) as proxy:
        study = load_study(open_database(through(proxy, url)))
        study.set_user_attr("known trials", 0)
        for _ in range(2):
            run_trial(study)
        assert proxy.dropped == 1
        check_whole(study.trials, 2)
    check_whole(stored_trials(url), 2)


@pytest.mark.slow
def test_a_study_whose_creation_lost_its_answer_is_not_another_one_of_its_name(server, url, open_database):
    with relay(server.port, drop_commit_of=b"INSERT INTO studies") as proxy:
        optuna.create_study(study_name="s", storage=open_database(through(proxy, url)))
        assert proxy.dropped == 1
        with pytest.raises(optuna.exceptions.DuplicatedStudyError):
            optuna.create_study(study_name="s", storage=open_database(url))


@pytest.mark.slow
def test_a_finished_trial_is_added_once(server, url, open_database):
    with relay(server.port, drop_commit_of=b"INSERT INTO trials") as proxy:
        study = load_study(open_database(through(proxy, url)))
        distribution = optuna.distributions.FloatDistribution(0.0, 1.0)
        study.add_trial(optuna.create_trial(params={"rate": 0.5}, distributions={"rate": distribution}, value=0.25))
        assert proxy.dropped == 1
    assert [(trial.state.name, trial.value, trial.params) for trial in stored_trials(url)] == [
        ("COMPLETE", 0.25, {"rate": 0.5})
    ]


class ServerKiller(EventBuffer):
    """A handler that kills the server when trials end and start, and restarts it after a moment."""

    def __init__(self, server, kills):
        super().__init__()
        self.server, self.kills_left, self.restarts = server, kills, []

    def handle(self, event):
        super().handle(event)
        if isinstance(event, TrialFinished) or (isinstance(event, TrialStarted) and event.trial % 3 == 1):
            self.kill()

    def kill(self):
        self.join()
        if self.kills_left:
            self.kills_left -= 1
            self.server.stop()
            self.restarts = [threading.Timer(0.2, self.server.start)]
            self.restarts[0].start()

    def join(self):
        for restart in self.restarts:
            restart.join()


@pytest.mark.slow
def test_a_search_gives_the_same_results_when_its_database_is_killed(server, url, tmp_path):
    def found(storage, handler, name):
        job = make_job(spiral_sweep(epochs=3), "spiral", storage, tmp_path / name, trials=6, fuse=1)
        trials = local.search(job, handler).trials
        return [(trial.state, trial.parameters, trial.value, trial.epoch, trial.reason) for trial in trials]

    undisturbed = found(tmp_path / "study.journal", EventBuffer(), "a")
    killer = ServerKiller(server, kills=5)
    try:
        assert found(url, killer, "b") == undisturbed
    finally:
        killer.join()
    assert killer.kills_left == 0
    assert [trial.state for trial in read_trials(url, "spiral")] == [state for state, *_ in undisturbed]


@pytest.mark.slow
def test_a_long_outage_is_waited_for_once_and_the_study_continues_later(server, url, open_database, monkeypatch):
    monkeypatch.setattr(database, "OUTAGE_TIMEOUT", 1.5)
    monkeypatch.setattr(retry, "NOTIFY_AFTER", 0.2)
    messages = []
    study = load_study(open_database(url, messages.append))
    run_trial(study)
    server.stop()
    with pytest.raises(WorldFault, match=r"not answered for 1.5 seconds .*is kept.*resume"):
        run_trial(study)
    before = time.monotonic()
    with pytest.raises(WorldFault, match="has not answered"):
        run_trial(study)
    assert time.monotonic() - before < 1.0, "one outage is waited for once"
    assert [text.partition(" does not answer")[1] for text in messages] == [" does not answer"]
    server.start()
    run_trial(study)
    assert len(messages) == 2
    assert "answers again" in messages[1]
    check_whole(study.trials, 2)


@pytest.mark.slow
def test_several_owners_can_create_the_tables_at_the_same_time(server, url):
    barrier = threading.Barrier(4)

    def create(number):
        barrier.wait()
        storage = open_owned(url)
        optuna.create_study(study_name=f"s{number}", storage=storage)
        close(storage)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(create, range(4)))
    assert sorted(optuna.get_all_study_names(open_read_only(url))) == ["s0", "s1", "s2", "s3"]


@pytest.mark.slow
@pytest.mark.parametrize("opener", [open_owned, open_read_only])
def test_a_refusal_is_raised_at_once_without_the_password(server, opener):
    for url, reason in (
        (server.url(password="wrong" + PASSWORD), "password authentication failed"),
        (server.url("nowhere"), 'database "nowhere" does not exist'),
        (f"{server.url()}?sslmode=require", "does not support SSL"),
    ):
        before = time.monotonic()
        with pytest.raises(WorldFault, match=reason) as caught:
            opener(url)
        assert time.monotonic() - before < 3.0
        check_secret(caught.value, PASSWORD)
        assert "study:***@127.0.0.1" in str(caught.value)


def check_secret(error, *secrets):
    """Neither the error nor the traceback of its causes shows a secret, and the error is one line."""
    text = "".join(traceback.format_exception(error))
    assert not [secret for secret in secrets if secret in text]
    assert "\n" not in str(error)


@pytest.mark.slow
def test_reading_creates_nothing_and_an_empty_database_has_no_study(server, url):
    assert read_trials(url, "s") == []
    engine = sqlalchemy.create_engine(url)
    assert sqlalchemy.inspect(engine).get_table_names() == []
    engine.dispose()


def test_a_missing_database_is_an_error_within_seconds(free_port, monkeypatch):
    assert database.READ_TIMEOUT <= 5.0
    monkeypatch.setattr(database, "READ_TIMEOUT", 0.5)
    before = time.monotonic()
    with pytest.raises(WorldFault, match=r"\*\*\*@127.0.0.1.*Connection refused") as caught:
        read_trials(ABSENT.format(free_port), "s")
    assert time.monotonic() - before < 5.0
    check_secret(caught.value, "secret")


def test_opening_waits_shorter_than_an_outage(free_port, monkeypatch):
    assert database.OPEN_TIMEOUT < database.OUTAGE_TIMEOUT
    monkeypatch.setattr(database, "OPEN_TIMEOUT", 0.5)
    with pytest.raises(WorldFault, match=r"has not answered for 0\.5 seconds") as caught:
        open_owned(ABSENT.format(free_port))
    check_secret(caught.value, "secret")


@pytest.mark.parametrize(
    "url",
    ["study.db", "postgres://u:secret@h/d", "postgresql://u:secret@h:secret/d", "postgresql:/u:secret@h", "sqlite"],
)
@pytest.mark.parametrize("opener", [open_owned, open_read_only])
def test_a_url_that_is_no_databases_is_a_mistake_and_not_repeated(url, opener):
    with pytest.raises(UserMistake, match="postgresql://USER:PASSWORD@HOST") as caught:
        opener(url)
    check_secret(caught.value, "secret")


def test_a_missing_driver_is_named():
    with pytest.raises(UserMistake, match=r"driver that is not installed here.*oracledb") as caught:
        open_owned(ORACLE)
    check_secret(caught.value, "secret")


def test_a_missing_file_is_not_created_by_reading(tmp_path):
    assert read_trials(f"sqlite:///{tmp_path / 'study.db'}", "s") == []
    (tmp_path / "study.db").touch()
    assert read_trials(f"sqlite:///{tmp_path / 'study.db'}", "s") == []
    assert (tmp_path / "study.db").stat().st_size == 0


def test_a_file_that_cannot_be_opened_is_an_error_at_once(tmp_path):
    with pytest.raises(WorldFault, match=r"unable to open database file.*--storage"):
        open_owned(f"sqlite:///{tmp_path / 'nowhere' / 'study.db'}")


def test_a_locked_file_is_waited_for(tmp_path, open_database):
    study = load_study(open_database(f"sqlite:///{tmp_path / 'study.db'}?timeout=0.05"))
    run_trial(study)
    other = sqlite3.connect(tmp_path / "study.db", check_same_thread=False)
    other.execute("BEGIN EXCLUSIVE")
    unlock = threading.Timer(0.5, other.rollback)
    unlock.start()
    before = time.monotonic()
    run_trial(study)
    assert time.monotonic() - before > 0.3
    unlock.join()
    other.close()
    check_whole(study.trials, 2)


def test_a_dropped_table_is_an_error(tmp_path, open_database):
    study = load_study(open_database(f"sqlite:///{tmp_path / 'study.db'}"))
    with sqlite3.connect(tmp_path / "study.db") as other:
        other.execute("DROP TABLE trial_params")
    other.close()
    with pytest.raises(WorldFault, match=r"no such table: trial_params.*`searchlab resume`"):
        run_trial(study)


def test_a_database_of_another_version_of_optuna_is_left_as_it_is(tmp_path, open_database):
    url = f"sqlite:///{tmp_path / 'study.db'}"
    open_database(url)
    with sqlite3.connect(tmp_path / "study.db") as other:
        other.execute("UPDATE alembic_version SET version_num = 'v3.0.0.d'")
    other.close()
    for opener in (open_owned, open_read_only):
        with pytest.raises(WorldFault, match=r"another version of Optuna.*`optuna storage upgrade`"):
            opener(url)


def test_a_short_outage_is_not_reported(monkeypatch):
    monkeypatch.setattr(retry, "FIRST_PAUSE", 0.01)
    messages, attempts = [], iter([retry.Unavailable("gone"), retry.Unavailable("gone"), None])

    def action():
        if error := next(attempts):
            raise error
        return 7

    assert retry.RetryPolicy(60.0, "it", "kept", messages.append).call(action) == 7
    assert not messages


@pytest.fixture
def short_timeouts(monkeypatch):
    """An owned study is waited for only shortly."""
    monkeypatch.setattr(ownership, "OWNER_TIMEOUT", 0.5)
    monkeypatch.setattr(ownership, "NOTIFY_AFTER", 0.1)
    monkeypatch.setattr(ownership, "POLL_INTERVAL", 0.05)


TAKEN = "'mine' is being run by another process on 127.0.0.1; "
LOST = "another process.* has taken the study 'mine' over while this one was cut off from its database"
OWNER = """
import sys, time
from searchlab.study.storage.opening import open_owned
storage = open_owned(sys.argv[1], None, "mine")
print("owned", flush=True)
time.sleep(600)
"""


@pytest.fixture
def open_mine(url):
    """Opens the study `mine` as its owner, and closes it at the end of the test."""
    with ExitStack() as stack:

        def opened(notify=None):
            storage = open_owned(url, notify, "mine")
            stack.callback(close, storage)
            study = optuna.create_study(study_name="mine", storage=storage, load_if_exists=True)
            record_owner(storage, study)
            return study, storage

        yield opened


def cut(storage, url):
    """End the connection that holds the lock, and no other one."""
    engine = sqlalchemy.create_engine(url)
    with engine.connect() as connection:
        connection.execute(
            sqlalchemy.text("SELECT pg_terminate_backend(:pid)"), {"pid": storage.ownership._known_as.pid}
        )
    engine.dispose()


def states(url):
    return [trial.state.name for trial in optuna.load_study(study_name="mine", storage=open_read_only(url)).trials]


@pytest.mark.slow
def test_a_study_has_one_owner_at_a_time_wherever_it_runs(short_timeouts, url, open_mine):
    _, first = open_mine()
    messages = []
    with pytest.raises(UserMistake) as caught:
        open_mine(messages.append)
    assert str(caught.value).startswith(TAKEN)
    assert len(messages) == 1
    assert re.search(r"another process.*'mine'.*0\.5 seconds", messages[0])
    other = open_owned(url, None, "another")  # of the same database
    close(first)
    open_mine()
    close(other)


@pytest.mark.slow
def test_a_refused_owner_leaves_no_connection(short_timeouts, url, open_mine):
    engine = sqlalchemy.create_engine(url, isolation_level="AUTOCOMMIT")
    count = sqlalchemy.text("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()")
    with engine.connect() as connection:
        open_mine()
        before = connection.scalar(count)
        with pytest.raises(UserMistake):
            open_mine()
        deadline = time.monotonic() + DEADLINE
        while connection.scalar(count) > before and time.monotonic() < deadline:
            time.sleep(0.05)
        assert connection.scalar(count) == before
    engine.dispose()


@pytest.mark.slow
def test_a_killed_owner_releases_the_study(monkeypatch, url, open_mine):
    process = subprocess.Popen([sys.executable, "-c", OWNER, url], stdout=subprocess.PIPE)
    try:
        assert process.stdout.readline() == b"owned\n"
        monkeypatch.setattr(ownership, "OWNER_TIMEOUT", 0.5)
        with pytest.raises(UserMistake):
            open_mine()
    finally:
        process.kill()
        process.communicate()
    monkeypatch.setattr(ownership, "OWNER_TIMEOUT", 10.0)
    open_mine()


@pytest.mark.slow
@pytest.mark.parametrize("lost", ["server", "connection", "connection unknown to the server"])
def test_an_owner_that_was_cut_off_keeps_the_study(short_timeouts, server, url, open_mine, lost):
    study, storage = open_mine()
    before, connection = storage.ownership._known_as, None
    if lost == "server":
        server.stop()
        server.start()
    elif lost == "connection":
        cut(storage, url)
    else:
        connection, storage.ownership._connection = storage.ownership._connection, None
    run_trial(study)
    assert storage.ownership._known_as[:2] != before[:2]
    with pytest.raises(UserMistake) as caught:
        open_mine()
    assert str(caught.value).startswith(TAKEN)
    if connection:
        connection.close()


@pytest.mark.slow
def test_an_idle_owner_takes_its_lock_again(monkeypatch, url, open_mine):
    monkeypatch.setattr(ownership, "CHECK_INTERVAL", 0.2)
    _, storage = open_mine()
    before = storage.ownership._known_as
    cut(storage, url)
    deadline = time.monotonic() + DEADLINE
    while storage.ownership._known_as[:2] == before[:2] and time.monotonic() < deadline:
        time.sleep(0.05)
    assert storage.ownership._known_as[:2] != before[:2]


@pytest.mark.slow
@pytest.mark.parametrize("is_closed", [False, True], ids=["which owns it still", "which has closed it"])
def test_an_owner_that_was_cut_off_writes_nothing_after_another_owner(short_timeouts, url, open_mine, is_closed):
    """What it knows of the study is out of date: it never owns it again."""
    study, storage = open_mine()
    trial = study.ask()
    cut(storage, url)
    second, other = open_mine()
    second_trial = second.ask()
    if is_closed:
        close(other)
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
