"""A study in a database that goes away and comes back: nothing is lost, nothing is done twice, nothing fails."""

from __future__ import annotations

import itertools
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
from searchlab.runs.events import Buffer
from searchlab.runs.job import Job
from searchlab.study.reading import peek
from searchlab.study.storage import database, journal, ownership
from searchlab.study.study import Study
from tests import postgres
from tests.postgres import PASSWORD, Postgres
from tests.relay import relay
from tests.sweeps import spiral_sweep

COUNT = itertools.count()
ABSENT = "postgresql://study:secret%2Fword@127.0.0.1:{}/study"  # not where it is used: a traceback shows those lines
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
    """A server that runs, whatever the test before left of it."""
    running.start()
    return running


@pytest.fixture
def url(server):
    """An empty database."""
    return server.create(f"study_{next(COUNT)}")


@pytest.fixture
def own():
    """Opens databases, and lets go of them in the end."""
    with ExitStack() as stack:

        def open_database(url, waiting=None):
            storage = journal.own(url, waiting)
            stack.callback(journal.release, storage)
            return storage

        yield open_database


def opened(storage):
    return optuna.create_study(study_name="s", storage=storage, load_if_exists=True)


def seen(url):
    return optuna.load_study(study_name="s", storage=journal.look(url)).trials


def work(study):
    """One trial, with every kind of thing that a ledger stores."""
    trial = study.ask()
    rate = trial.suggest_float("rate", 0.001, 1.0, log=True)
    trial.suggest_categorical("optimizer", ["SGD", "Adam"])
    trial.set_constraint("constraint", rate - 2.0)
    trial.report(rate / 2, 1)
    trial.set_user_attr("end", {"scores": [[0.25, rate]]})
    study.tell(trial, rate)
    return trial.number


def check_whole(trials, count):
    """So many trials have ended well, each with all that was told of it."""
    assert [trial.number for trial in trials] == list(range(count))
    assert {trial.state.name for trial in trials} == {"COMPLETE"}
    for trial in trials:
        rate = trial.params["rate"]
        assert set(trial.params) == {"rate", "optimizer"}
        assert trial.user_attrs["end"] == {"scores": [[0.25, rate]]}
        assert (trial.value, trial.intermediate_values) == (rate, {1: rate / 2})
        assert trial.constraints == {"constraint": rate - 2.0}


@pytest.mark.slow
def test_a_server_that_is_killed_and_started_again_loses_and_doubles_nothing(server, url, own):
    study, done, stop = opened(own(url)), [], threading.Event()

    def go_on():
        while not stop.is_set():
            done.append(work(study))

    with ThreadPoolExecutor(3) as pool:
        threads = [pool.submit(go_on) for _ in range(3)]
        try:
            for more in (4, 12, 20):
                wait_for(lambda more=more: len(done) >= more or any(thread.done() for thread in threads))
                server.stop()
                time.sleep(0.3)
                server.start()
            wait_for(lambda: len(done) >= 30 or any(thread.done() for thread in threads))
        finally:
            stop.set()
        for thread in threads:
            thread.result()
    check_whole(study.trials, len(done))
    check_whole(seen(url), len(done))


def wait_for(happened):
    deadline = time.monotonic() + 60
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def through(way, url):
    return url.replace(f":{way.target}/", f":{way.port}/")


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
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
def test_an_answer_that_is_lost_on_its_way_does_nothing_twice(server, url, own, words):
    with relay(server.port, loses_commit_of=words) as way:
        study = opened(own(through(way, url)))
        study.set_user_attr("known trials", 0)
        for _ in range(2):
            work(study)
        assert way.lost == 1
        check_whole(study.trials, 2)
    check_whole(seen(url), 2)


@pytest.mark.slow
def test_a_new_study_whose_answer_is_lost_is_no_other_of_its_name(server, url, own):
    with relay(server.port, loses_commit_of=b"INSERT INTO studies") as way:
        optuna.create_study(study_name="s", storage=own(through(way, url)))
        assert way.lost == 1
        with pytest.raises(optuna.exceptions.DuplicatedStudyError):
            optuna.create_study(study_name="s", storage=own(url))


@pytest.mark.slow
def test_a_trial_that_was_put_in_whole_is_there_once(server, url, own):
    with relay(server.port, loses_commit_of=b"INSERT INTO trials") as way:
        study = opened(own(through(way, url)))
        there = optuna.distributions.FloatDistribution(0.0, 1.0)
        study.add_trial(optuna.create_trial(params={"rate": 0.5}, distributions={"rate": there}, value=0.25))
        assert way.lost == 1
    assert [(trial.state.name, trial.value, trial.params) for trial in seen(url)] == [("COMPLETE", 0.25, {"rate": 0.5})]


class Killing(Buffer):
    """A tracker that kills the server when a trial ends or begins, and has it started again in a moment."""

    def __init__(self, server, times):
        super().__init__()
        self.server, self.left, self.threads = server, times, []

    def finish(self, trial, ending):
        super().finish(trial, ending)
        self.kill()

    def start(self, trial, parameters, moment):
        super().start(trial, parameters, moment)
        if trial % 3 == 1:
            self.kill()

    def kill(self):
        self.join()
        if self.left:
            self.left -= 1
            self.server.stop()
            self.threads = [threading.Timer(0.2, self.server.start)]
            self.threads[0].start()

    def join(self):
        for thread in self.threads:
            thread.join()


@pytest.mark.slow
def test_a_search_through_deaths_of_its_database_finds_what_an_unbroken_one_does(server, url, tmp_path):
    def found(storage, tracker, name):
        job = Job(spiral_sweep(epochs=3), "spiral", storage, tmp_path / name, trials=6, fuse=1)
        trials = local.search(job, tracker).trials
        return [(trial.state, trial.parameters, trial.value, trial.epoch, trial.reason) for trial in trials]

    unbroken = found(tmp_path / "study.journal", Buffer(), "a")
    tracker = Killing(server, times=5)
    try:
        assert found(url, tracker, "b") == unbroken
    finally:
        tracker.join()
    assert tracker.left == 0
    assert [trial.state for trial in peek(url, "spiral")] == [state for state, *_ in unbroken]


@pytest.mark.slow
def test_one_that_stays_away_is_waited_for_once_and_gone_on_with_later(server, url, own, monkeypatch):
    monkeypatch.setattr(database, "PATIENCE", 1.5)
    monkeypatch.setattr(retry, "SILENT", 0.2)
    heard = []
    study = opened(own(url, heard.append))
    work(study)
    server.stop()
    with pytest.raises(WorldFault, match=r"not answered for 1.5 seconds .*every trial that had ended is kept.*resume"):
        work(study)
    before = time.monotonic()
    with pytest.raises(WorldFault, match="has not answered"):
        work(study)
    assert time.monotonic() - before < 1.0, "the patience with one outage is used up once"
    assert [text.partition(" does not answer")[1] for text in heard] == [" does not answer"]
    server.start()
    work(study)
    assert len(heard) == 2
    assert "answers again" in heard[1]
    check_whole(study.trials, 2)


@pytest.mark.slow
def test_several_owners_may_make_the_tables_at_once(server, url):
    gate = threading.Barrier(4)

    def begin(number):
        gate.wait()
        storage = journal.own(url)
        optuna.create_study(study_name=f"s{number}", storage=storage)
        journal.release(storage)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(begin, range(4)))
    assert sorted(optuna.get_all_study_names(journal.look(url))) == ["s0", "s1", "s2", "s3"]


@pytest.mark.slow
@pytest.mark.parametrize("opening", [journal.own, journal.look])
def test_what_will_not_pass_is_told_at_once_without_the_password(server, opening):
    for url, told in (
        (server.url(password="wrong" + PASSWORD), "password authentication failed"),
        (server.url("nowhere"), 'database "nowhere" does not exist'),
        (f"{server.url()}?sslmode=require", "does not support SSL"),
    ):
        before = time.monotonic()
        with pytest.raises(WorldFault, match=told) as caught:
            opening(url)
        assert time.monotonic() - before < 3.0
        check_secret(caught.value, PASSWORD)
        assert "study:***@127.0.0.1" in str(caught.value)


def check_secret(error, *secrets):
    """Neither said in the error, nor in all that a traceback shows of its causes; and it is one line."""
    told = "".join(traceback.format_exception(error))
    assert not [secret for secret in secrets if secret in told]
    assert "\n" not in str(error)


@pytest.mark.slow
def test_looking_makes_nothing_and_an_empty_database_has_no_study(server, url):
    assert peek(url, "s") == []
    engine = sqlalchemy.create_engine(url)
    assert sqlalchemy.inspect(engine).get_table_names() == []
    engine.dispose()


def test_an_absent_database_is_told_in_seconds(free_port, monkeypatch):
    assert database.GLANCE <= 5.0
    monkeypatch.setattr(database, "GLANCE", 0.5)
    before = time.monotonic()
    with pytest.raises(WorldFault, match=r"\*\*\*@127.0.0.1.*Connection refused.*ask again") as caught:
        peek(ABSENT.format(free_port), "s")
    assert time.monotonic() - before < 5.0
    check_secret(caught.value, "secret")


def test_one_that_does_not_come_up_is_given_up_sooner_than_one_that_went_away(free_port, monkeypatch):
    assert database.OPENING < database.PATIENCE
    monkeypatch.setattr(database, "OPENING", 0.5)
    with pytest.raises(WorldFault, match=r"has not answered for 0\.5 seconds") as caught:
        journal.own(ABSENT.format(free_port))
    check_secret(caught.value, "secret")


@pytest.mark.parametrize(
    "url",
    ["study.db", "postgres://u:secret@h/d", "postgresql://u:secret@h:secret/d", "postgresql:/u:secret@h", "sqlite"],
)
@pytest.mark.parametrize("opening", [journal.own, journal.look])
def test_what_is_no_database_is_a_mistake_and_not_repeated(url, opening):
    with pytest.raises(UserMistake, match="one reads postgresql://USER:PASSWORD@HOST") as caught:
        opening(url)
    check_secret(caught.value, "secret")


def test_a_driver_that_is_not_installed_is_named():
    with pytest.raises(UserMistake, match=r"driver that is not installed here.*oracledb") as caught:
        journal.own(ORACLE)
    check_secret(caught.value, "secret")


def test_a_file_that_is_not_there_is_not_made_by_looking(tmp_path):
    assert peek(f"sqlite:///{tmp_path / 'study.db'}", "s") == []
    (tmp_path / "study.db").touch()
    assert peek(f"sqlite:///{tmp_path / 'study.db'}", "s") == []
    assert (tmp_path / "study.db").stat().st_size == 0


def test_a_file_that_cannot_be_opened_is_told_at_once(tmp_path):
    with pytest.raises(WorldFault, match=r"unable to open database file.*Give another with --storage"):
        journal.own(f"sqlite:///{tmp_path / 'nowhere' / 'study.db'}")


def test_a_file_that_another_has_locked_is_waited_for(tmp_path, own):
    study = opened(own(f"sqlite:///{tmp_path / 'study.db'}?timeout=0.05"))
    work(study)
    other = sqlite3.connect(tmp_path / "study.db", check_same_thread=False)
    other.execute("BEGIN EXCLUSIVE")
    unlock = threading.Timer(0.5, other.rollback)
    unlock.start()
    before = time.monotonic()
    work(study)
    assert time.monotonic() - before > 0.3
    unlock.join()
    other.close()
    check_whole(study.trials, 2)


def test_a_table_that_was_dropped_is_a_fault_of_the_world(tmp_path, own):
    study = opened(own(f"sqlite:///{tmp_path / 'study.db'}"))
    with sqlite3.connect(tmp_path / "study.db") as other:
        other.execute("DROP TABLE trial_params")
    other.close()
    with pytest.raises(WorldFault, match=r"no such table: trial_params.*`searchlab resume` goes on when"):
        work(study)


def test_a_database_of_another_version_is_left_as_it_is(tmp_path, own):
    url = f"sqlite:///{tmp_path / 'study.db'}"
    own(url)
    with sqlite3.connect(tmp_path / "study.db") as other:
        other.execute("UPDATE alembic_version SET version_num = 'v3.0.0.d'")
    other.close()
    for opening in (journal.own, journal.look):
        with pytest.raises(WorldFault, match="another version of Optuna; `optuna storage upgrade`"):
            opening(url)


def test_a_short_outage_is_not_told(monkeypatch):
    monkeypatch.setattr(retry, "FIRST", 0.01)
    heard, tries = [], iter([retry.Unavailable("gone"), retry.Unavailable("gone"), None])

    def ask():
        if error := next(tries):
            raise error
        return 7

    assert retry.RetryPolicy(60.0, "it", "kept", heard.append).call(ask) == 7
    assert not heard


@pytest.fixture
def impatient(monkeypatch):
    """Whoever finds a study taken gives up soon."""
    monkeypatch.setattr(ownership, "WAIT", 0.5)
    monkeypatch.setattr(ownership, "SILENT", 0.1)
    monkeypatch.setattr(ownership, "POLL", 0.05)


TAKEN = "'mine' is being run by another process on 127.0.0.1; one at a time, or choose another name with --name."
LOST = "another process.* has taken the study 'mine' over while this one was cut off from its database"
OWNER = """
import sys, time
from searchlab.study.storage import journal
storage = journal.own(sys.argv[1], None, "mine")
print("owned", flush=True)
time.sleep(600)
"""


@pytest.fixture
def owned(url):
    """Opens the study `mine` as its owner, and lets go of it in the end."""
    with ExitStack() as stack:

        def open_study(waiting=None):
            storage = journal.own(url, waiting, "mine")
            stack.callback(journal.release, storage)
            study = optuna.create_study(study_name="mine", storage=storage, load_if_exists=True)
            journal.sign(storage, study)
            return study, storage

        yield open_study


def cut(storage, url):
    """End the connection that holds the lock, and no other."""
    engine = sqlalchemy.create_engine(url)
    with engine.connect() as connection:
        connection.execute(sqlalchemy.text("SELECT pg_terminate_backend(:pid)"), {"pid": storage.ownership._own.pid})
    engine.dispose()


def states(url):
    return [trial.state.name for trial in optuna.load_study(study_name="mine", storage=journal.look(url)).trials]


@pytest.mark.slow
def test_a_study_has_one_owner_at_a_time_wherever_it_runs(impatient, url, owned):
    _, first = owned()
    heard = []
    with pytest.raises(UserMistake) as refused:
        owned(heard.append)
    assert str(refused.value) == TAKEN
    assert heard == ["another process has the study 'mine'; waiting for it, 0.5 seconds at most"]
    other = journal.own(url, None, "another")  # of the same database
    journal.release(first)
    owned()
    journal.release(other)


@pytest.mark.slow
def test_who_is_refused_leaves_no_connection(impatient, url, owned):
    engine = sqlalchemy.create_engine(url, isolation_level="AUTOCOMMIT")
    count = sqlalchemy.text("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()")
    with engine.connect() as connection:
        owned()
        before = connection.scalar(count)
        with pytest.raises(UserMistake):
            owned()
        deadline = time.monotonic() + 10
        while connection.scalar(count) > before and time.monotonic() < deadline:
            time.sleep(0.05)
        assert connection.scalar(count) == before
    engine.dispose()


@pytest.mark.slow
def test_an_owner_that_is_killed_has_let_go(monkeypatch, url, owned):
    process = subprocess.Popen([sys.executable, "-c", OWNER, url], stdout=subprocess.PIPE)
    try:
        assert process.stdout.readline() == b"owned\n"
        monkeypatch.setattr(ownership, "WAIT", 0.5)
        with pytest.raises(UserMistake):
            owned()
    finally:
        process.kill()
        process.communicate()
    monkeypatch.setattr(ownership, "WAIT", 10.0)
    owned()


@pytest.mark.slow
@pytest.mark.parametrize("what", ["the server", "its connection", "its connection, of which the server knows nothing"])
def test_an_owner_that_was_cut_off_keeps_the_study(impatient, server, url, owned, what):
    study, storage = owned()
    before, held = storage.ownership._own, None
    if what == "the server":
        server.stop()
        server.start()
    elif what == "its connection":
        cut(storage, url)
    else:
        held, storage.ownership._connection = storage.ownership._connection, None
    work(study)
    assert storage.ownership._own[:2] != before[:2]
    with pytest.raises(UserMistake) as refused:
        owned()
    assert str(refused.value) == TAKEN
    if held:
        held.close()


@pytest.mark.slow
def test_an_owner_of_which_nothing_is_asked_takes_its_lock_again_by_itself(monkeypatch, url, owned):
    monkeypatch.setattr(ownership, "LOOK", 0.2)
    _, storage = owned()
    before = storage.ownership._own
    cut(storage, url)
    deadline = time.monotonic() + 20
    while storage.ownership._own[:2] == before[:2] and time.monotonic() < deadline:
        time.sleep(0.05)
    assert storage.ownership._own[:2] != before[:2]


@pytest.mark.slow
@pytest.mark.parametrize("gone", [False, True], ids=["which has it still", "which has let go of it again"])
def test_an_owner_that_was_cut_off_writes_nothing_once_another_had_the_study(impatient, url, owned, gone):
    """What it knows of the study is not true any more: it never has it again."""
    study, storage = owned()
    trial = study.ask()
    cut(storage, url)
    second, other = owned()
    begun = second.ask()
    if gone:
        journal.release(other)
    began = time.monotonic()
    for write in (lambda: study.tell(trial, 1.0), lambda: trial.set_user_attr("end", 1), study.ask, study.ask):
        with pytest.raises(WorldFault, match=LOST):
            write()
    assert time.monotonic() - began < 5, "it is told at once, however often it is asked"
    assert states(url) == ["RUNNING", "RUNNING"]
    if not gone:
        second.tell(begun, 1.0)
        assert states(url) == ["RUNNING", "COMPLETE"]


@pytest.mark.slow
def test_a_study_that_is_refused_is_not_kept(impatient, url, tmp_path):
    """It is another home's: whoever holds its traceback, as a notebook does, does not hold the study."""
    job = Job(spiral_sweep(trials=4), "mine", url, tmp_path / "c", 4, id="one")
    Study(job, Buffer()).close()
    with pytest.raises(UserMistake, match="of another home's sweep") as refused:
        Study(replace(job, id="another", lock=tmp_path / "lock"), Buffer())
    Study(replace(job, lock=tmp_path / "lock"), Buffer()).close()
    assert refused.traceback
