"""Mistakes in a space are reported before anything is written: a trial of every option trains one step."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from click.testing import CliRunner

from models.mlp import MLP
from models.rnn_lm import RnnLM
from searchlab import (
    SGD,
    Accuracy,
    Adam,
    Arrays,
    Budget,
    Choice,
    Float,
    Grid,
    Int,
    KFold,
    MeanSquaredError,
    Perplexity,
    Random,
    Relu,
    Resources,
    RootMeanSquaredError,
    Space,
    Spiral,
    Trainer,
)
from searchlab.cli import searchlab as searchlab_command
from searchlab.errors import UserMistake
from searchlab.fusion.covering_points import covering_points
from searchlab.fusion.trial_check import validate_trials
from tests.jobs import run
from tests.sweeps import spiral_sweep

NUMBERS = Arrays(np.arange(120.0).reshape(60, 2), np.linspace(0.0, 5.0, 60))


class WrongShapes(Relu):
    """An activation whose backward pass has a mistake."""

    def backward(self, dy):
        return dy @ np.ones((1, 3, 3))


def training(**arguments):
    return {"training": Space(Trainer, **{"batch_size": 10, "epochs": 2} | arguments)}


def model(**arguments):
    return {"model": Space(MLP, **arguments)}


MISTAKES = {
    "batch size 0": (lambda: training(batch_size=0), r"batch_size >= 1 .*got 0"),
    "batch size 0 in a range": (lambda: training(batch_size=Int(0, 8)), r"batch_size >= 1 .*got 0"),
    "batch size 0 in a choice": (lambda: training(batch_size=Choice(8, 0)), r"batch_size >= 1 .*got 0"),
    "fraction of an epoch": (lambda: training(epochs=1.5), r"^epochs of Trainer takes a whole number, got 1\.5"),
    "true epochs": (lambda: training(epochs=True), r"^epochs of Trainer takes a whole number, got True"),
    "not a number": (lambda: training(clip_norm=float("nan")), r"^clip_norm of Trainer takes a finite number"),
    "infinite": (lambda: training(l2=float("inf")), r"^l2 of Trainer takes a finite number"),
    "dropout above 1": (lambda: model(dropout=1.5), r"(?i)dropout.*1\.5"),
    "dropout above 1 in a range": (lambda: model(dropout=Float(0.0, 1.5)), r"(?i)dropout.*1\.5"),
    "negative width": (lambda: model(hidden=-3), r"-3"),
    "text as a rate": (lambda: {"optimizer": Space(SGD, lr="x")}, r"^lr of SGD takes a finite number, got 'x'"),
    "text in a choice": (lambda: {"optimizer": Space(SGD, lr=Choice(0.1, "x"))}, r"^lr of SGD takes .*got 'x'"),
    "true as a rate": (lambda: {"optimizer": Space(SGD, lr=True)}, r"^lr of SGD takes a finite number, got True"),
    "accuracy of numbers": (lambda: {"data": NUMBERS, **model(loss=MeanSquaredError)}, r"(?i)accuracy"),
    "error of classes": (lambda: {"metric": RootMeanSquaredError()}, r"(?i)RootMeanSquaredError|numbers"),
    "perplexity of points": (lambda: {"metric": Perplexity()}, r"(?i)perplexity"),
    "a language model of points": (lambda: {"model": Space(RnnLM)}, r"."),
    "half a point": (lambda: {"data": Spiral(points=10.5)}, r"points"),
    "no noise at all": (lambda: {"data": Spiral(noise=float("nan"))}, r"noise"),
    "a negative seed of data": (lambda: {"data": Spiral(seed=-1)}, r"^the training rows cannot be loaded: Value"),
    "a negative seed of folds": (lambda: {"validation": KFold(2, seed=-1)}, r"^the training rows cannot be split"),
    "a range of data": (lambda: {"data": Spiral(seed=Int(1, 3))}, r"only model, optimizer and training are searched"),
    "an array as a number": (
        lambda: training(epochs=np.arange(3)),
        r"^epochs of Trainer takes a whole number",
    ),
    "no schedule but 0": (lambda: training(schedule=0), r"^Trainer\(schedule=\.\.\.\) takes a class"),
    "a goal in between": (
        lambda: {"metric": Accuracy(goal="mid")},
        r"^the goal of Accuracy is 'max' or 'min', got",
    ),
    "a text as validation": (lambda: {"validation": "kfold"}, r"^Sweep\(validation=\.\.\.\) takes an object"),
    "more cores than there are": (lambda: {"resources": Resources(cpus=1e30)}, r"^Resources\(cpus=\.\.\.\) takes"),
    "folds by half": (lambda: {"validation": KFold(2.5)}, r"2\.5"),
}


@pytest.mark.parametrize(("changes", "message"), MISTAKES.values(), ids=MISTAKES)
def test_mistakes_are_reported_before_anything_is_written(tmp_path, changes, message):
    with pytest.raises(UserMistake, match=message) as raised:
        run(spiral_sweep(**changes()), engine="local", tracking=None, home=tmp_path / "home")
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "home").exists()


def test_an_error_in_the_users_part_has_its_place_and_the_trial(tmp_path):
    sweep = spiral_sweep(**model(hidden=Choice(4, 8), activation=Choice(Relu, WrongShapes)))
    line = WrongShapes.backward.__code__.co_firstlineno + 1
    with pytest.raises(UserMistake, match=r"^ValueError: .*matmul") as raised:
        run(sweep, engine="local", tracking=None, home=tmp_path / "home")
    assert f"(tests/test_trial_check.py, line {line}, in backward)" in str(raised.value)
    assert "; the trial has model.hidden=4, model.activation=WrongShapes" in str(raised.value)
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize("set_value", ["optimizer.lr=nope", "training.batch_size=0", "training.epochs=1.5"])
@pytest.mark.parametrize("command", ["run", "plan"])
def test_values_of_the_command_line_are_checked_too(tmp_path, command, set_value):
    options = ["--home", str(tmp_path / "home")] if command == "run" else []
    arguments = [command, "search_spaces/digits_small.py", "--set", set_value, *options]
    with pytest.raises(UserMistake, match=set_value.partition("=")[2]):
        CliRunner().invoke(searchlab_command, arguments, standalone_mode=False, catch_exceptions=False)
    assert not (tmp_path / "home").exists()


def test_show_prints_nothing_but_the_mistake(tmp_path):
    spec = tmp_path / "wrong.py"
    spec.write_text(
        "from models.mlp import MLP\n"
        "from searchlab import *\n"
        "sweep = Sweep(name='wrong', data=Spiral(points=10), validation=KFold(2), metric=Accuracy(),\n"
        "    model=Space(MLP, dropout=Choice(0.1, 1.5)), optimizer=Space(SGD), training=Space(Trainer), trials=3)\n"
    )
    runner = CliRunner()
    with runner.isolation() as streams, pytest.raises(UserMistake, match=r"1\.5"):
        searchlab_command.main(["show", str(spec)], standalone_mode=False)
    assert streams[0].getvalue() == b""


def test_numbers_of_numpy_count_as_pythons(tmp_path):
    sweep = spiral_sweep(
        trials=np.int64(4),
        validation=KFold(np.int64(2)),
        data=Spiral(points=np.int32(20), classes=np.int64(3), noise=np.float32(0.1)),
        model=Space(MLP, hidden=Choice(*np.arange(4, 13, 4)), dropout=Float(np.float32(0.0), np.float64(0.5))),
        optimizer=Space(Adam, lr=Choice(*np.array([0.01, 0.1]))),
        training=Space(Trainer, batch_size=np.int64(10), epochs=np.int16(2)),
        budget=Budget(epochs=np.int64(1000)),
        enqueue=[{"model.hidden": np.int64(8), "optimizer.lr": np.float64(0.1)}],
        sampler=Random(),
    )
    assert sweep.fingerprint()
    result = run(sweep, engine="local", tracking=None, home=tmp_path, seed=np.int64(3), trials=np.int64(5))
    assert result.count("COMPLETE") == 5
    assert result.trials[0].parameters["model.hidden"] == 8
    for trial in result.trials:
        assert {type(value) for value in trial.parameters.values()} <= {int, float}
    json.dumps(result.to_json())


@dataclass(frozen=True)
class LooselyAnnotated(Spiral):
    """A data set whose annotations are shorter than the truth."""

    path: str = Path("somewhere")
    limit: int = None


def test_a_default_and_a_path_are_taken_whatever_is_annotated():
    data = LooselyAnnotated(points=20, path=Path("elsewhere"))
    assert spiral_sweep(data=data).data is data
    with pytest.raises(UserMistake, match=r"^limit of LooselyAnnotated takes a whole number, got 'x'"):
        spiral_sweep(data=LooselyAnnotated(limit="x"))


def test_points_cover_every_option_and_both_ends():
    sweep = spiral_sweep(
        model=Choice(
            Space(MLP, hidden=Int(4, 4000), dropout=Float(0.0, 0.4)), Space(MLP2, hidden=Choice((4,), (8, 4), ()))
        ),
        optimizer=Choice(Space(SGD, lr=Float(0.1, 2.0)), Space(Adam, lr=Float(0.001, 0.1))),
    )
    points = list(covering_points(sweep))
    assert len(points) <= 8
    seen = {}
    for point in points:
        for path, value in point.items():
            seen.setdefault(path, set()).add(value)
    assert seen["model"] == {"MLP", "MLP2"}
    assert seen["model.MLP.hidden"] == {4}, "the largest is tried where it is cheap"
    assert seen["model.MLP.dropout"] == {0.0, 0.4}
    assert len(seen["model.MLP2.hidden"]) == 3
    assert seen["optimizer.SGD.lr"] == {0.1, 2.0}
    assert seen["optimizer.Adam.lr"] == {0.001, 0.1}


class MLP2(MLP):
    """The same network under another name."""


def test_a_point_that_violates_the_constraint_is_not_built():
    built = []

    class Recording(MLP):
        def __init__(self, replicas, features, outputs, *, hidden: int = 4):
            built.append(hidden)
            super().__init__(replicas, features, outputs, hidden=hidden)

    sweep = spiral_sweep(
        model=Space(Recording, hidden=Choice(4, 8)),
        sampler=Random(),
        constraint=lambda candidate: candidate["model.hidden"] - 3,
    )
    validate_trials(sweep, sweep.data.training())
    assert built == []


def test_every_metric_of_a_sweep_is_tried():
    @dataclass(frozen=True)
    class Wrong(Accuracy):
        def measure(self, model, batches):
            raise KeyError("labels")

        name: str = "wrong"

    sweep = spiral_sweep(metric=(Accuracy(), Wrong()), sampler=Random())
    with pytest.raises(UserMistake, match=r"^KeyError: 'labels' \(tests/test_trial_check.py, line \d+, in measure\)"):
        validate_trials(sweep, sweep.data.training())


class WithHeads(MLP):
    """A network whose width must be a multiple of its number of heads."""

    built: ClassVar[list[tuple[int, int]]] = []

    def __init__(self, replicas, features, outputs, *, hidden: int = 4, heads: int = 1):
        if hidden % heads:
            raise UserMistake(f"a width of {hidden} is no multiple of {heads} heads")
        super().__init__(replicas, features, outputs, hidden=hidden)
        self.built.append((hidden, heads))


@pytest.mark.parametrize("layers", [Int(1, 3), Choice(1, 2, 3)])
def test_a_list_of_widths_beside_a_number_of_layers_is_refused(layers):
    sweep = spiral_sweep(**model(hidden=[32, 64], layers=layers), sampler=Random())
    with pytest.raises(UserMistake, match=r"got \[32, 64\] and layers=3; the trial has .*model\.layers=3"):
        validate_trials(sweep, sweep.data.training())


def test_the_largest_of_a_number_may_need_the_largest_of_another(monkeypatch):
    monkeypatch.setattr(WithHeads, "built", [])
    sweep = spiral_sweep(model=Space(WithHeads, hidden=Int(4, 64), heads=Int(1, 8)), sampler=Random())
    validate_trials(sweep, sweep.data.training())
    assert set(WithHeads.built) == {(4, 1), (64, 1), (64, 8)}
    wrong = spiral_sweep(model=Space(WithHeads, hidden=Int(4, 60), heads=Int(1, 8)), sampler=Random())
    with pytest.raises(UserMistake, match=r"^a width of 4 is no multiple of 8 heads"):
        validate_trials(wrong, wrong.data.training())


def test_a_large_network_is_not_built(monkeypatch):
    monkeypatch.setattr(WithHeads, "built", [])
    sweep = spiral_sweep(model=Space(WithHeads, hidden=Int(8, 100_000)), sampler=Random())
    validate_trials(sweep, sweep.data.training())
    assert set(WithHeads.built) == {(8, 1)}


def test_a_grid_is_checked_like_any_space():
    sweep = spiral_sweep(**model(dropout=Choice(0.1, 1.0)), optimizer=Space(SGD), **training(), sampler=Grid())
    with pytest.raises(UserMistake, match=r"1\.0"):
        validate_trials(sweep, sweep.data.training())
