"""Links to MLflow's pages of a sweep, and the saved view that they open."""

import json
from contextlib import contextmanager
from types import SimpleNamespace
from urllib.parse import parse_qs, urlsplit

import pytest

from searchlab.errors import UserMistake, WorldFault
from searchlab.tracking.links import VIEW, VIEW_TAG, sorted_link, view_link
from searchlab.tracking.saved_view import save_view, view_state
from searchlab.tracking.server_link import server_link
from searchlab.tracking.sweep_record import SweepRecord
from tests.mlflow_faults import answering_server, refusing_server

SEARCHED = {
    "model.hidden": "32 | 64",
    "optimizer": "SGD | Adam",
    "optimizer.SGD.lr": "0.1 to 1",
    "optimizer.Adam.lr": "0.1 to 1",
}


def record(tmp_path, **changes):
    return SweepRecord("demo", "accuracy", "max", tmp_path, {}, {}, searched=SEARCHED, **changes)


def query_of(link):
    """Return the query of a link's fragment, in which MLflow's page has its own address."""
    return {name: values[0] for name, values in parse_qs(urlsplit(urlsplit(link).fragment).query).items()}


@pytest.mark.parametrize(("goal", "ascending"), [("max", "false"), ("min", "true")])
def test_a_sorted_link_opens_the_runs_best_first(goal, ascending):
    query = query_of(sorted_link("http://server:5000/", "7", "log loss", goal))
    assert query == {
        "workflowType": "machine_learning",
        "orderByKey": "metrics.`best_log loss`",
        "orderByAsc": ascending,
    }


def test_the_view_has_score_state_and_joined_parameters_as_columns(tmp_path):
    state = view_state(record(tmp_path, others=("parameters",)))
    assert state["orderByKey"] == "metrics.`best_accuracy`"
    assert state["selectedColumns"][:4] == [
        "metrics.`best_accuracy`", "metrics.`best_parameters`", "tags.`state`", "tags.`winner`",
    ]  # fmt: skip
    assert {"params.`model.hidden`", "params.`optimizer.lr`"} < set(state["selectedColumns"])
    assert "params.`optimizer.SGD.lr`" not in state["selectedColumns"]
    parallel, scatter, *_ = state["compareRunCharts"]
    assert parallel["selectedParams"] == ["model.hidden", "optimizer", "optimizer.lr"]
    assert scatter["xaxis"]["key"] == "optimizer.lr"


class Experiments:
    """The tags of one experiment."""

    def __init__(self):
        self.tags, self.writes = {}, 0

    def get_experiment(self, experiment):
        return SimpleNamespace(tags=self.tags)

    def set_experiment_tag(self, experiment, key, value):
        self.tags[key], self.writes = value, self.writes + 1


def test_a_view_is_written_again_only_where_it_has_changed_and_no_person_changed_it(tmp_path):
    client, sweep = Experiments(), record(tmp_path)
    for time in (1, 2):
        save_view(client, "1", sweep, time)
    assert client.writes == 1
    save_view(client, "1", record(tmp_path, others=("parameters",)), 3)
    assert client.writes == 2
    changed = json.loads(client.tags[VIEW_TAG]) | {"updatedAt": 4}
    client.tags[VIEW_TAG] = json.dumps(changed)
    save_view(client, "1", sweep, 5)
    assert json.loads(client.tags[VIEW_TAG]) == changed
    client.tags[VIEW_TAG] = "not JSON"
    save_view(client, "1", sweep, 6)
    assert json.loads(client.tags[VIEW_TAG])["name"] == "Trials"


@contextmanager
def mlflow_with(tags):
    experiment = {"experiment": {"experiment_id": "7", "tags": tags}}
    with answering_server(200, json.dumps(experiment).encode()) as address:
        yield f"http://{address}"


def test_the_link_of_a_server_opens_the_view_where_there_is_one():
    with mlflow_with([{"key": VIEW_TAG, "value": "{}"}]) as server:
        assert server_link(server, "demo") == view_link(server, "7")
        assert query_of(server_link(server, "demo"))["viewStateShareKey"] == VIEW
    with mlflow_with([]) as server:
        assert query_of(server_link(server, "demo")) == {"workflowType": "machine_learning"}


def test_a_link_has_no_password_and_the_question_has_it():
    with answering_server(404, echo=True) as address, pytest.raises(UserMistake) as caught:
        server_link(f"http://me:secret@{address}", "demo")
    assert "secret" not in str(caught.value)
    assert address in str(caught.value)


def test_a_server_that_does_not_answer_is_a_world_fault():
    with refusing_server() as address, pytest.raises(WorldFault, match="connection refused"):
        server_link(f"http://{address}", "demo")
    with answering_server(500) as address, pytest.raises(WorldFault, match="500"):
        server_link(f"http://{address}", "demo")
    with answering_server(200, b"<html>") as address, pytest.raises(WorldFault, match="does not answer"):
        server_link(f"http://{address}", "demo")
