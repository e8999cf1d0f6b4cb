"""The winner as a model of MLflow: what is logged, what it takes and answers, how it is registered and served."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from contextlib import contextmanager

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient

import searchlab
from models.mlp import MLP
from models.rnn_lm import RnnLM
from models.seq2seq import Seq2Seq
from models.word2vec import Cbow
from searchlab import (
    SGD,
    Addition,
    Blocked,
    ContextWindows,
    Csv,
    ExactMatch,
    Float,
    FoldEnsemble,
    Holdout,
    LossPerTarget,
    Perplexity,
    RootMeanSquaredError,
    Space,
    Text,
    Trainer,
    UserMistake,
    artifact,
)
from searchlab.cli.run_options import config_from
from searchlab.nn import MeanSquaredError
from searchlab.runs.config import RunConfig
from searchlab.tracking.model_registry import TestScore, register
from searchlab.tracking.store import open_store
from tests.command_line import run_cli, run_cli_process
from tests.conftest import ROOT
from tests.jobs import run
from tests.mlflow_server import store_uri
from tests.sweeps import spiral_sweep
from tests.waiting import DEADLINE, wait_for

# MLflow warns of its own code when it is imported
pytestmark = pytest.mark.filterwarnings("ignore:.*Any type hint")
WORDS = "you say goodbye and i say hello . " * 60


@pytest.fixture(autouse=True)
def own_process_state(monkeypatch):
    """Restore MLflow's URI, which is also in the environment, and the places of modules, to which models add theirs."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    yield
    mlflow.set_tracking_uri(None)


def write_flowers(folder):
    """A table with named columns and classes; return its file."""
    draws, path = np.random.default_rng(0), folder / "flowers.csv"
    kinds = draws.choice(["setosa", "virginica"], 120)
    lengths = np.where(kinds == "setosa", 1.5, 5.5) + draws.normal(size=120)
    rows = zip(lengths, draws.normal(size=120), kinds, strict=True)
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([["length", "width", "kind"], *rows])
    return path


def flower_sweep(folder, **changes):
    return spiral_sweep(2, 4, **{"data": Csv(write_flowers(folder), target="kind"), **changes})


def regression_sweep(folder):
    data = Csv(write_flowers(folder), target="length", drop="kind")
    model = Space(MLP, hidden=4, loss=MeanSquaredError)
    return spiral_sweep(2, 4, data=data, metric=RootMeanSquaredError(), model=model)


def text_sweep(folder, **changes):
    (folder / "text.txt").write_text(WORDS)
    parts = {
        "data": Text(folder / "text.txt", unit="word", window=10),
        "validation": Holdout(0.3),
        "metric": Perplexity(),
        "model": Space(RnnLM, hidden=4, embed=4),
        "optimizer": Space(SGD, lr=Float(0.5, 1.0)),
        "training": Space(Trainer, batch_size=4, epochs=1),
    }
    return spiral_sweep(1, **{**parts, **changes})


def vector_sweep(folder):
    (folder / "text.txt").write_text(WORDS)
    data = ContextWindows(Text(folder / "text.txt", unit="word"))
    model = Space(Cbow, dimensions=4)
    return text_sweep(folder, data=data, validation=Blocked(2), metric=LossPerTarget(), model=model)


def pair_sweep(folder):
    training, model = Space(Trainer, batch_size=10, epochs=1), Space(Seq2Seq, hidden=4)
    return spiral_sweep(1, data=Addition(rows=60), metric=ExactMatch(), model=model, training=training)


def run_recorded(home, sweep, **options):
    result = run(sweep, engine="local", home=home, tracking="mlflow", **options)
    assert result.record_fault is None
    return result


def client_of(home):
    return MlflowClient(store_uri(home), store_uri(home))


def models_of(home, result):
    client = client_of(home)
    experiment = client.get_experiment_by_name(result.sweep)
    return client.search_logged_models([experiment.experiment_id])


def load(home, result):
    """The one model of a result, as MLflow loads it in this process."""
    mlflow.set_tracking_uri(store_uri(home))
    (model,) = models_of(home, result)
    return mlflow.pyfunc.load_model(f"models:/{model.model_id}")


def columns(schema):
    return [(column.name, str(column.type)) for column in schema]


def test_a_model_of_a_table_takes_columns_by_name_and_answers_as_predict_does(home, tmp_path):
    result = run_recorded(home, flower_sweep(tmp_path))
    (model,) = models_of(home, result)
    assert (model.status.name, model.model_type, model.source_run_id) == ("READY", "classification", result.run_id)
    assert model.params == {path: str(value) for path, value in result.best.parameters.items()}
    assert {metric.key for metric in model.metrics} >= {"test_accuracy", "test_accuracy_float16"}
    loaded = load(home, result)
    found = loaded.metadata.signature
    assert columns(found.inputs) == [("length", "DataType.double"), ("width", "DataType.double")]
    assert columns(found.outputs) == [("class", "DataType.string"), ("probability", "DataType.double")]
    frame = pd.DataFrame({"width": [0.5, 0.0], "length": [1.0, 6.0]})
    shares = artifact.load(result.artifact).probabilities(frame)
    assert loaded.predict(frame).to_dict("list") == {
        "class": ["setosa", "virginica"],
        "probability": shares.max(axis=1).tolist(),
    }
    wide = loaded.predict(frame, params={"probabilities": True})
    np.testing.assert_array_equal(wide[["setosa", "virginica"]], shares)
    example = loaded.input_example
    np.testing.assert_allclose(example[["length", "width"]], artifact.load(result.artifact).scaling.mean, rtol=1e-6)


def test_a_model_of_unnamed_inputs_takes_an_array(home):
    result = run_recorded(home, spiral_sweep(2))
    x = np.array([[0.1, 0.2], [0.3, -0.4]])
    saved = artifact.load(result.artifact)
    answer = load(home, result).predict(x)
    np.testing.assert_array_equal(answer["class"], saved.classify(x))
    np.testing.assert_array_equal(answer["probability"], saved.probabilities(x).max(axis=1))


def test_an_ensemble_is_one_model(home, tmp_path):
    result = run_recorded(home, flower_sweep(tmp_path, winner=FoldEnsemble(finalists=1)))
    frame = pd.DataFrame({"length": [1.0], "width": [0.5]})
    shares = artifact.load(result.artifact).probabilities(frame)
    assert load(home, result).predict(frame)["probability"].tolist() == shares.max(axis=1).tolist()


def test_a_model_of_numbers_answers_in_the_unit_of_the_targets(home, tmp_path):
    result = run_recorded(home, regression_sweep(tmp_path))
    loaded = load(home, result)
    assert columns(loaded.metadata.signature.outputs) == [("prediction", "DataType.double")]
    frame = pd.DataFrame({"width": [0.5]})
    assert loaded.predict(frame)["prediction"].tolist() == artifact.load(result.artifact).predict(frame)[:, 0].tolist()


@pytest.mark.parametrize(
    ("sweep", "column", "question", "params", "outputs"),
    [
        (text_sweep, "prompt", "you", {"length": 3, "seed": 5}, ["text"]),
        (pair_sweep, "source", "1+2", None, ["target"]),
        (vector_sweep, "word", "you", {"n": 2}, ["word", "similar", "similarity"]),
    ],
)
def test_a_model_of_texts_answers_as_the_artifact(home, tmp_path, sweep, column, question, params, outputs):
    result = run_recorded(home, sweep(tmp_path))
    saved, loaded = artifact.load(result.artifact), load(home, result)
    answer = loaded.predict(pd.DataFrame({column: [question]}), params=params)
    assert list(answer.columns) == outputs
    expected = {
        "prompt": lambda: [[saved.generate(question, 3, seed=5)]],
        "source": lambda: [[saved.translate(question)]],
        "word": lambda: [[question, *pair] for pair in saved.most_similar(question, 2)],
    }[column]()
    assert answer.to_numpy().tolist() == expected
    assert loaded.predict(loaded.input_example) is not None, "the example is an input that the model takes"


FRESH = """
import json, sys
import mlflow.pyfunc
model = mlflow.pyfunc.load_model(sys.argv[1])
import models.mlp, searchlab
print(json.dumps([searchlab.__file__, models.mlp.__file__, model.predict(model.input_example).to_dict("list")]))
"""


def test_the_model_needs_nothing_but_its_own_folder(home, tmp_path):
    """In another process, where neither the project nor searchlab comes from the checkout."""
    result = run_recorded(home, flower_sweep(tmp_path))
    (model,) = models_of(home, result)
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    command = [sys.executable, "-c", FRESH, model.artifact_location.removeprefix("file://")]
    finished = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=DEADLINE)
    assert finished.returncode == 0, finished.stderr
    library, source, answer = json.loads(finished.stdout.splitlines()[-1])
    assert "source.zip" in library
    assert "source.zip" in source
    assert list(answer) == ["class", "probability"]


def test_a_resumed_sweep_logs_its_model_once_and_another_winner_beside_it(home):
    result = run_recorded(home, spiral_sweep(2))
    searchlab.resume("spiral", home=home, sweep=spiral_sweep(2), register="mine")
    (model,) = models_of(home, result)
    assert [version.run_id for version in client_of(home).search_model_versions("name = 'mine'")] == [result.run_id]
    again = searchlab.resume("spiral", home=home, sweep=spiral_sweep(9), trials=9)
    assert again.best.number != result.best.number
    assert again.registered == "mine@challenger", "the option is kept, and it was not tested again"
    trials = {found.tags["searchlab.trial"] for found in models_of(home, result)}
    assert trials == {str(result.best.number), str(again.best.number)}
    assert model.model_id in {found.model_id for found in models_of(home, result)}


def test_a_model_whose_writing_was_cut_off_is_written_anew(home):
    result = run_recorded(home, spiral_sweep(2))
    (cut_off,) = models_of(home, result)
    client_of(home).finalize_logged_model(cut_off.model_id, "FAILED")
    searchlab.resume("spiral", home=home, sweep=spiral_sweep(2), register="")
    (model,) = models_of(home, result)
    assert (model.status.name, model.model_id == cut_off.model_id) == ("READY", False)


def test_the_winner_is_registered_by_the_name_of_its_sweep(home):
    result = run_recorded(home, spiral_sweep(2), register="")
    assert result.registered == "spiral@champion"
    assert result.to_json()["registered"] == "spiral@champion"
    assert searchlab.open("spiral", home=home).registered == "spiral@champion"
    version = client_of(home).get_model_version_by_alias("spiral", "champion")
    assert float(version.tags["searchlab.test"]) == result.winner.artifact_score
    assert run_recorded(home, spiral_sweep(2), name="other").registered is None


SCORE = TestScore(0.9, "accuracy", "max", "rows")


@pytest.mark.parametrize(
    ("second", "alias"),
    [
        (TestScore(0.91, "accuracy", "max", "rows"), "champion"),
        (TestScore(0.9, "accuracy", "max", "rows"), "challenger"),
        (TestScore(0.89, "accuracy", "max", "rows"), "challenger"),
        (TestScore(0.99, "accuracy", "max", "other rows"), "challenger"),
        (TestScore(0.99, "balanced accuracy", "max", "rows"), "challenger"),
        (TestScore(None, "accuracy", "max", "rows"), "challenger"),
    ],
)
def test_only_a_better_score_on_the_same_rows_takes_the_alias(home, second, alias):
    client = open_store(store_uri(home), home)
    mlflow.set_tracking_uri(store_uri(home))
    experiment = client.create_experiment("mine")
    run_id = client.create_run(experiment).info.run_id
    first, later = (client.create_logged_model(experiment, "mine", run_id).model_id for _ in range(2))
    for _ in range(2):
        assert register(client, "mine", first, run_id, SCORE) == "champion"
    assert register(client, "mine", later, run_id, second) == alias
    assert register(client, "mine", later, run_id, second) == alias, "it keeps its version"
    versions = {v.tags["searchlab.model_id"]: v.version for v in client.search_model_versions("name = 'mine'")}
    assert len(versions) == 2
    chosen = later if alias == "champion" else first
    assert client.get_model_version_by_alias("mine", "champion").version == versions[chosen]


def test_a_smaller_error_is_better():
    assert TestScore(0.1, "rmse", "min", "rows").is_better_than(TestScore(0.2, "rmse", "min", "rows"))
    assert not SCORE.is_better_than(TestScore.of_tags({}))
    assert TestScore.of_tags(SCORE.tags()) == SCORE


def test_what_cannot_be_registered_is_refused():
    with pytest.raises(UserMistake, match="register needs a record in MLflow"):
        RunConfig(register="", tracking=None)
    with pytest.raises(UserMistake, match="a registered model's name is up to 64 letters"):
        RunConfig(register="a/b")
    assert config_from({"register": ""}).register == ""


def test_register_takes_a_name_or_none(home):
    options = ["search_spaces/spiral_mlp.py", "--engine", "local", "--trials", "1", "--epochs", "1", "--json"]
    finished = run_cli("run", *options, "--register", home=home)
    assert json.loads(finished.stdout.splitlines()[-1])["registered"] == "spiral-mlp@champion"
    finished = run_cli("resume", "spiral-mlp", "--json", "--register=mine", home=home)
    assert json.loads(finished.stdout.splitlines()[-1])["registered"] == "mine@champion"


@contextmanager
def served(home, model, port):
    """Serve a model with MLflow's own command, without an environment of its own, until the block ends."""
    command = [sys.executable, "-m", "mlflow", "models", "serve", "-m", model, "--env-manager", "local"]
    command += ["--host", "127.0.0.1", "--port", str(port)]
    path = os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]])
    tracking = {"MLFLOW_TRACKING_URI": store_uri(home), "MLFLOW_DISABLE_TELEMETRY": "true"}
    environment = {**os.environ, **tracking, "PATH": path}
    with (
        (home / "serve.log").open("wb") as log,
        subprocess.Popen(command, cwd=home, env=environment, stdout=log, stderr=log, start_new_session=True) as server,
    ):
        try:
            wait_for(lambda: server.poll() is not None or answers(port))
            assert server.poll() is None, (home / "serve.log").read_text()
            yield
        finally:
            os.killpg(server.pid, signal.SIGKILL)


def answers(port):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/ping", timeout=DEADLINE) as response:
            return response.status == 200
    except (urllib.error.URLError, ConnectionError):
        return False


def ask(port, body):
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"http://127.0.0.1:{port}/invocations", json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=DEADLINE) as response:
        return json.loads(response.read())["predictions"]


@pytest.mark.slow
def test_a_served_model_answers_with_the_numbers_of_predict(home, tmp_path, free_port):
    result = run_recorded(home, flower_sweep(tmp_path), register="flowers")
    printed = run_cli_process("predict", result.sweep, tmp_path / "flowers.csv", "--json", home=home, cwd=ROOT)
    expected = json.loads(printed.stdout.splitlines()[-1])["predictions"]
    table = pd.read_csv(tmp_path / "flowers.csv")[["length", "width"]]
    with served(home, "models:/flowers@champion", free_port):
        body = {"dataframe_split": {"columns": list(table.columns), "data": table.to_numpy().tolist()}}
        assert ask(free_port, body) == expected
        with pytest.raises(urllib.error.HTTPError) as refused:
            ask(free_port, {"dataframe_split": {"columns": ["length"], "data": [[1.0]]}})
        assert refused.value.code == 400
        assert "width" in refused.value.read().decode()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sweep", "column", "question", "answer"),
    [
        (regression_sweep, "width", 0.5, lambda saved: {"prediction": saved.predict([[0.5]])[0, 0]}),
        (text_sweep, "prompt", "you", lambda saved: {"text": saved.generate("you", 50)}),
        (pair_sweep, "source", "1+2", lambda saved: {"target": saved.translate("1+2")}),
    ],
)
def test_served_numbers_and_texts_are_those_of_the_artifact(home, tmp_path, free_port, sweep, column, question, answer):
    result = run_recorded(home, sweep(tmp_path), register="mine")
    with served(home, "models:/mine@champion", free_port):
        asked = {"dataframe_split": {"columns": [column], "data": [[question]]}}
        assert ask(free_port, asked) == [answer(artifact.load(result.artifact))]
