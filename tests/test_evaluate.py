"""The winner measured on new data: `searchlab evaluate`."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest

from models.mlp import MLP
from models.rnn_lm import RnnLM
from searchlab import (
    SGD,
    Accuracy,
    Arrays,
    Csv,
    Float,
    Holdout,
    Npz,
    ParameterCount,
    Perplexity,
    RootMeanSquaredError,
    Space,
    Text,
    Trainer,
    UserMistake,
    artifact,
)
from searchlab.nn import MeanSquaredError
from searchlab.runner.evaluate import evaluate, evaluate_artifact
from tests.command_line import error_message, run_cli, write_sweep_file
from tests.jobs import run
from tests.sweeps import spiral_sweep

WORDS = "you say goodbye and i say hello . "
SWEEP = """
from models.mlp import MLP
from searchlab import SGD, Accuracy, Csv, Float, KFold, Space, Sweep, Trainer

sweep = Sweep(
    name="flowers", data=Csv("flowers.csv", target="kind"), validation=KFold(2), metric=Accuracy(),
    model=Space(MLP, hidden=4), optimizer=Space(SGD, lr=Float(0.1, 1.0)),
    training=Space(Trainer, batch_size=10, epochs=4), trials=2,
)
"""


def run_local(home, sweep, **options):
    return run(sweep, engine="local", home=home, **options)


def write_table(path, rows, header):
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def write_flowers(path, seed=0, count=60):
    """A table of two classes whose first column tells them apart."""
    draws = np.random.default_rng(seed)
    kinds = draws.choice(["setosa", "virginica"], count)
    lengths = np.where(kinds == "setosa", 1.5, 5.5) + draws.normal(size=count)
    rows = list(zip(lengths, draws.normal(size=count), kinds, strict=True))
    return write_table(path, rows, ["length", "width", "kind"]), rows


def test_a_table_is_measured_by_all_metrics_whatever_the_order_of_its_columns(home, tmp_path):
    flowers, _ = write_flowers(tmp_path / "flowers.csv")
    sweep = spiral_sweep(2, 5, data=Csv(flowers, target="kind"), metric=(Accuracy(), ParameterCount()))
    result = run_local(home, sweep)
    _, rows = write_flowers(tmp_path / "other.csv", seed=1)
    new = write_table(
        tmp_path / "new.csv", [(kind, w, 7, le) for le, w, kind in rows], ["kind", "width", "id", "length"]
    )
    found = evaluate("spiral", data=new, home=home, sweep=sweep)
    x = np.array([[length, width] for length, width, _ in rows])
    expected = (artifact.load(result.artifact).classify(x) == np.array([kind for *_, kind in rows])).mean()
    assert found.scores["accuracy"] == pytest.approx(expected)
    assert found.scores["parameters"] == result.best.values[1]
    assert (found.rows, found.look, found.trial) == (60, None, result.best.number)
    assert len(json.loads((home / "test_looks.json").read_text())["looks"]) == 1, "new data is no look at the test rows"


def test_numbers_are_measured_in_the_unit_of_the_targets(home, tmp_path):
    draws = np.random.default_rng(0)
    x = draws.normal(size=(80, 2))
    y = (x @ [1.0, -2.0]) * 1e4 + 3e5
    np.savez(tmp_path / "data.npz", x=x, y=y)
    model = Space(MLP, hidden=4, loss=MeanSquaredError)
    sweep = spiral_sweep(2, 5, data=Npz(tmp_path / "data.npz"), metric=RootMeanSquaredError(), model=model)
    result = run_local(home, sweep)
    np.savez(tmp_path / "new.npz", x=x[:9], y=y[:9])
    found = evaluate("spiral", data=tmp_path / "new.npz", home=home, sweep=sweep)
    error = artifact.load(result.artifact).predict(x[:9])[:, 0] - y[:9]
    assert found.scores["rmse"] == pytest.approx(np.sqrt((error**2).mean()), rel=1e-5)


def test_a_text_is_measured_in_the_vocabulary_of_the_network(home, tmp_path):
    (tmp_path / "text.txt").write_text(WORDS * 60)
    (tmp_path / "new.txt").write_text("you say hello and i sing goodbye . " * 10)
    sweep = spiral_sweep(
        1,
        data=Text(tmp_path / "text.txt", window=10),
        validation=Holdout(0.3),
        metric=Perplexity(),
        model=Space(RnnLM, hidden=4, embed=4),
        optimizer=Space(SGD, lr=Float(0.5, 1.0)),
        training=Space(Trainer, batch_size=4, epochs=2),
    )
    run_local(home, sweep)
    found = evaluate("spiral", data=tmp_path / "new.txt", home=home, sweep=sweep)
    assert found.rows == 80
    assert 1.0 < found.scores["perplexity"] < 1e3


def test_the_test_rows_are_a_look_and_refused_to_another_winner(home):
    sweep = spiral_sweep(2)
    first = run_local(home, sweep)
    again = evaluate("spiral", home=home, sweep=sweep)
    assert again.scores["accuracy"] == pytest.approx(first.winner.artifact_score)
    assert again.look == 1, "the same winner on the same rows teaches nothing new"
    run_local(home, sweep, name="second")
    with pytest.raises(UserMistake, match=r"were opened before, for trial . of 'spiral'.*--look-again"):
        evaluate("second", home=home, sweep=sweep)
    assert evaluate("second", home=home, sweep=sweep, look_again=True).look == 2


def test_data_that_does_not_fit_is_one_sentence(home, tmp_path):
    flowers, rows = write_flowers(tmp_path / "flowers.csv")
    sweep = spiral_sweep(1, 2, data=Csv(flowers, target="kind"))
    run_local(home, sweep)

    def refuse(path, error, match):
        with pytest.raises(error, match=match):
            evaluate("spiral", data=path, home=home, sweep=sweep)

    refuse(write_table(tmp_path / "a.csv", [[1, "setosa"]], ["length", "kind"]), UserMistake, "no column 'width'")
    refuse(write_table(tmp_path / "b.csv", [[1, 2]], ["length", "width"]), UserMistake, "no column 'kind'")
    rose = write_table(tmp_path / "c.csv", [[1, 2, "rose"]], ["length", "width", "kind"])
    refuse(rose, UserMistake, "does not know the class 'rose'; it knows setosa, virginica")
    (tmp_path / "d.txt").write_text("words")
    refuse(tmp_path / "d.txt", UserMistake, "d.txt cannot be used: new data is a .csv")
    np.savez(tmp_path / "e.npz", x=np.zeros((2, 2)))
    refuse(tmp_path / "e.npz", UserMistake, "no key 'y'")
    np.savez(tmp_path / "f.npz", x=np.zeros((2, 3)), y=["setosa", "setosa"])
    refuse(tmp_path / "f.npz", UserMistake, "takes rows of 2 numbers")
    (tmp_path / "g.npz").write_bytes(b"no archive")
    refuse(tmp_path / "g.npz", UserMistake, r"g\.npz")
    with pytest.raises(UserMistake, match="no sweep called 'gone'"):
        evaluate("gone", home=home, sweep=sweep)
    assert rows


def test_the_command_prints_the_scores(home, tmp_path):
    write_flowers(tmp_path / "flowers.csv")
    write_flowers(tmp_path / "new.csv", seed=1)
    spec = write_sweep_file(tmp_path, SWEEP)
    run_cli("run", spec, "--engine", "local", "--no-tracking", home=home, cwd=tmp_path)
    finished = run_cli("evaluate", "flowers", "--data", "new.csv", "--json", home=home, cwd=tmp_path)
    assert finished.returncode == 0, finished.stderr
    printed = json.loads(finished.stdout.splitlines()[-1])
    assert (printed["sweep"], printed["data"], printed["rows"], printed["look"]) == ("flowers", "new.csv", 60, None)
    text = run_cli("evaluate", "flowers", home=home, cwd=tmp_path).stdout
    assert "on the test rows, opened for the first time (12):" in text
    assert "accuracy  " in text
    run_cli("export", "flowers", "mine", home=home, cwd=tmp_path)
    finished = run_cli("evaluate", "mine", "--data", "new.csv", "--json", home=tmp_path / "elsewhere", cwd=tmp_path)
    assert json.loads(finished.stdout.splitlines()[-1]) == printed
    assert "--data PATH names new data" in error_message(run_cli("evaluate", "mine", home=home, cwd=tmp_path), 2)


def test_arrays_in_memory_take_an_archive(home, tmp_path):
    x = np.random.default_rng(0).normal(size=(60, 2))
    labels = np.array(["low", "high"])[(x[:, 0] > 0).astype(int)]
    sweep = spiral_sweep(1, 4, data=Arrays(x, labels))
    run_local(home, sweep)
    np.savez(tmp_path / "new.npz", x=x, y=labels)
    assert evaluate("spiral", data=tmp_path / "new.npz", home=home, sweep=sweep).scores["accuracy"] > 0.5


def test_an_artifact_of_a_metric_of_the_project_is_evaluated_by_its_sweep(home, tmp_path):
    flowers, _ = write_flowers(tmp_path / "flowers.csv")
    result = run_local(home, spiral_sweep(1, 2, data=Csv(flowers, target="kind"), metric=Accuracy(name="share")))
    with pytest.raises(UserMistake, match="'share' is a metric of the project; evaluate the sweep by its name"):
        evaluate_artifact(result.artifact, flowers)
