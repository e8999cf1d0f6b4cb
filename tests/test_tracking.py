"""The record: a real recording process, a real SQLite store, a real server, and SIGKILL."""

import json
import math
import os
import shutil
import signal
import socket
import sqlite3
import statistics
import subprocess
import sys
import threading
import time
import urllib.request
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from searchlab.errors import WorldFault
from searchlab.runs.events import EpochFinished, EventBuffer, TrialFinished, TrialStarted, forward, from_json, to_json
from searchlab.runs.provenance import provenance
from searchlab.tracking.recorder import NullRecorder, Recorder
from searchlab.tracking.sweep_record import SweepRecord

ROOT = Path(__file__).parents[1]
STATES = ("COMPLETE", "PRUNED", "FAIL")
STATUS = {"COMPLETE": "FINISHED", "PRUNED": "KILLED", "FAIL": "FAILED"}
EPOCHS = 4
PER_TRIAL = EPOCHS * 6 + 3  # mean, spread, three folds, loss; at the end seconds, best score, best epoch


def events(trials, unfinished=()):
    """What a study of so many trials tells, three folds each; NaN never, so that each point can be counted."""
    buffer = EventBuffer()
    for trial in trials:
        began = 1.7e9 + 100 * trial
        parameters = {"model.hidden": 64, "optimizer": "Adam", "optimizer.Adam.lr": 0.001 * (trial + 1)}
        buffer.handle(TrialStarted(trial, parameters, began))
        for epoch in range(1, EPOCHS + 1):
            scores = [0.9 + 0.01 * fold + 0.001 * epoch for fold in range(3)]
            buffer.handle(EpochFinished(trial, epoch, scores, [1.0 / epoch] * 3, began + epoch))
        if trial not in unfinished:
            state = STATES[trial % 3]
            reason = None if state == "COMPLETE" else "why"
            buffer.handle(TrialFinished(trial, state, 0.914, EPOCHS, reason, 4.5, began + 5))
    return buffer.drain()


def record_of(home, name="demo", **more):
    given = {"metric": "accuracy", "goal": "max", "params": {"trials": "9"}, "tags": {"seed": "1"}} | more
    return SweepRecord(name=name, home=home, **given)


def store_of(home):
    return f"sqlite:///{home}/mlflow.db"


def query(home, text, *values):
    connection = sqlite3.connect(home / "mlflow.db")
    try:
        return connection.execute(text, values).fetchall()
    finally:
        connection.close()


def runs_of(home, key="searchlab.trial"):
    """Run id and status of each run with this tag, by the tag's value; two runs with one value fail the test."""
    rows = query(
        home,
        "select t.value, r.run_uuid, r.status from tags t join runs r using (run_uuid) "
        "where t.key = ? and r.lifecycle_stage = 'active'",
        key,
    )
    assert len({row[0] for row in rows}) == len(rows), "a trial has two runs"
    return {value: (run, status) for value, run, status in rows}


def check_complete(home, trials):
    """One run per trial with the right state, and every point once."""
    runs = runs_of(home)
    assert {int(trial): status for trial, (_, status) in runs.items()} == {t: STATUS[STATES[t % 3]] for t in trials}
    points = query(home, "select run_uuid, key, step, count(*) from metrics group by run_uuid, key, step")
    assert all(count == 1 for *_, count in points)
    for run, _ in runs.values():
        assert sum(point[0] == run for point in points) == PER_TRIAL


def wait_for(condition, seconds=60.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def alive(pid):
    with suppress(ProcessLookupError):
        os.kill(pid, 0)
        return True
    return False


@pytest.fixture(scope="session")
def store(tmp_path_factory):
    """A store with its tables, to be copied: creating them takes seconds."""
    home = tmp_path_factory.mktemp("store")
    with recording(store_of(home), record_of(home, "empty")) as recorder:
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
        print("the recording process said:", (record.home / "mlflow.log").read_text()[-4000:])
        raise
    finally:
        recorder.close()


def test_events_pass_through_json_and_a_buffer():
    first, second = events(range(3)), EventBuffer()
    forward([from_json(*json.loads(json.dumps(to_json(event)))) for event in first], second)
    assert [to_json(event) for event in second.drain()] == [to_json(event) for event in first]
    assert second.drain() == []
    assert from_json("conclude", {}) is None


def test_nothing_but_the_recording_process_imports_anything_heavy():
    code = (
        "import sys, searchlab.tracking.recorder, searchlab.runs.provenance, searchlab.tracking.writer\n"
        "assert not {'mlflow', 'numpy', 'matplotlib', 'sqlalchemy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_no_record_takes_everything(tmp_path):
    tracker = NullRecorder()
    forward(events(range(2)), tracker)
    tracker.log_artifact(tmp_path)
    assert tracker.conclude("FINISHED", {}, {}) == tracker.run_id == ""
    tracker.close()


def test_provenance_names_versions_and_commit(tmp_path):
    assert {"version.numpy", "version.searchlab", "version.mlflow", "python", "platform"} <= provenance(tmp_path).keys()
    assert "git.commit" not in provenance(tmp_path)
    for words in (["init", "-q"], ["add", "sweep.py"], ["commit", "-q", "-m", "a sweep"]):
        (tmp_path / "sweep.py").write_text("sweep = 1\n")
        identity = ["-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false"]
        subprocess.run(["git", *identity, *words], cwd=tmp_path, check=True, capture_output=True)
    clean = provenance(tmp_path)
    assert len(clean["git.commit"]) == 40
    assert clean["git.dirty"] == "false"
    (tmp_path / "sweep.py").write_text("sweep = 2\n")
    assert provenance(tmp_path)["git.dirty"] == "true"


def test_provenance_does_without_git(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "python" in provenance(ROOT)
    assert "git.commit" not in provenance(ROOT)


@pytest.mark.slow
def test_a_sweep_is_recorded_once_however_often_it_is_told(home, tmp_path):
    sweep_file = tmp_path / "sweep.py"
    sweep_file.write_text("sweep = 1\n")
    picture = tmp_path / "pictures" / "a.png"
    picture.parent.mkdir()
    picture.write_bytes(b"png")
    dumps, record = [], record_of(home, files=(sweep_file,))
    for tags in ({"seed": "1"}, {"seed": "1", "resumed": "yes"}):
        started = time.perf_counter()
        with recording(store_of(home), replace(record, tags=tags)) as recorder:
            forward(events(range(9)), recorder)
            recorder.log_artifact(picture.parent, "pictures")
            assert time.perf_counter() - started < 1, "the training path was held up"
            run_id = recorder.conclude("FINISHED", {"best": 0.914, "nothing": math.nan}, {"winner": "3"})
            assert recorder.run_id == run_id
        check_complete(home, range(9))
        assert runs_of(home, "searchlab.sweep")["demo"] == (run_id, "FINISHED")
        dumps.append([sorted(query(home, f"select * from {table}")) for table in ("metrics", "params")])
    assert dumps[0] == dumps[1]
    artifacts = home / "mlartifacts" / "demo" / run_id / "artifacts"
    assert (artifacts / "sweep.py").exists()
    assert (artifacts / "pictures" / "a.png").read_bytes() == b"png"
    tags = dict(query(home, "select key, value from tags where run_uuid = ?", run_id))
    assert tags["winner"] == "3"
    assert tags["resumed"] == "yes"


@pytest.mark.slow
def test_what_a_trial_s_run_holds(home):
    with recording(store_of(home), record_of(home)) as recorder:
        recorder.handle(TrialStarted(7, {"model.hidden": 64, "model.tied": None}, 100.0))
        recorder.handle(EpochFinished(7, 1, [0.25, 0.5, 0.9], [1.0, 2.0, 3.0], 101.5))
        recorder.handle(EpochFinished(7, 2, [0.5, math.nan, 0.9], [math.inf, 1.0, 1.0], 102.5))
        recorder.handle(EpochFinished(7, 2, [0.6, 0.6, 0.9], [1.0, 1.0, 1.0], 109.0))  # again, after a worker's crash
        recorder.handle(TrialFinished(7, "FAIL", None, None, "diverged in epoch 2", 2.5, 103.0))
        recorder.conclude("KILLED", {}, {})
    run, status = runs_of(home)["7"]
    points = {(k, s): (v, t) for k, v, t, s in query(home, "select key, value, timestamp, step from metrics")}
    assert points["accuracy", 1] == (pytest.approx(0.55), 101_500)
    assert points["accuracy_std", 1][0] == pytest.approx(statistics.pstdev([0.25, 0.5, 0.9]))
    assert points["accuracy_fold_1", 1][0] == 0.5
    assert points["loss", 1][0] == 2.0
    assert points["accuracy_fold_0", 2] == (0.5, 102_500)
    assert points["seconds", 0][0] == 2.5
    assert status == "FAILED"
    assert query(home, "select name, start_time, end_time from runs where run_uuid = ?", run) == [
        ("trial 7", 100_000, 103_000)
    ]
    assert dict(query(home, "select key, value from params where run_uuid = ?", run))["model.tied"] == "None"
    tags = dict(query(home, "select key, value from tags where run_uuid = ?", run))
    assert tags["searchlab.state"] == "FAIL"
    assert tags["searchlab.reason"] == "diverged in epoch 2"
    assert runs_of(home, "searchlab.sweep")["demo"] == (tags["mlflow.parentRunId"], "KILLED")


@pytest.mark.slow
def test_every_metric_of_a_trial_is_recorded(home):
    buffer, curve = EventBuffer(), [[0.25, 0.75], [100.0, 100.0], [1.0, 2.0]]
    buffer.handle(TrialStarted(0, {}, 100.0))
    buffer.handle(EpochFinished(0, 1, curve[0], [1.0, 1.0], 101.0, curve[1:]))
    buffer.handle(TrialFinished(0, "COMPLETE", 0.5, 1, None, 1.0, 102.0, (100.0, 1.5)))
    with recording(store_of(home), record_of(home, others=("weights", "doubt"))) as recorder:
        forward(buffer.drain(), recorder)
        recorder.conclude("FINISHED", {}, {})
    run, _ = runs_of(home)["0"]
    points = dict(query(home, "select key, value from metrics where run_uuid = ?", run))
    first = {"accuracy": 0.5, "accuracy_std": 0.25, "accuracy_fold_0": 0.25, "accuracy_fold_1": 0.75}
    second = {"weights": 100.0, "weights_std": 0.0, "weights_fold_0": 100.0, "weights_fold_1": 100.0}
    third = {"doubt": 1.5, "doubt_std": 0.5, "doubt_fold_0": 1.0, "doubt_fold_1": 2.0}
    ends = {"best_accuracy": 0.5, "best_weights": 100.0, "best_doubt": 1.5, "best_epoch": 1.0, "seconds": 1.0}
    assert points == first | second | third | ends | {"loss": 1.0}


@pytest.mark.slow
def test_a_trial_that_breaks_the_constraint_was_never_at_work(home):
    with recording(store_of(home), record_of(home)) as recorder:
        recorder.handle(TrialStarted(0, {"model.hidden": 64}, 100.0))
        recorder.handle(TrialFinished(0, "INFEASIBLE", None, None, "too large", 0.0, 100.0))
        recorder.conclude("FINISHED", {}, {})
    run, status = runs_of(home)["0"]
    assert status == "KILLED"
    tags = dict(query(home, "select key, value from tags where run_uuid = ?", run))
    assert (tags["searchlab.state"], tags["searchlab.reason"]) == ("INFEASIBLE", "too large")


@pytest.mark.slow
def test_a_recording_process_that_is_killed_again_and_again(home):
    trials = range(60)
    with recording(store_of(home), record_of(home)) as recorder:
        forward(events(trials), recorder)
        for written in (0, 15, 40):
            wait_for(lambda written=written: len(runs_of(home)) > written)
            victim = recorder.pid
            os.kill(victim, signal.SIGKILL)
            wait_for(lambda victim=victim: recorder.pid != victim)
        recorder.conclude("FINISHED", {}, {})
    check_complete(home, trials)


@pytest.mark.slow
def test_a_driver_that_is_killed_and_resumed(home):
    code = (
        "import json, sys, time; sys.path.insert(0, sys.argv[1]); from pathlib import Path\n"
        "from searchlab.runs.events import from_json; from searchlab.tracking.recorder import Recorder\n"
        "from searchlab.tracking.sweep_record import SweepRecord\n"
        "home = Path(sys.argv[2])\n"
        "recorder = Recorder(sys.argv[3], SweepRecord('demo', 'accuracy', 'max', home, {'trials': '9'}, {}))\n"
        "[recorder.handle(from_json(*event)) for event in json.load(sys.stdin)]\n"
        "print(recorder.run_id, recorder.pid, flush=True); time.sleep(600)"
    )
    command = [sys.executable, "-c", code, str(ROOT), str(home), store_of(home)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as driver:
        try:
            json.dump([to_json(event) for event in events(range(30), unfinished=(28, 29))], driver.stdin)
            driver.stdin.close()
            run_id, pid = driver.stdout.readline().split()
        finally:
            driver.kill()
    # the old recorder may still be writing: the new one waits for it
    with recording(store_of(home), record_of(home)) as recorder:
        assert recorder.run_id == run_id
        wait_for(lambda: not alive(int(pid)))
        assert [status for _, status in runs_of(home).values()].count("RUNNING") == 2
        forward(events(range(33)), recorder)
        assert recorder.conclude("FINISHED", {}, {}) == run_id
    check_complete(home, range(33))


@pytest.mark.slow
def test_a_trial_cut_short_goes_on_when_the_sweep_is_resumed(home):
    for unfinished, state in (((4, 5), "KILLED"), ((), "FINISHED")):
        with recording(store_of(home), record_of(home)) as recorder:
            assert recorder.run_id  # the process is at work before it hears of a trial
            forward(events(range(6), unfinished), recorder)
            recorder.conclude(state, {}, {})
        assert "RUNNING" not in {status for _, status in runs_of(home).values()}
    check_complete(home, range(6))


@pytest.mark.slow
def test_a_recording_process_that_is_killed_while_the_store_is_made(tmp_path):
    with recording(store_of(tmp_path), record_of(tmp_path)) as recorder:
        forward(events(range(3)), recorder)
        wait_for((tmp_path / "mlflow.db.new").exists)
        time.sleep(0.2)
        os.kill(recorder.pid, signal.SIGKILL)
        recorder.conclude("FINISHED", {}, {})
    check_complete(tmp_path, range(3))


@pytest.mark.slow
def test_two_sweeps_start_at_once_on_a_fresh_home(tmp_path):
    home = tmp_path / "fresh"
    uri = store_of(home)
    with recording(uri, record_of(home, "one")) as one, recording(uri, record_of(home, "two")) as two:
        forward(events(range(3)), one)
        forward(events(range(3, 6)), two)
        ids = {one.conclude("FINISHED", {}, {}), two.conclude("FINISHED", {}, {})}
    check_complete(home, range(6))
    assert {run for run, _ in runs_of(home, "searchlab.sweep").values()} == ids


@pytest.mark.slow
def test_studies_of_one_name_keep_apart(home):
    ids = set()
    for study in ("first", "second"):
        with recording(store_of(home), record_of(home, study=study)) as recorder:
            ids.add(recorder.run_id)
    assert len(ids) == 2


@pytest.mark.slow
def test_a_store_that_refuses_is_told_as_a_fault_of_the_world(tmp_path):
    with recording("nonsense://nowhere", record_of(tmp_path)) as recorder:
        forward(events(range(2)), recorder)
        with pytest.raises(WorldFault, match="searchlab resume demo"):
            recorder.conclude("FINISHED", {}, {})


@pytest.mark.slow
def test_an_artifact_that_is_gone_is_told_and_the_rest_recorded(home, tmp_path):
    with recording(store_of(home), record_of(home)) as recorder:
        forward(events(range(2)), recorder)
        recorder.log_artifact(tmp_path / "gone.png")
        with pytest.raises(WorldFault, match=r"gone\.png"):
            recorder.conclude("FINISHED", {}, {})
    check_complete(home, range(2))


@contextmanager
def server_on(home, port):
    """MLflow's server in a session of its own, whose members end with it."""
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", store_of(home), "--workers", "1"]
    command += ["--artifacts-destination", str(home / "served"), "--host", "127.0.0.1", "--port", str(port)]
    quiet = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with (
        (home / "server.log").open("ab") as log,
        subprocess.Popen(command, cwd=home, env=quiet, stdout=log, stderr=log, start_new_session=True) as server,
    ):
        try:
            wait_for(lambda: answers(port))
            yield
        finally:
            os.killpg(server.pid, signal.SIGKILL)


def answers(port):
    with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2) as answer:
        return answer.status == 200
    return False


@pytest.mark.slow
def test_a_server_that_is_killed_and_started_again(home, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    picture = tmp_path / "a.png"
    picture.write_bytes(b"png")
    told = events(range(40))
    with recording(f"http://127.0.0.1:{port}", record_of(home)) as recorder:
        with server_on(home, port):
            forward(told[: len(told) // 2], recorder)
            assert recorder.run_id
            wait_for(lambda: len(runs_of(home)) > 5)
        forward(told[len(told) // 2 :], recorder)
        recorder.log_artifact(picture, "pictures")
        time.sleep(1)
        with server_on(home, port):
            run_id = recorder.conclude("FINISHED", {"best": 0.9}, {})
    check_complete(home, range(40))
    assert runs_of(home, "searchlab.sweep")["demo"] == (run_id, "FINISHED")
    assert next((home / "served").rglob("a.png")).read_bytes() == b"png"


def test_a_buffer_that_is_drained_by_another_thread_loses_nothing():
    """The desk's events are told by one thread and drained by another."""
    buffer, drained, done = EventBuffer(), [], threading.Event()

    def drain():
        while not done.is_set():
            drained.extend(buffer.drain())
        drained.extend(buffer.drain())

    thread = threading.Thread(target=drain)
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    thread.start()
    try:
        for epoch in range(20_000):
            buffer.handle(EpochFinished(0, epoch, [0.5], [0.1], 0.0))
    finally:
        done.set()
        thread.join()
        sys.setswitchinterval(before)
    assert [event.epoch for event in drained] == list(range(20_000))
