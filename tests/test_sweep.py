"""The sweep: its arguments, overrides, description and fingerprint."""

import json
import subprocess
import sys
from dataclasses import dataclass, replace
from functools import partial
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from models.mlp import MLP
from searchlab import (
    SGD,
    TPE,
    Accuracy,
    Adam,
    Choice,
    Digits,
    EarlyStopping,
    Float,
    Grid,
    Holdout,
    Int,
    KFold,
    Mnist,
    Random,
    Relu,
    Space,
    Spiral,
    Sweep,
    Tanh,
    Trainer,
)
from searchlab.errors import UserMistake

ROOT = Path(__file__).parents[1]

PARTS = {
    "name": "a-sweep",
    "data": Spiral(),
    "validation": KFold(5),
    "metric": Accuracy(),
    "model": Space(MLP, hidden=Int(4, 16), dropout=Float(0.0, 0.5)),
    "optimizer": Choice(Space(SGD, lr=Float(0.01, 1.0, log=True)), Space(Adam)),
    "training": Space(Trainer, batch_size=Choice(16, 32), epochs=3),
    "trials": 10,
}


def sweep(**changed):
    return Sweep(**PARTS | changed)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"name": ""}, r"Sweep\(name=...\) takes up to 64 letters"),
        ({"name": "a b"}, "got 'a b'"),
        ({"name": "../a"}, r"got '\.\./a'"),
        ({"name": "x" * 65}, "up to 64"),
        ({"name": 3}, "got 3"),
        ({"trials": 0}, "whole number of at least 1, got 0"),
        ({"trials": 2.5}, "got 2.5"),
        ({"trials": True}, "got True"),
        ({"trials": None}, r"Sweep\(trials=...\) is missing"),
        ({"trials": None, "sampler": Random()}, r"only sweeps with Grid\(\) or BruteForce\(\)"),
        ({"trials": 0, "sampler": Grid()}, "at least 1, got 0"),
        (
            {"sampler": Grid},
            r"Sweep\(sampler=...\) takes a sampler .*, got <class",
        ),
        ({"sampler": "grid"}, "got 'grid'"),
        ({"sampler": None}, "got None"),
        ({"early_stopping": 5}, r"Sweep\(early_stopping=...\) takes an EarlyStopping\(\), got 5"),
        ({"early_stopping": EarlyStopping}, "got <class"),
        ({"data": Spiral}, r"Sweep\(data=...\) takes an object with training and testing"),
        ({"data": None}, "training and testing, got None"),
        ({"validation": 5}, r"Sweep\(validation=...\) takes an object with split, got 5"),
        ({"validation": KFold}, "takes an object with split"),
        ({"metric": "accuracy"}, r"Sweep\(metric=...\) takes an object with measure, got 'accuracy'"),
        ({"model": MLP}, r"Sweep\(model=...\) takes a Space or a Choice of Spaces"),
        ({"model": Choice(MLP, Space(SGD))}, "takes a Space or a Choice of Spaces"),
        ({"optimizer": Choice(1, 2)}, r"Sweep\(optimizer=...\) takes a Space or a Choice of Spaces"),
        ({"optimizer": 0.1}, "takes a Space or a Choice of Spaces, got 0.1"),
        ({"training": Choice(Space(Trainer))}, r"Sweep\(training=...\) takes a Space, got"),
        ({"training": None}, "takes a Space, got None"),
    ],
)
def test_invalid_argument_is_rejected(changed, message):
    with pytest.raises(UserMistake, match=message):
        sweep(**changed)


def test_suggest_configuration_uses_paths_and_configuration_repeats_it():
    values = {
        "model.hidden": 8,
        "model.dropout": 0.25,
        "optimizer": "SGD",
        "optimizer.SGD.lr": 0.1,
        "training.batch_size": 32,
    }
    suggested = []
    configuration = sweep().suggest_configuration(lambda path, domain: suggested.append(path) or values[path])
    assert suggested == list(values)
    assert configuration.model.arguments == {"hidden": 8, "dropout": 0.25}
    assert configuration.optimizer.target is SGD
    assert configuration.training.arguments == {"batch_size": 32, "epochs": 3}
    assert sweep().configuration(values) == configuration


def test_with_values_accepts_labels_and_lists():
    chosen = sweep(model=Space(MLP, hidden=Choice(8, (8, 4)), activation=Choice(Relu, Tanh)))
    chosen = chosen.with_values({"model.activation": "Tanh", "model.hidden": [16, 8], "optimizer": "Adam"})
    assert chosen.model.arguments == {"hidden": (16, 8), "activation": Tanh}
    assert chosen.optimizer.target is Adam
    assert sweep().with_values({"model.hidden": "8"}).model.arguments["hidden"] == "8", "no option has this label"


def test_with_values_rejects_a_value_of_the_wrong_type():
    with pytest.raises(UserMistake, match=r"data\.limit cannot be 'few' \(.*'str'"):
        sweep(data=Mnist()).with_values({"data.limit": "few"})


def test_iter_arguments_yields_every_argument():
    arguments = {path: per_replica for path, _, per_replica in sweep().iter_arguments()}
    assert arguments == {
        "model.hidden": False,
        "model.dropout": True,
        "optimizer": False,
        "optimizer.SGD.lr": True,
        "training.batch_size": False,
        "training.epochs": False,
    }


def test_description_has_json_values():
    description = sweep().describe()
    assert json.loads(json.dumps(description)) == description
    assert description["data"] == {"kind": "Spiral", "points": 100, "classes": 3, "noise": 0.2, "seed": 0}
    assert description["arguments"]["optimizer.SGD.lr"] == "Float(0.01 to 1, log)"
    assert description["model"] == "MLP"
    assert description["optimizer"] == "SGD | Adam"


@pytest.mark.parametrize(
    "same",
    [
        {"name": "another"},
        {"trials": 99},
        {"sampler": TPE()},
        {"early_stopping": None},
        {"model": Space(MLP, **PARTS["model"].arguments)},
    ],
)
def test_fingerprint_does_not_depend_on(same):
    assert sweep(**same).fingerprint() == sweep().fingerprint()


@pytest.mark.parametrize(
    "changed",
    [
        {"data": Spiral(points=99)},
        {"data": Digits()},
        {"validation": KFold(4)},
        {"validation": KFold(5, seed=1)},
        {"validation": Holdout(0.2)},
        {"metric": replace(Accuracy(), goal="min")},
        {"model": Space(MLP, hidden=Int(4, 17), dropout=Float(0.0, 0.5))},
        {"model": Space(MLP, hidden=Int(4, 16, log=True), dropout=Float(0.0, 0.5))},
        {"model": Space(MLP, hidden=Int(4, 16, step=2), dropout=Float(0.0, 0.5))},
        {"model": Space(MLP, hidden=Int(4, 16), dropout=Float(0.0, 0.5).when(hidden=4))},
        {"model": Space(MLP, hidden=Int(4, 16), dropout=0.5)},
        {"model": Space(MLP, hidden=Int(4, 16), dropout=Float(0.0, 0.5), activation=Relu)},
        {"optimizer": Space(SGD, lr=Float(0.01, 1.0, log=True))},
        {"optimizer": Choice(Space(SGD, lr=Float(0.011, 1.0, log=True)), Space(Adam))},
        {"training": Space(Trainer, batch_size=Choice(16, 32), epochs=4)},
        {"training": Space(Trainer, batch_size=Choice(16, 64), epochs=3)},
        {"sampler": Random()},
        {"sampler": Grid()},
        {"early_stopping": EarlyStopping()},
    ],
)
def test_fingerprint_depends_on_what_is_searched(changed):
    assert sweep(**changed).fingerprint() != sweep().fingerprint()


def test_description_has_early_stopping_and_sampler_where_they_are_not_the_default():
    description = sweep(early_stopping=EarlyStopping(patience=3), sampler=Random()).describe()
    assert description["early_stopping"] == {"kind": "EarlyStopping", "patience": 3, "min_delta": 0.0}
    assert description["sampler"] == {"kind": "Random"}
    patient = sweep(early_stopping=EarlyStopping(patience=3)).with_values({"early_stopping.patience": 4})
    assert patient.early_stopping == EarlyStopping(patience=4)


def test_description_leaves_out_defaults_of_later_arguments():
    assert {"sampler", "early_stopping"}.isdisjoint(sweep().describe())


@dataclass(frozen=True)
class Rows:
    """A data set that holds arrays."""

    x: np.ndarray
    change: object = len

    def training(self):
        """Not called here."""

    testing = training


def test_description_of_arrays_is_a_hash_of_their_content():
    x = np.arange(6.0).reshape(2, 3)
    description = sweep(data=Rows(x)).describe()["data"]
    assert description["x"] == {"shape": [2, 3], "dtype": "float64", "sha256": sha256(x.tobytes()).hexdigest()[:16]}
    assert description["change"] == "len"
    assert sweep(data=Rows(np.asfortranarray(x))).fingerprint() == sweep(data=Rows(x)).fingerprint()
    words = np.array(["a", None], dtype=object)
    assert sweep(data=Rows(words)).fingerprint() == sweep(data=Rows(words.copy())).fingerprint()


@pytest.mark.parametrize(
    "changed",
    [np.arange(6.0).reshape(3, 2), np.arange(6).reshape(2, 3), np.arange(1.0, 7.0).reshape(2, 3), np.array(1.0)],
)
def test_fingerprint_depends_on_shape_dtype_and_content_of_arrays(changed):
    assert sweep(data=Rows(changed)).fingerprint() != sweep(data=Rows(np.arange(6.0).reshape(2, 3))).fingerprint()


def test_description_of_a_partial_function_has_its_arguments():
    x = np.zeros(1)
    description = sweep(data=Rows(x, partial(round, ndigits=2))).describe()["data"]["change"]
    assert description == {"kind": "partial", "function": "round", "arguments": [], "ndigits": 2}
    prints = {sweep(data=Rows(x, partial(round, ndigits=n))).fingerprint() for n in (1, 2, 2)}
    assert len(prints) == 2


def test_fingerprint_distinguishes_ranges_with_15_digits():
    """Ranges that look the same in six digits are different search spaces."""
    prints = {sweep(model=Space(MLP, dropout=Float(0.1, high))).fingerprint() for high in (0.5, 0.5000001, 0.50000001)}
    assert len(prints) == 3


def test_fingerprint_is_the_same_in_another_process():
    code = "from search_spaces.digits_mlp import sweep; print(sweep.fingerprint())"
    prints = {subprocess.check_output([sys.executable, "-c", code], cwd=ROOT, text=True) for _ in range(2)}
    assert len(prints) == 1


@pytest.mark.parametrize("name", ["spiral_mlp", "digits_mlp", "mnist_mlp", "grid_168"])
def test_search_spaces_of_the_project_are_valid(name):
    found = __import__(f"search_spaces.{name}", fromlist=["sweep"]).sweep
    assert found.name == name.replace("_", "-")
    assert len(found.fingerprint()) == 64


def test_misspelled_name_is_reported_with_the_names_that_exist():
    import searchlab

    with pytest.raises(AttributeError, match=r"no 'Flaot'; .*Float"):
        searchlab.Flaot  # noqa: B018
    for name in searchlab.__all__:
        assert getattr(searchlab, name).__name__.rpartition(".")[2] == name
