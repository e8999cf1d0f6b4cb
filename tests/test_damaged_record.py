"""MLflow's file in the home folder is damaged: the sentence says what to do, and that is true."""

from __future__ import annotations

import pytest
from mlflow import MlflowClient

from searchlab.runner.resume import resume
from searchlab.tracking.faults import damage_of, is_permanent, reason_of
from tests.command_line import error_message, run_cli
from tests.mlflow_server import store_uri
from tests.sweeps import spiral_sweep


def overwrite_pages(content):
    """Return the file with every page but the first overwritten."""
    return content[:4096] + b"\xff" * (len(content) - 4096)


DAMAGES = {
    "no database": lambda content: b"not a database at all" * 1000,
    "cut": lambda content: content[: len(content) // 3],
    "overwritten": overwrite_pages,
}


@pytest.mark.slow
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_database_is_named_and_resume_makes_the_record_anew(home, damage):
    database = home / "mlflow.db"
    database.write_bytes(DAMAGES[damage](database.read_bytes()))
    with pytest.warns(RuntimeWarning, match=r"mlflow\.db is not complete: its file is damaged .*; move that file away"):
        damaged = spiral_sweep(2).run(engine="local", home=home, fuse=1)
    assert (damaged.state, damaged.run_id) == ("FINISHED", None)
    database.rename(home / "damaged.db")
    whole = resume("spiral", home=home, sweep=spiral_sweep(2))
    assert whole.record_fault is None
    client = MlflowClient(store_uri(home))
    parent = client.get_run(whole.run_id)
    assert parent.info.status == "FINISHED"
    runs = client.search_runs([parent.info.experiment_id], f"tags.`mlflow.parentRunId` = '{whole.run_id}'")
    assert {run.data.tags["searchlab.state"] for run in runs} == {"COMPLETE"}
    assert len(runs) == 2
    assert {file.path for file in client.list_artifacts(whole.run_id)} == {"report", "winner"}


def test_the_dashboard_is_not_served_from_a_damaged_database(tmp_path):
    (tmp_path / "mlflow.db").write_bytes(b"not a database at all" * 1000)
    error = error_message(run_cli("ui", home=tmp_path), code=1)
    assert "mlflow.db is damaged (file is not a database); move it away, and `searchlab resume NAME`" in error


def test_other_faults_are_no_damage():
    fault = ValueError("the database is locked")
    assert (damage_of(fault), is_permanent(fault)) == (None, True)
    assert reason_of(fault) == "the database is locked"
