"""A study in a database that becomes unavailable and returns: nothing is lost, nothing is done twice, nothing fails."""

from __future__ import annotations

import itertools
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import optuna
import psycopg
import pytest

from searchlab.engine import local
from searchlab.errors import UserMistake, WorldFault
from searchlab.monitor.watch import SweepObserver
from searchlab.runs import retry
from searchlab.runs.events import EventBuffer, TrialFinished, TrialStarted
from searchlab.runs.workspace import Workspace
from searchlab.study.reading import read_trials
from searchlab.study.storage import postgres_journal, postgres_reader
from searchlab.study.storage.opening import open_owned, open_read_only
from searchlab.study.storage.postgres_reader import StudyReader
from searchlab.study.study import Study
from tests import postgres
from tests.jobs import make_job
from tests.postgres import PASSWORD, Postgres
from tests.relay import relay
from tests.sweeps import spiral_sweep
from tests.test_status import end_in_every_state, job_in, spiral_manifest
from tests.waiting import wait_for

COUNT = itertools.count()
ABSENT = "postgresql://study:secret%2Fword@127.0.0.1:{}/study"  # here, because a traceback shows the lines of a test
LAZY_DISK = "wal_writer_delay=10s"  # what waits for no disk is lost by a kill of the server, for 10 s and not for 0.2


@pytest.fixture(autouse=True)
def quiet():
    optuna.logging.set_verbosity(optuna.logging.WARNING)


@pytest.fixture(scope="module")
def running():
    if reason := postgres.unavailable_reason():
        pytest.skip(reason)
    with Postgres(settings=[LAZY_DISK]) as server:
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
    """Opens the study `s` in databases, and closes them at the end of the test."""
    with ExitStack() as stack:

        def opened(url, notify=None, study="s"):
            storage = open_owned(url, study, notify)
            stack.callback(storage.close)
            return storage

        yield opened


def load_study(storage):
    return optuna.create_study(study_name="s", storage=storage, load_if_exists=True)


def stored_trials(url, study="s"):
    storage = open_read_only(url, study)
    return optuna.load_study(study_name=study, storage=storage).trials if storage.get_all_studies() else []


def execute(url, statement, *values):
    """Execute a statement, and return its rows."""
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        cursor = connection.execute(statement, values)
        return cursor.fetchall() if cursor.description else []


def run_trial(study):
    """Run a trial with every kind of value that a study stores; its number."""
    trial = study.ask()
    rate = trial.suggest_float("rate", 0.001, 1.0, log=True)
    trial.suggest_categorical("optimizer", ["SGD", "Adam"])
    trial.set_constraint("constraint", rate - 2.0)
    study._storage.flush()
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
def test_kills_of_the_server_lose_and_repeat_nothing(server, url, open_database):
    study, done, stop = load_study(open_database(url)), [], threading.Event()

    def run_trials():
        while not stop.is_set():
            done.append(run_trial(study))

    with ThreadPoolExecutor(3) as pool:
        threads = [pool.submit(run_trials) for _ in range(3)]
        try:
            for count in (4, 12, 20):
                wait_for(lambda count=count: len(done) >= count or any(thread.done() for thread in threads))
                server.kill()
                time.sleep(0.3)
                server.start()
            wait_for(lambda: len(done) >= 30 or any(thread.done() for thread in threads))
        finally:
            stop.set()
        for thread in threads:
            thread.result()
    check_whole(study.trials, len(done))
    check_whole(stored_trials(url), len(done))


@pytest.mark.slow
def test_what_a_killed_server_did_not_have_on_its_disk_is_sent_again(server, url, open_database, monkeypatch):
    monkeypatch.setattr(postgres_journal, "SYNC_INTERVAL", 600.0)
    monkeypatch.setattr(postgres_journal, "CHECK_INTERVAL", 600.0)
    storage = open_database(url)
    study = load_study(storage)
    for _ in range(3):
        run_trial(study)
    assert len(stored_trials(url)) == 3
    server.kill()
    server.start()
    assert len(stored_trials(url)) < 3, "the server has lost what it had confirmed"
    run_trial(study)
    check_whole(stored_trials(url), 4)
    storage.close()  # which waits for the disk
    server.kill()
    server.start()
    check_whole(stored_trials(url), 4)


@pytest.mark.slow
def test_an_idle_owner_sends_what_a_killed_server_has_lost(server, url, open_database, monkeypatch):
    monkeypatch.setattr(postgres_journal, "CHECK_INTERVAL", 0.2)
    monkeypatch.setattr(postgres_journal, "SYNC_INTERVAL", 600.0)
    run_trial(load_study(open_database(url)))
    server.kill()
    server.start()
    wait_for(lambda: stored_trials(url))
    check_whole(stored_trials(url), 1)


@pytest.mark.slow
def test_the_disk_is_waited_for_once_a_second(server, url, open_database, monkeypatch):
    monkeypatch.setattr(postgres_journal, "SYNC_INTERVAL", 0.0)
    monkeypatch.setattr(postgres_journal, "CHECK_INTERVAL", 600.0)
    storage = open_database(url)
    run_trial(load_study(storage))
    assert not storage._journal._unsynced, "nothing is kept that the disk has"
    server.kill()
    server.start()
    check_whole(stored_trials(url), 1)


def through(relay, url):
    return url.replace(f":{relay.target}/", f":{relay.port}/")


@pytest.mark.slow
@pytest.mark.parametrize("drops_request", [False, True], ids=["the answer", "the request"])
@pytest.mark.parametrize(
    "marker",
    [
        b"INSERT INTO searchlab_studies",
        b'{"op_code":0,',  # a study is created
        b'{"op_code":2,',  # an attribute of it is set
        b'{"op_code":4,',  # a trial is created
        b'{"op_code":6,',  # it ends
        b"synchronous_commit = on",
        b"synchronous_commit = off",
    ],
)
def test_a_connection_that_is_lost_in_an_append_loses_and_repeats_nothing(
    server, url, open_database, monkeypatch, marker, drops_request
):
    if b"commit" in marker:
        monkeypatch.setattr(postgres_journal, "SYNC_INTERVAL", 0.0)
    with relay(server.port, drop=marker, drops_request=drops_request) as proxy:
        study = load_study(storage := open_database(through(proxy, url)))
        study.set_user_attr("known trials", 0)
        for _ in range(2):
            run_trial(study)
        storage.close()
        assert proxy.dropped == 1
        check_whole(study.trials, 2)
    check_whole(stored_trials(url), 2)
    numbers = [number for (number,) in execute(url, "SELECT number FROM searchlab_journal ORDER BY number")]
    assert numbers == list(range(len(numbers)))


@pytest.mark.slow
def test_a_trial_takes_two_appends(url, open_database):
    study = load_study(open_database(url))
    ((before,),) = execute(url, "SELECT count(*) FROM searchlab_journal")
    run_trial(study)
    assert execute(url, "SELECT count(*) FROM searchlab_journal") == [(before + 2,)]


@pytest.mark.slow
def test_a_handed_out_trial_is_stored_with_its_parameters(url, tmp_path):
    """A kill of the owner at any later moment keeps it."""
    study = Study(make_job(spiral_sweep(trials=4), "s", url, tmp_path, 4, fuse=2), EventBuffer())
    group = study.ask()
    trials = stored_trials(url)
    assert [trial.params for trial in trials] == [dict(parameters) for parameters in group.parameters]
    assert [trial.user_attrs["group"]["group"] for trial in trials] == [group.id] * 2
    study.close()


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
            self.server.kill()
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
def test_a_sweep_runs_and_is_extended_in_a_database(url, tmp_path):
    options = {"engine": "local", "home": tmp_path, "tracking": None, "storage": url, "progress": False}
    result = spiral_sweep(epochs=2, trials=3).run(**options)
    assert len(result.trials) == 3
    assert len(result.resume(trials=2, storage=url).trials) == 5
    assert not list(tmp_path.rglob("*.journal"))
    studies = [study.name for study in StudyReader(url).studies()]
    assert studies[0] == "spiral"
    assert all(name.startswith("spiral-finalists") for name in studies[1:])
    storage = open_read_only(url)
    assert sorted(study.study_name for study in storage.get_all_studies()) == sorted(studies)


@pytest.mark.slow
def test_a_long_outage_is_waited_for_once_and_the_study_continues_later(server, url, open_database, monkeypatch):
    monkeypatch.setattr(postgres_journal, "OUTAGE_TIMEOUT", 1.5)
    monkeypatch.setattr(retry, "NOTIFY_AFTER", 0.2)
    messages = []
    study = load_study(open_database(url, messages.append))
    run_trial(study)
    server.stop()
    trial = study.ask()
    with pytest.raises(WorldFault, match=r"not answered for 1.5 seconds .*is kept.*resume"):
        study.tell(trial, state=optuna.trial.TrialState.FAIL)
    before = time.monotonic()
    with pytest.raises(WorldFault, match="has not answered"):
        study.set_user_attr("a", 1)
    assert time.monotonic() - before < 1.0, "one outage is waited for once"
    assert [text.partition(" does not answer")[1] for text in messages] == [" does not answer"]
    server.start()
    study.set_user_attr("a", 2)
    assert len(messages) == 2
    assert "answers again" in messages[1]
    assert [trial.state.name for trial in stored_trials(url)] == ["COMPLETE", "FAIL"]


@pytest.mark.slow
def test_two_owners_at_once_write_two_studies_and_a_reader_sees_no_gap(url, open_database):
    """Each study is a line of appends of its own; whatever a reader sees, it sees from the first to some append."""
    barrier, reader, done = threading.Barrier(4), StudyReader(url), threading.Event()

    def write(number):
        barrier.wait()  # all find a database without tables
        storage = open_database(url, study=f"s{number}")
        study = optuna.create_study(study_name=f"s{number}", storage=storage)
        for _ in range(10):
            run_trial(study)

    def read():
        counts = []
        while not done.is_set():
            for study in reader.studies():
                numbers = [append.number for append in reader.appends(study, 0)]
                assert numbers[: study.appends] == list(range(study.appends))
                counts.append(len(numbers))
        return counts

    with ThreadPoolExecutor(5) as pool:
        reading, writers = pool.submit(read), [pool.submit(write, number) for number in range(4)]
        try:
            for writer in writers:
                writer.result()
        finally:
            done.set()
        assert reading.result()
    together = open_read_only(url)
    studies = {study.study_name: study._study_id for study in together.get_all_studies()}
    assert sorted(studies) == ["s0", "s1", "s2", "s3"]
    for name, study in studies.items():
        check_whole(stored_trials(url, name), 10)
        check_whole(together.get_all_trials(study), 10)
        assert [trial.params for trial in stored_trials(url, name)] == [
            trial.params for trial in together.get_all_trials(study)
        ]


@pytest.mark.slow
def test_all_studies_together_follow_what_is_written_and_deleted(url, open_database):
    together = open_read_only(url)
    assert together.get_all_studies() == []
    storages = {name: open_database(url, study=name) for name in ("a", "b")}
    studies = {name: optuna.create_study(study_name=name, storage=storage) for name, storage in storages.items()}
    for name in "abba":
        run_trial(studies[name])
        trials = [len(together.get_all_trials(study._study_id)) for study in together.get_all_studies()]
        assert trials == [len(study.trials) for study in studies.values()]
    storages["a"].close()
    execute(url, "DELETE FROM searchlab_studies WHERE name = 'a'")
    assert [study.study_name for study in together.get_all_studies()] == ["b"]
    again = optuna.create_study(study_name="a", storage=open_database(url, study="a"))
    run_trial(again)
    run_trial(studies["b"])
    found = {study.study_name: study._study_id for study in together.get_all_studies()}
    check_whole(together.get_all_trials(found["a"]), 1)
    check_whole(together.get_all_trials(found["b"]), 3)
    with pytest.raises(PermissionError):
        together.delete_study(found["a"])


@pytest.mark.slow
def test_a_study_whose_rows_are_deleted_is_no_longer_written(url, open_database):
    study = load_study(open_database(url))
    execute(url, "DELETE FROM searchlab_studies")
    with pytest.raises(WorldFault, match=r"refuses an operation .*foreign key.*`searchlab resume`"):
        run_trial(study)


@pytest.mark.slow
def test_a_damaged_row_is_named(url, open_database):
    storage = open_database(url)
    run_trial(load_study(storage))
    storage.close()
    execute(url, "UPDATE searchlab_journal SET lines = substr(lines, 1, 20) WHERE number = 1")
    for opener in (lambda: open_database(url), lambda: open_read_only(url)):
        with pytest.raises(WorldFault, match=r"row 1 of the study 's' .*damaged"):
            opener()


@pytest.mark.slow
def test_a_study_in_optunas_own_tables_is_refused_and_stays(url, open_database):
    theirs = optuna.storages.RDBStorage(url)
    optuna.create_study(study_name="s", storage=theirs)
    with pytest.raises(UserMistake, match=r"'s' in Optuna's own tables.*--name"):
        open_database(url)
    open_database(url, study="another")
    assert [study.study_name for study in theirs.get_all_studies()] == ["s"]
    theirs.engine.dispose()


@pytest.mark.slow
@pytest.mark.parametrize("opener", [lambda url: open_owned(url, "s"), open_read_only], ids=["owner", "reader"])
def test_a_refusal_is_raised_at_once_without_the_password(server, opener):
    for url, reason in (
        (server.url(password="wrong" + PASSWORD), "password authentication failed"),
        (server.url("nowhere"), 'database "nowhere" does not exist'),
        (f"{server.url()}?sslmode=require", "does not support SSL"),
        (f"{server.url()}?sslmode=never", "invalid sslmode"),
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
def test_a_password_with_any_characters_is_read_as_it_is(server, url):
    for written, password in (("with@at:colon", "with@at:colon"), ("quoted%40%2F", "quoted@/")):
        role = f"role_{next(COUNT)}"
        execute(url, psycopg.sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(psycopg.sql.Identifier(role), password))
        place = f"127.0.0.1:{server.port}/{url.rpartition('/')[2]}"
        assert open_read_only(f"postgresql://{role}:{written}@{place}").get_all_studies() == []


@pytest.mark.slow
def test_a_role_that_may_only_read_reads_and_cannot_own(server, url, open_database):
    run_trial(load_study(storage := open_database(url)))
    storage.close()
    role = f"reader_{next(COUNT)}"
    execute(url, f"CREATE ROLE {role} LOGIN PASSWORD 'reads'")
    execute(url, f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}")
    theirs = f"postgresql://{role}:reads@127.0.0.1:{server.port}/{url.rpartition('/')[2]}"
    check_whole(stored_trials(theirs), 1)
    with pytest.raises(WorldFault, match=r"permission denied for table searchlab_"):
        load_study(open_database(theirs))
    with pytest.raises(WorldFault, match=r"permission denied.*nothing in it was changed"):
        open_database(theirs, study="new")


@pytest.mark.slow
def test_reading_creates_nothing_and_an_empty_database_has_no_study(url):
    assert read_trials(url, "s") == []
    assert execute(url, "SELECT 1 FROM pg_tables WHERE schemaname = 'public'") == []


def test_a_missing_database_is_an_error_within_seconds(free_port, monkeypatch):
    assert postgres_reader.READ_TIMEOUT <= 5.0
    monkeypatch.setattr(postgres_reader, "READ_TIMEOUT", 0.5)
    before = time.monotonic()
    with pytest.raises(WorldFault, match=r"\*\*\*@127.0.0.1.*Connection refused") as caught:
        read_trials(ABSENT.format(free_port), "s")
    assert time.monotonic() - before < 5.0
    check_secret(caught.value, "secret")


def test_opening_waits_shorter_than_an_outage(free_port, monkeypatch):
    assert postgres_journal.OPEN_TIMEOUT < postgres_journal.OUTAGE_TIMEOUT
    monkeypatch.setattr(postgres_journal, "OPEN_TIMEOUT", 0.5)
    with pytest.raises(WorldFault, match=r"has not answered for 0\.5 seconds") as caught:
        open_owned(ABSENT.format(free_port), "s")
    check_secret(caught.value, "secret")


@pytest.mark.parametrize(
    "url",
    [
        "study.db",
        "sqlite:///study.db",
        "mysql://u:secret@h/d",
        "postgresql://u:secret@h:secret/d",
        "postgresql:/u:secret@h",
        "postgresql://u:secret@h/d?secret=1",
        "postgresql://u:secret@[h/d",
    ],
)
@pytest.mark.parametrize("opener", [lambda url: open_owned(url, "s"), open_read_only], ids=["owner", "reader"])
def test_a_url_that_is_no_databases_is_a_mistake_and_not_repeated(url, opener):
    with pytest.raises(UserMistake, match="postgresql://USER:PASSWORD@HOST") as caught:
        opener(url)
    check_secret(caught.value, "secret")


def test_a_storage_that_is_no_database_is_refused_before_anything_is_written(tmp_path):
    for start in (spiral_sweep().run, spiral_sweep().study):
        with pytest.raises(UserMistake, match="PostgreSQL"):
            start(home=tmp_path / "home", storage="sqlite:///study.db")
    assert not (tmp_path / "home").exists()


def test_a_missing_driver_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "psycopg", None)
    with pytest.raises(UserMistake, match=r"psycopg.*searchlab\[cluster\]"):
        open_owned(ABSENT.format(1), "s")


def test_a_short_outage_is_not_reported(monkeypatch):
    monkeypatch.setattr(retry, "FIRST_PAUSE", 0.01)
    messages, attempts = [], iter([retry.Unavailable("gone"), retry.Unavailable("gone"), None])

    def action():
        if error := next(attempts):
            raise error
        return 7

    assert retry.RetryPolicy(60.0, "it", "kept", messages.append).call(action) == 7
    assert not messages


def test_a_watched_study_in_a_database_gives_the_snapshot_of_one_in_a_file(url, tmp_path, monkeypatch):
    workspace = Workspace.at(tmp_path)
    folder = workspace.sweep("spiral")
    spiral_manifest().save(folder)
    end_in_every_state(job_in(workspace))
    embedded = SweepObserver(folder).snapshot()
    assert embedded.complete
    assert embedded.best
    end_in_every_state(job_in(workspace, storage=url))
    folder.study.unlink()
    observer = SweepObserver(folder, url)
    assert observer.snapshot() == observer.snapshot() == embedded, "a second reading adds nothing"
    monkeypatch.setenv("PGPASSWORD", PASSWORD)  # a manifest has none
    spiral_manifest(storage=url).save(folder)
    assert SweepObserver(folder).snapshot() == embedded
