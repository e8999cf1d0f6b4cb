"""A whole run in this process: search, winner, record, result."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import pytest
from mlflow import MlflowClient

import searchlab
from models.mlp import MLP
from searchlab import (
    Adam,
    Arrays,
    Choice,
    Csv,
    EarlyStopping,
    Float,
    Grid,
    Int,
    KFold,
    MeanSquaredError,
    Random,
    Relu,
    RootMeanSquaredError,
    Space,
    Spiral,
    StratifiedKFold,
    Tanh,
    Trainer,
    artifact,
)
from searchlab.errors import UserMistake, WorldFault
from searchlab.optim import SGD
from searchlab.runner.resume import resume
from tests.jobs import run
from tests.sweeps import TenRows, spiral_sweep


def quick(home, sweep=None, **options):
    """A run without a record."""
    return run(sweep or spiral_sweep(), **{"engine": "local", "home": home} | options)


def recorded(home, sweep=None, **options):
    """A run with its record in MLflow."""
    return quick(home, sweep, tracking="mlflow", **options)


def runs_of_trials(home, result):
    """The trials' runs of a sweep in MLflow."""
    client = MlflowClient(f"sqlite:///{home}/mlflow.db")
    experiment = client.get_experiment_by_name(result.sweep)
    runs = client.search_runs([experiment.experiment_id], max_results=1000)
    return [child for child in runs if child.info.run_id != result.run_id]


def test_a_sweep_whose_data_changed_is_not_resumed(home, tmp_path):
    path = tmp_path / "rows.csv"

    def write(shift):
        x = np.random.default_rng(0).standard_normal((60, 2)) + shift
        path.write_text("a,b,kind\n" + "\n".join(f"{a},{b},{'up' if b > shift else 'down'}" for a, b in x))

    write(0.0)
    sweep = spiral_sweep(2, data=Csv(str(path), target="kind"))
    quick(home, sweep)
    write(1.0)
    with pytest.raises(UserMistake, match="data of 'spiral' have changed"):
        resume("spiral", home=home, trials=3, sweep=sweep)
    write(0.0)
    assert len(resume("spiral", home=home, trials=3, sweep=sweep).trials) == 3


@pytest.mark.figures
def test_a_sweep_ends_with_its_trials_a_winner_and_a_record(home):
    result = recorded(home)
    assert [trial.state for trial in result.trials] == ["COMPLETE"] * 6
    assert result.best.value == max(trial.value for trial in result.trials)
    assert len(result.best.folds) == 2
    assert result.best.value == pytest.approx(np.mean(result.best.folds))
    runs = runs_of_trials(home, result)
    assert sorted(int(child.data.tags["searchlab.trial"]) for child in runs) == list(range(6))
    for child in runs:
        trial = result.trials[int(child.data.tags["searchlab.trial"])]
        assert child.data.metrics["best_accuracy"] == pytest.approx(trial.value)
        assert child.data.params["model.hidden"] == str(trial.parameters["model.hidden"])
    assert searchlab.open("spiral", home=home).to_json() == result.to_json()
    parent = MlflowClient(result.tracking_uri).get_run(result.run_id)
    assert parent.info.status == "FINISHED"
    assert parent.data.metrics["test_accuracy"] == pytest.approx(result.winner.test_score)
    assert len(parent.data.tags["searchlab.data_checksum"]) == 64
    drawn = {figure.stem for figure in result.figures}
    assert {"learning-curves", "fold-boxes", "optimization-history", "confusion-matrix", "decision-boundary"} <= drawn
    assert all(figure.stat().st_size > 5000 for figure in result.figures)
    assert {path.name for path in result.figures[0].parent.iterdir()} == {figure.name for figure in result.figures}


def test_a_result_draws_a_box_plot_by_a_parameter(home):
    result = quick(home)
    assert [text.get_text() for text in result.boxes("optimizer").axes[0].get_xticklabels()]
    assert result.boxes("lr")
    with pytest.raises(UserMistake, match=r"widht.*model\.hidden"):
        result.boxes("widht")


def test_custom_data_are_standardized_and_the_artifact_scales_its_inputs(home):
    """Features of very different scales: standardized by fold in the search, and by the artifact afterwards."""
    generator = np.random.default_rng(0)
    x = generator.standard_normal((200, 3)) * [1e-3, 1.0, 1e4] + [0.0, 50.0, -1e5]
    y = np.where((x[:, 0] > 0) ^ (x[:, 2] > -1e5), "odd", "even")
    sweep = spiral_sweep(4, 30, data=Arrays(x, y), validation=StratifiedKFold(2))
    result = quick(home, sweep)
    assert result.best.value > 0.75
    loaded = artifact.load(result.artifact)
    test = sweep.data.testing()
    predicted = [loaded.manifest["classes"][label] for label in loaded.predict(test.x).argmax(axis=1)]
    accuracy = np.mean([name == test.target_names[label] for name, label in zip(predicted, test.y, strict=True)])
    assert accuracy == pytest.approx(result.winner.artifact_score)
    assert accuracy > 0.75


def test_a_regression_is_searched(home):
    generator = np.random.default_rng(0)
    x = generator.standard_normal((150, 2))
    space = Space(MLP, hidden=Int(5, 20, step=5), loss=MeanSquaredError)
    data = Arrays(x, x @ [1.0, -2.0] + 3.0)
    result = quick(home, spiral_sweep(4, 20, data=data, metric=RootMeanSquaredError(), model=space))
    assert result.best.value == min(trial.value for trial in result.trials if trial.state == "COMPLETE")
    assert result.winner.artifact_score < 2.0, "predicting the mean has an error of 2.2"
    assert result.winner.predictions is None, "there are no classes to confuse"


def test_the_artifact_scores_on_the_test_rows_what_the_result_says(home):
    sweep = spiral_sweep(epochs=10)
    result = quick(home, sweep)
    test = sweep.data.testing()
    loaded = artifact.load(result.artifact)
    accuracy = (loaded.predict(test.x).argmax(axis=1) == test.y).mean()
    assert accuracy == pytest.approx(result.winner.artifact_score)
    manifest = loaded.manifest
    assert manifest["test"]["openings"] == 1
    assert manifest["cross_validation"]["mean"] == result.best.value
    assert manifest["epochs"] == result.best.epoch


@pytest.mark.slow
def test_the_same_seed_gives_the_same_sweep(home, tmp_path):
    first, second = quick(home), quick(home)
    assert (first.sweep, second.sweep) == ("spiral", "spiral-2")
    same = [(t.parameters, t.value, t.curve.scores) for t in first.trials]
    assert same == [(t.parameters, t.value, t.curve.scores) for t in second.trials]
    assert first.winner.test_score == second.winner.test_score
    other = quick(home, seed=1)
    assert same != [(t.parameters, t.value, t.curve.scores) for t in other.trials]


def test_a_trial_that_diverges_fails_and_the_sweep_continues(home):
    sweep = spiral_sweep(optimizer=Choice(Space(SGD, lr=1.0), Space(SGD_TOO_FAST, lr=1e6)), trials=8)
    result = quick(home, sweep, fuse=1)
    failed = [trial for trial in result.trials if trial.parameters["optimizer"] == "SGD_TOO_FAST"]
    assert failed
    assert all(trial.state == "FAIL" and "diverged" in trial.reason for trial in failed)
    assert result.count("COMPLETE") + result.count("FAIL") == 8


class SGD_TOO_FAST(SGD):
    """A choice of its own name, so that a sweep can choose between a good rate and a bad one."""


@pytest.mark.slow
def test_a_sweep_in_which_all_trials_fail_has_no_winner(home):
    result = recorded(home, spiral_sweep(optimizer=Space(SGD, lr=Float(1e6, 1e7))))
    assert (result.winner, result.best, result.artifact, result.state) == (None, None, None, "FAILED")
    assert result.to_json()["best"] is None
    assert result.count("FAIL") == 6
    assert MlflowClient(result.tracking_uri).get_run(result.run_id).info.status == "FAILED"


@pytest.mark.slow
def test_a_finished_sweep_is_extended_and_nothing_is_run_twice(home):
    sweep = spiral_sweep()
    first = recorded(home, sweep)
    longer = resume("spiral", home=home, sweep=sweep, trials=9)
    assert len(longer.trials) == 9
    assert [t.curve.times for t in longer.trials[:6]] == [t.curve.times for t in first.trials], "not trained again"
    assert longer.run_id == first.run_id
    assert MlflowClient(longer.tracking_uri).get_run(longer.run_id).data.tags["searchlab.trials"] == "9"
    assert len(runs_of_trials(home, longer)) == 9
    with pytest.raises(UserMistake, match="not reduced to 4"):
        resume("spiral", home=home, sweep=sweep, trials=4)


@pytest.mark.slow
def test_an_interrupted_sweep_is_resumed(home, monkeypatch):
    from searchlab.engine import worker

    sweep, train = spiral_sweep(), worker.Worker.train
    trained = []

    def until_the_second(self, group):
        if trained:
            raise WorldFault("the disk is full")
        trained.append(group)
        train(self, group)

    monkeypatch.setattr(worker.Worker, "train", until_the_second)
    with pytest.raises(WorldFault, match="disk is full"):
        recorded(home, sweep, fuse=2)
    monkeypatch.setattr(worker.Worker, "train", train)
    result = resume("spiral", home=home, sweep=sweep)
    assert [trial.state for trial in result.trials] == ["COMPLETE"] * 6
    assert len(runs_of_trials(home, result)) == 6


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"device": "cuda"}, "cannot be used here"),
        ({"values": {"model.hiden": 3}}, "hiden"),
        ({"values": {"modell.hidden": 3}}, "not part of a sweep"),
    ],
)
def test_a_usage_error_is_raised_before_anything_is_written(tmp_path, options, word, monkeypatch):
    monkeypatch.setattr("searchlab.runner.run.unavailable_reason", lambda d: "no such device" if d == "cuda" else None)
    with pytest.raises(UserMistake, match=word):
        quick(tmp_path / "home", **options)
    assert not list(tmp_path.glob("home/sweeps/*"))


def test_more_folds_than_rows_are_refused(tmp_path):
    with pytest.raises(UserMistake, match=r"at least 20 .*10"):
        quick(tmp_path / "home", spiral_sweep(data=TenRows(), validation=KFold(20)))
    assert not (tmp_path / "home").exists()


def test_a_name_used_with_another_space_is_refused_and_nothing_is_lost(home):
    first = quick(home)
    result = (home / "sweeps" / "spiral" / "result.json").read_bytes()
    journal = (home / "sweeps" / "spiral" / "study.journal").read_bytes()
    with pytest.raises(UserMistake, match="already used with another space"):
        quick(home, spiral_sweep(epochs=4))
    with pytest.raises(UserMistake, match="is taken"):
        quick(home, name="spiral")
    with pytest.raises(UserMistake, match="another space"):
        resume("spiral", home=home, sweep=spiral_sweep(epochs=4))
    assert (home / "sweeps" / "spiral" / "study.journal").read_bytes() == journal
    assert (home / "sweeps" / "spiral" / "result.json").read_bytes() == result
    assert json.loads(result)["best"]["trial"] == first.best.number


def test_a_missing_sweep_is_reported_with_those_that_exist(home):
    quick(home, trials=1)
    with pytest.raises(UserMistake, match=r"no sweep called 'other'.*there are: spiral"):
        resume("other", home=home)


@pytest.mark.slow
def test_a_tuple_fixed_by_path_is_the_same_when_resumed(home):
    """As JSON it is a list."""
    quick(home, values={"model.hidden": (6, 4)}, trials=1)
    result = resume("spiral", home=home, sweep=spiral_sweep(), trials=2)
    assert [trial.state for trial in result.trials] == ["COMPLETE"] * 2


def test_the_condition_of_an_argument_is_shared_by_a_group(home):
    """The width is searched under one dropout rate only: a group with both rates would have trials of two widths."""
    model = Space(MLP, dropout=Choice(0.0, 0.5), hidden=Choice(5, 7).when(dropout=0.5))
    result = quick(home, spiral_sweep(model=model, trials=8, sampler=Random()), fuse=4)
    assert [trial.reason for trial in result.trials] == [None] * 8


class Object:
    """Callable as a class is, but without a name of its own."""

    def __call__(self, replicas):
        return Tanh(replicas)


@pytest.mark.parametrize(
    "activation",
    [
        lambda replicas: Tanh(replicas),
        Choice(Relu, partial(lambda replicas, n: Tanh(replicas), n=3)),
        type("Local", (Tanh,), {"__qualname__": "f.<locals>.Local"}),
        Object(),
    ],
)
def test_a_part_without_an_import_path_is_refused_before_the_search(tmp_path, activation):
    with pytest.raises(UserMistake, match="import path"):
        quick(tmp_path / "home", spiral_sweep(model=Space(MLP, activation=activation)))
    assert not (tmp_path / "home").exists()


def test_values_fix_arguments_by_path(home):
    result = quick(home, values={"model.hidden": 5, "optimizer.SGD.lr": 1.0, "data.points": 20}, trials=4)
    assert all("model.hidden" not in trial.parameters for trial in result.trials)
    assert json.loads((result.artifact / "manifest.json").read_text())["model"]["arguments"]["hidden"] == 5


def test_a_grid_is_tried_completely_and_each_combination_once(home):
    sweep = grid_sweep()
    result = quick(home, sweep)
    assert [trial.parameters for trial in result.trials] == list(sweep.grid_points().points)
    assert len(result.trials) == 2 * (3 + 1)
    with pytest.raises(UserMistake, match=r"8 combinations.*9"):
        resume("spiral", home=home, sweep=sweep, trials=9)


def grid_sweep(**changes):
    parts = {
        "model": Space(MLP, hidden=Choice(5, 9)),
        "optimizer": Choice(Space(SGD, lr=Float(0.5, 1.5, step=0.5)), Space(Adam)),
        "sampler": Grid(),
        "trials": None,
        "training": Space(Trainer, batch_size=10, epochs=2),
    }
    return spiral_sweep(**parts | changes)


@pytest.mark.slow
@pytest.mark.parametrize("changed", [{"sampler": Random(), "trials": 8}, {"early_stopping": EarlyStopping()}])
def test_a_sweep_searched_in_another_way_is_another_sweep(home, changed):
    quick(home, grid_sweep(), trials=2)
    with pytest.raises(UserMistake, match="another space"):
        resume("spiral", home=home, sweep=grid_sweep(**changed))
    assert len(resume("spiral", home=home, sweep=grid_sweep()).trials) == 2


@pytest.mark.slow
def test_the_first_combinations_and_then_the_rest(home):
    sweep = grid_sweep()
    first = quick(home, sweep, trials=3)
    whole = resume("spiral", home=home, sweep=sweep, trials=8)
    assert [trial.parameters for trial in first.trials] == list(sweep.grid_points().points[:3])
    assert [trial.parameters for trial in whole.trials] == list(sweep.grid_points().points)


def test_a_sweep_runs_from_python(home):
    result = spiral_sweep(trials=2).run(engine="local", home=home, tracking=None)
    assert len(result.trials) == 2
    assert result.best.value is not None


def test_without_tracking_no_record_is_written(tmp_path):
    result = quick(tmp_path, trials=2)
    assert (result.run_id, result.tracking_uri) == (None, None)
    assert not list(tmp_path.glob("mlflow*"))
    assert len(resume("spiral", home=tmp_path, trials=3, sweep=spiral_sweep()).trials) == 3
    assert not list(tmp_path.glob("mlflow*")), "resume keeps none either"


def test_a_stored_result_is_opened(home):
    result = quick(home, trials=3)
    again = searchlab.open("spiral", home=home)
    assert again.to_json() == result.to_json()
    assert [trial.to_json() for trial in again.trials] == [trial.to_json() for trial in result.trials]
    assert (again.winner.test_scores, again.artifact) == (result.winner.test_scores, result.artifact)
    (home / "sweeps" / "spiral" / "result.json").unlink()
    part = searchlab.open("spiral", home=home)
    assert (part.state, part.winner, len(part.trials)) == ("INTERRUPTED", None, 3)
    with pytest.raises(UserMistake, match="spiral"):
        searchlab.open("other", home=home)


def test_training_rows_are_read_once(tmp_path):
    """A local run reads the training rows once in its process, and builds the winner's trainer once."""
    data = CountingSpiral(points=30)
    quick(tmp_path, spiral_sweep(data=data, constraint=lambda candidate: candidate.weight_count - 10_000))
    assert data.reads == ["training", "testing"]


@dataclass(frozen=True)
class CountingSpiral(Spiral):
    """Counts how often its rows are read."""

    reads: list = field(default_factory=list, compare=False)

    def training(self):
        self.reads.append("training")
        return super().training()

    def testing(self):
        self.reads.append("testing")
        return super().testing()
