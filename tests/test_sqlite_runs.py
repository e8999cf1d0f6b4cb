"""Runs that are written into the tables of a SQLite store are those that MLflow's client would write."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing

import pytest

from searchlab.runs.events import EpochFinished, TrialFinished, TrialStarted
from searchlab.tracking.sweep_record import SweepRecord

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:.*Any type hint:UserWarning")]

ENDS = (
    ("COMPLETE", None),
    ("PRUNED", "too low after epoch 2"),
    ("FAIL", "the loss is not finite"),
    ("INFEASIBLE", "x"),
)
QUESTIONS = {
    "runs": "select name, source_type, source_name, entry_point_name, user_id, status, start_time, end_time, "
    "source_version, lifecycle_stage, replace(artifact_uri, run_uuid, 'ID'), experiment_id, deleted_time from runs",
    "tags": "select r.name, t.key, t.value from tags t join runs r using (run_uuid) "
    "where t.key != 'mlflow.parentRunId'",
    "params": "select r.name, p.key, p.value from params p join runs r using (run_uuid)",
    "metrics": "select r.name, m.key, m.value, m.timestamp, m.step, m.is_nan from metrics m "
    "join runs r using (run_uuid)",
    "latest_metrics": "select r.name, m.key, m.value, m.timestamp, m.step, m.is_nan from latest_metrics m "
    "join runs r using (run_uuid)",
    "parents": "select r.name, p.name from tags t join runs r using (run_uuid) join runs p on p.run_uuid = t.value "
    "where t.key = 'mlflow.parentRunId'",
}


def rows_of(database):
    with closing(sqlite3.connect(database)) as connection:
        return {table: sorted(connection.execute(text), key=repr) for table, text in QUESTIONS.items()}


def events():
    """Four trials, one of each end, with curves of two metrics; the last point of a fold is not its best."""
    for trial, (state, reason) in enumerate(ENDS):
        yield TrialStarted(trial, {"lr": 0.1 * trial, "optimizer": "Adam", "optimizer.Adam.beta": 0.9}, 10.0 + trial)
        for epoch in range(1, 4):
            scores = (0.9 / epoch, 0.5, float("nan") if trial == 2 else 0.7)
            yield EpochFinished(trial, epoch, scores, (0.1, 0.2, 0.3), 10.5 + trial + epoch / 10)
        value = None if state in ("FAIL", "INFEASIBLE") else 0.7
        yield TrialFinished(trial, state, value, 1, reason, 0.25, 11.0 + trial)


def record_in(home, uri):
    from searchlab.tracking.mlflow import MlflowRecord

    return MlflowRecord(uri, SweepRecord("demo", "accuracy", "max", home, {"trials": "4"}, {"k": "v"}), 9.0)


@pytest.fixture
def recorded(fresh_store, tmp_path, monkeypatch):
    """Return the rows of a record whose trials are written at once or by MLflow's client."""
    from searchlab.runs.workspace import Workspace
    from searchlab.tracking.sqlite_runs import SqliteRuns

    def write(*, direct):
        shutil.copy(fresh_store, tmp_path / "mlflow.db")
        if not direct:
            monkeypatch.setattr(SqliteRuns, "of_store", lambda *_: None)
        record = record_in(tmp_path, Workspace.at(tmp_path).tracking_uri)
        assert (record._sqlite is not None) == direct
        for event in events():
            record.handle(event)
        record.flush()
        record.conclude("FINISHED", {}, {"searchlab.winner": "0"}, 20.0)
        assert not record.faults
        return rows_of(tmp_path / "mlflow.db")

    return write


def test_the_rows_are_those_that_the_client_writes(recorded):
    direct = recorded(direct=True)
    assert len(direct["runs"]) == 1 + len(ENDS)
    by_client = recorded(direct=False)
    for table, rows in direct.items():
        assert rows == by_client[table], table


def test_a_store_with_other_columns_is_written_by_the_client(fresh_store, tmp_path):
    from mlflow import MlflowClient

    from searchlab.runs.urls import sqlite_url
    from searchlab.tracking.sqlite_runs import SqliteRuns

    database = tmp_path / "mlflow.db"
    shutil.copy(fresh_store, database)
    client = MlflowClient(sqlite_url(database))
    assert SqliteRuns.of_store(sqlite_url(database), "0", client)
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("alter table latest_metrics add column aggregate float")
    assert SqliteRuns.of_store(sqlite_url(database), "0", client) is None
    assert SqliteRuns.of_store("http://127.0.0.1:1", "0", client) is None


def test_a_trial_that_the_tables_refuse_leaves_none_of_its_transaction_behind(home):
    from searchlab.tracking.sqlite_runs import EndedRun, SqliteRuns

    database = home / "mlflow.db"
    runs = SqliteRuns(database, "0", "file:///x")
    good = EndedRun("#0", "me", "FINISHED", 1, 2, {"lr": "0.1"}, {"state": "complete"}, [])
    bad = EndedRun("#1", "me", "NO SUCH STATUS", 1, 2, {}, {}, [])
    with pytest.raises(sqlite3.IntegrityError):
        runs.add([good, bad])
    assert rows_of(database)["runs"] == []
    assert len(runs.add([good])) == 1
    assert rows_of(database)["params"] == [("#0", "lr", "0.1")]
