"""The record of a sweep in MLflow, with a real recording process, SQLite store and server, some of which are killed."""

import json
import math
import os
import shutil
import signal
import sqlite3
import statistics
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import replace

import pytest

from searchlab.errors import WorldFault
from searchlab.runs.events import EpochFinished, EventBuffer, TrialFinished, TrialStarted, forward, from_json, to_json
from searchlab.runs.provenance import provenance
from searchlab.tracking import patience
from searchlab.tracking.recorder import Recorder
from searchlab.tracking.run_recorder import NullRecorder
from searchlab.tracking.sweep_record import SweepRecord
from tests.conftest import ROOT
from tests.mlflow_server import mlflow_server, store_uri
from tests.waiting import wait_for

STATES = ("COMPLETE", "PRUNED", "FAIL")
STATUS = {"COMPLETE": "FINISHED", "PRUNED": "FINISHED", "FAIL": "FAILED"}
EPOCHS = 4
POINTS_PER_TRIAL = EPOCHS * 6 + 3  # mean, std, three folds and loss; at the end seconds, best score and best epoch


def events(trials, unfinished=()):
    """Return the events of these trials with three folds each; none has NaN, so that every point is recorded."""
    buffer = EventBuffer()
    for trial in trials:
        started = 1.7e9 + 100 * trial
        parameters = {"model.hidden": 64, "optimizer": "Adam", "optimizer.Adam.lr": 0.001 * (trial + 1)}
        buffer.handle(TrialStarted(trial, parameters, started))
        for epoch in range(1, EPOCHS + 1):
            scores = [0.9 + 0.01 * fold + 0.001 * epoch for fold in range(3)]
            buffer.handle(EpochFinished(trial, epoch, scores, [1.0 / epoch] * 3, started + epoch))
        if trial not in unfinished:
            state = STATES[trial % 3]
            reason = None if state == "COMPLETE" else "reason"
            buffer.handle(TrialFinished(trial, state, 0.914, EPOCHS, reason, 4.5, started + 5))
    return buffer.drain()


def record_of(home, name="demo", **changes):
    """Return the record of a sweep, with these changes."""
    fields = {"metric": "accuracy", "goal": "max", "params": {"trials": "9"}, "tags": {"seed": "1"}} | changes
    return SweepRecord(name=name, home=home, **fields)


def query(home, text, *values):
    connection = sqlite3.connect(home / "mlflow.db")
    try:
        return connection.execute(text, values).fetchall()
    finally:
        connection.close()


def runs_of(home, key="searchlab.trial"):
    """Return the id and the status of each run with this tag by the value of the tag, which no two runs may share."""
    rows = query(
        home,
        "select t.value, r.run_uuid, r.status from tags t join runs r using (run_uuid) "
        "where t.key = ? and r.lifecycle_stage = 'active'",
        key,
    )
    assert len({row[0] for row in rows}) == len(rows), "a trial has two runs"
    return {value: (run, status) for value, run, status in rows}


def check_complete(home, trials):
    """Check that each trial has one run with its status, and that every point is recorded once."""
    runs = runs_of(home)
    assert {int(trial): status for trial, (_, status) in runs.items()} == {t: STATUS[STATES[t % 3]] for t in trials}
    points = query(home, "select run_uuid, key, step, count(*) from metrics group by run_uuid, key, step")
    assert all(count == 1 for *_, count in points)
    for run, _ in runs.values():
        assert sum(point[0] == run for point in points) == POINTS_PER_TRIAL


def is_alive(pid):
    with suppress(ProcessLookupError):
        os.kill(pid, 0)
        return True
    return False


@pytest.fixture(autouse=True, scope="module")
def patient():
    """Wait for a complete record also where a run is stopped, on a busy machine too.

    It has the scope of the module, so that it holds before the other fixtures of the module are made.
    """
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(patience, "STOPPED_SECONDS", 600.0)
        yield


@pytest.fixture(scope="session")
def store(tmp_path_factory):
    """An MLflow database to copy, because creating its tables takes seconds."""
    home = tmp_path_factory.mktemp("store")
    with recording(store_uri(home), record_of(home, "empty")) as recorder:
        assert recorder.run_id
    return home / "mlflow.db"


@pytest.fixture
def home(store, tmp_path):
    shutil.copy(store, tmp_path / "mlflow.db")
    return tmp_path


@contextmanager
def recording(uri, record):
    recorder = Recorder(uri, record)
    try:
        yield recorder
    except BaseException:
        print("log of the recording process:", (record.home / "mlflow.log").read_text()[-4000:])
        raise
    finally:
        recorder.close()


def test_events_are_unchanged_by_json_and_a_buffer():
    first, second = events(range(3)), EventBuffer()
    forward([from_json(*json.loads(json.dumps(to_json(event)))) for event in first], second)
    assert [to_json(event) for event in second.drain()] == [to_json(event) for event in first]
    assert second.drain() == []
    assert from_json("conclude", {}) is None


def test_only_the_recording_process_imports_large_packages():
    code = (
        "import sys, searchlab.tracking.recorder, searchlab.runs.provenance, searchlab.tracking.writer\n"
        "assert not {'mlflow', 'numpy', 'matplotlib', 'sqlalchemy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_the_null_recorder_accepts_everything(tmp_path):
    recorder = NullRecorder()
    forward(events(range(2)), recorder)
    recorder.log_artifact(tmp_path)
    assert recorder.conclude("FINISHED", {}, {}) == recorder.run_id == ""
    recorder.close()


def test_provenance_has_versions_and_the_commit(tmp_path):
    assert {"version.numpy", "version.searchlab", "version.mlflow", "python", "platform"} <= provenance(tmp_path).keys()
    assert "git.commit" not in provenance(tmp_path)
    for arguments in (["init", "-q"], ["add", "sweep.py"], ["commit", "-q", "-m", "a sweep"]):
        (tmp_path / "sweep.py").write_text("sweep = 1\n")
        identity = ["-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false"]
        subprocess.run(["git", *identity, *arguments], cwd=tmp_path, check=True, capture_output=True)
    clean = provenance(tmp_path)
    assert len(clean["git.commit"]) == 40
    assert clean["git.dirty"] == "false"
    (tmp_path / "sweep.py").write_text("sweep = 2\n")
    assert provenance(tmp_path)["git.dirty"] == "true"


def test_provenance_works_without_git(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "python" in provenance(ROOT)
    assert "git.commit" not in provenance(ROOT)


@pytest.mark.slow
def test_events_that_are_repeated_are_recorded_once(home, tmp_path):
    sweep_file = tmp_path / "sweep.py"
    sweep_file.write_text("sweep = 1\n")
    picture = tmp_path / "pictures" / "a.png"
    picture.parent.mkdir()
    picture.write_bytes(b"png")
    dumps, record = [], record_of(home, files=(sweep_file,))
    for winner, tags in (("0", {"seed": "1"}), ("3", {"seed": "1", "resumed": "yes"})):
        started = time.perf_counter()
        with recording(store_uri(home), replace(record, tags=tags)) as recorder:
            forward(events(range(9)), recorder)
            recorder.log_artifact(picture.parent, "pictures")
            assert time.perf_counter() - started < 1, "recording must not delay training"
            run_id = recorder.conclude("FINISHED", {"best": 0.914, "nothing": math.nan}, {"searchlab.winner": winner})
            assert recorder.run_id == run_id
        check_complete(home, range(9))
        tagged = [run for (run,) in query(home, "select run_uuid from tags where key = 'winner' and value = 'yes'")]
        assert tagged == [runs_of(home)[winner][0]], "the winner alone is tagged, also where another one won before"
        assert runs_of(home, "searchlab.sweep")["demo"] == (run_id, "FINISHED")
        tables = ("select * from metrics", "select * from params")
        dumps.append([sorted(query(home, statement)) for statement in tables])
    assert dumps[0] == dumps[1]
    artifacts = home / "mlartifacts" / "demo" / run_id / "artifacts"
    assert (artifacts / "sweep.py").exists()
    assert (artifacts / "pictures" / "a.png").read_bytes() == b"png"
    tags = dict(query(home, "select key, value from tags where run_uuid = ?", run_id))
    assert tags["searchlab.winner"] == "3"
    assert tags["resumed"] == "yes"
    points = query(home, "select step, value from metrics where run_uuid = ? and key = 'best_accuracy'", run_id)
    assert sorted(points) == [(trial, 0.914) for trial in range(9)], "the best score so far has a step per trial"


def diverged_trial():
    """Yield the events of trial 7, which diverges in its second epoch."""
    yield TrialStarted(7, {"model.hidden": 64, "model.tied": None}, 100.0)
    others = [[1.0] * 3, [1.0] * 3]
    yield EpochFinished(7, 1, [0.25, 0.5, 0.9], [1.0, 2.0, 3.0], 101.5, others, [2.0, 2.0, 5.0], [0.5, 0.75, 1.0])
    yield EpochFinished(7, 2, [0.5, math.nan, 0.9], [math.inf, 1.0, 1.0], 102.5, others)
    yield EpochFinished(7, 2, [0.6, 0.6, 0.9], [1.0, 1.0, 1.0], 109.0, others)  # again, after a crash of the worker
    yield TrialFinished(7, "FAIL", None, None, "diverged in epoch 2", 2.5, 103.0)


def trial_with_three_metrics():
    """Yield the events of trial 0, which is complete and has overfitted."""
    curve = [[0.25, 0.75], [100.0, 100.0], [1.0, 2.0]]
    yield TrialStarted(0, {}, 100.0)
    yield EpochFinished(0, 1, curve[0], [1.0, 1.0], 101.0, curve[1:])
    yield TrialFinished(0, "COMPLETE", 0.5, 1, None, 1.0, 102.0, (100.0, 1.5), overfitted=True)


def infeasible_trial():
    """Yield the events of trial 1, which is too large."""
    yield TrialStarted(1, {"model.hidden": 64}, 100.0)
    yield TrialFinished(1, "INFEASIBLE", None, None, "too large", 0.0, 100.0)


@pytest.fixture(scope="module")
def unequal_trials(store, tmp_path_factory):
    """A home folder with the record of three trials that have ended in different ways."""
    home = tmp_path_factory.mktemp("unequal")
    shutil.copy(store, home / "mlflow.db")
    with recording(store_uri(home), record_of(home, others=("parameters", "uncertainty"))) as recorder:
        for trial in (diverged_trial(), trial_with_three_metrics(), infeasible_trial()):
            forward(trial, recorder)
        recorder.conclude("KILLED", {}, {})
    return home


@pytest.mark.slow
def test_the_run_of_a_trial_has_its_points_parameters_and_tags(unequal_trials):
    home = unequal_trials
    run, status = runs_of(home)["7"]
    found = query(home, "select key, value, timestamp, step from metrics where run_uuid = ?", run)
    points = {(k, s): (v, t) for k, v, t, s in found}
    assert points["accuracy", 1] == (pytest.approx(0.55), 101_500)
    assert points["folds/accuracy_std", 1][0] == pytest.approx(statistics.pstdev([0.25, 0.5, 0.9]))
    assert points["folds/accuracy_1", 1][0] == 0.5
    assert points["loss", 1][0] == 2.0
    assert points["held_out_loss", 1][0] == 3.0
    assert points["training_accuracy", 1][0] == 0.75
    assert not {("held_out_loss", 2), ("training_accuracy", 2)} & points.keys()  # not measured after this epoch
    assert points["folds/accuracy_0", 2] == (0.5, 102_500)
    assert points["seconds", 0][0] == 2.5
    assert status == "FAILED"
    assert query(home, "select name, start_time, end_time from runs where run_uuid = ?", run) == [
        ("#7 hidden 64 tied None", 100_000, 103_000)
    ]
    assert dict(query(home, "select key, value from params where run_uuid = ?", run))["model.tied"] == "None"
    tags = dict(query(home, "select key, value from tags where run_uuid = ?", run))
    assert tags["searchlab.state"] == "FAIL"
    assert tags["searchlab.reason"] == "diverged in epoch 2"
    assert "overfitted" not in tags
    assert runs_of(home, "searchlab.sweep")["demo"] == (tags["mlflow.parentRunId"], "KILLED")


@pytest.mark.slow
def test_every_metric_of_a_trial_is_recorded(unequal_trials):
    home = unequal_trials
    run, _ = runs_of(home)["0"]
    points = dict(query(home, "select key, value from metrics where run_uuid = ?", run))
    first = {"accuracy": 0.5, "folds/accuracy_std": 0.25, "folds/accuracy_0": 0.25, "folds/accuracy_1": 0.75}
    second = {"parameters": 100.0, "folds/parameters_std": 0.0}
    second |= {"folds/parameters_0": 100.0, "folds/parameters_1": 100.0}
    third = {"uncertainty": 1.5, "folds/uncertainty_std": 0.5, "folds/uncertainty_0": 1.0, "folds/uncertainty_1": 2.0}
    best = {"best_accuracy": 0.5, "best_parameters": 100.0, "best_uncertainty": 1.5, "epoch_of_best": 1.0}
    assert points == first | second | third | best | {"loss": 1.0, "seconds": 1.0}
    assert dict(query(home, "select key, value from tags where run_uuid = ?", run))["overfitted"] == "true"


@pytest.mark.slow
def test_an_infeasible_trial_is_finished_with_its_reason(unequal_trials):
    home = unequal_trials
    run, status = runs_of(home)["1"]
    assert status == "FINISHED"
    tags = dict(query(home, "select key, value from tags where run_uuid = ?", run))
    assert (tags["searchlab.state"], tags["searchlab.reason"]) == ("INFEASIBLE", "too large")
    assert (tags["state"], tags["reason"]) == ("infeasible", "too large")


@pytest.mark.slow
def test_nothing_is_lost_when_the_recording_process_is_killed_repeatedly(home):
    trials = range(30)
    with recording(store_uri(home), record_of(home)) as recorder:
        forward(events(trials), recorder)
        for count in (0, 12):
            wait_for(lambda count=count: len(runs_of(home)) > count)
            killed = recorder.pid
            os.kill(killed, signal.SIGKILL)
            wait_for(lambda killed=killed: recorder.pid != killed)
        recorder.conclude("FINISHED", {}, {})
    check_complete(home, trials)


@pytest.mark.slow
def test_nothing_is_lost_when_the_driver_is_killed_and_the_sweep_resumed(home):
    code = (
        "import json, sys, time; sys.path.insert(0, sys.argv[1]); from pathlib import Path\n"
        "from searchlab.runs.events import from_json; from searchlab.tracking.recorder import Recorder\n"
        "from searchlab.tracking.sweep_record import SweepRecord\n"
        "home = Path(sys.argv[2])\n"
        "recorder = Recorder(sys.argv[3], SweepRecord('demo', 'accuracy', 'max', home, {'trials': '9'}, {}))\n"
        "[recorder.handle(from_json(*event)) for event in json.load(sys.stdin)]\n"
        "print(recorder.run_id, recorder.pid, flush=True); time.sleep(600)"
    )
    command = [sys.executable, "-c", code, str(ROOT), str(home), store_uri(home)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as driver:
        try:
            json.dump([to_json(event) for event in events(range(30), unfinished=(28, 29))], driver.stdin)
            driver.stdin.close()
            run_id, pid = driver.stdout.readline().split()
        finally:
            driver.kill()
    # the recording process of the killed driver may still be writing, and the new one waits for its end
    with recording(store_uri(home), record_of(home)) as recorder:
        assert recorder.run_id == run_id
        wait_for(lambda: not is_alive(int(pid)))
        assert [status for _, status in runs_of(home).values()].count("RUNNING") == 2
        forward(events(range(33)), recorder)
        assert recorder.conclude("FINISHED", {}, {}) == run_id
    check_complete(home, range(33))


@pytest.mark.slow
def test_the_run_of_an_interrupted_trial_is_continued_when_the_sweep_is_resumed(home):
    for unfinished, state in (((4, 5), "KILLED"), ((), "FINISHED")):
        with recording(store_uri(home), record_of(home)) as recorder:
            assert recorder.run_id  # the recording process has started before the first event
            forward(events(range(6), unfinished), recorder)
            recorder.conclude(state, {}, {})
        assert "RUNNING" not in {status for _, status in runs_of(home).values()}
    check_complete(home, range(6))


@pytest.mark.slow
def test_nothing_is_lost_when_the_recording_process_is_killed_while_it_creates_the_store(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))  # which has no database to copy
    with recording(store_uri(tmp_path), record_of(tmp_path)) as recorder:
        forward(events(range(3)), recorder)
        wait_for((tmp_path / "mlflow.db.new").exists)
        time.sleep(0.2)
        os.kill(recorder.pid, signal.SIGKILL)
        recorder.conclude("FINISHED", {}, {})
    check_complete(tmp_path, range(3))


@pytest.mark.slow
def test_two_sweeps_can_start_at_the_same_time_in_a_new_home_folder(tmp_path):
    home = tmp_path / "new"
    uri = store_uri(home)
    with recording(uri, record_of(home, "a")) as first, recording(uri, record_of(home, "b")) as second:
        forward(events(range(3)), first)
        forward(events(range(3, 6)), second)
        ids = {first.conclude("FINISHED", {}, {}), second.conclude("FINISHED", {}, {})}
    check_complete(home, range(6))
    assert {run for run, _ in runs_of(home, "searchlab.sweep").values()} == ids


@pytest.mark.slow
def test_studies_with_the_same_name_have_separate_runs(home):
    ids = set()
    for study in ("first", "second"):
        with recording(store_uri(home), record_of(home, study=study)) as recorder:
            ids.add(recorder.run_id)
    assert len(ids) == 2


@pytest.mark.slow
def test_a_store_that_cannot_be_used_raises_a_world_fault(tmp_path):
    with recording("nonsense://nowhere", record_of(tmp_path)) as recorder:
        forward(events(range(2)), recorder)
        with pytest.raises(WorldFault, match="searchlab resume demo"):
            recorder.conclude("FINISHED", {}, {})


@pytest.mark.slow
def test_a_missing_artifact_is_reported_and_the_rest_is_recorded(home, tmp_path):
    with recording(store_uri(home), record_of(home)) as recorder:
        forward(events(range(2)), recorder)
        recorder.log_artifact(tmp_path / "missing.png")
        with pytest.raises(WorldFault, match=r"missing\.png"):
            recorder.conclude("FINISHED", {}, {})
    check_complete(home, range(2))


@pytest.mark.slow
def test_nothing_is_lost_when_the_server_is_killed_and_started_again(home, tmp_path, free_port):
    picture = tmp_path / "a.png"
    picture.write_bytes(b"png")
    all_events = events(range(20))
    with recording(f"http://127.0.0.1:{free_port}", record_of(home)) as recorder:
        with mlflow_server(home, free_port):
            forward(all_events[: len(all_events) // 2], recorder)
            assert recorder.run_id
            wait_for(lambda: len(runs_of(home)) > 3)
        forward(all_events[len(all_events) // 2 :], recorder)
        recorder.log_artifact(picture, "pictures")
        time.sleep(1)
        with mlflow_server(home, free_port):
            run_id = recorder.conclude("FINISHED", {"best": 0.9}, {})
    check_complete(home, range(20))
    assert runs_of(home, "searchlab.sweep")["demo"] == (run_id, "FINISHED")
    assert next((home / "served").rglob("a.png")).read_bytes() == b"png"


def test_a_buffer_that_another_thread_drains_loses_no_event():
    """In the study actor, one thread adds events and another drains them."""
    buffer, drained, is_finished = EventBuffer(), [], threading.Event()

    def drain():
        while not is_finished.is_set():
            drained.extend(buffer.drain())
        drained.extend(buffer.drain())

    thread = threading.Thread(target=drain)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    thread.start()
    try:
        for epoch in range(20_000):
            buffer.handle(EpochFinished(0, epoch, [0.5], [0.1], 0.0))
    finally:
        is_finished.set()
        thread.join()
        sys.setswitchinterval(interval)
    assert [event.epoch for event in drained] == list(range(20_000))
