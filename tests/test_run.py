"""Whole runs in this process: the search, the winner, the record in MLflow, and the result."""

from __future__ import annotations

import errno
import io
import json
import pickle
import re
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from mlflow import MlflowClient
from rich.console import Console

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
    Plateau,
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
from searchlab.cli import searchlab as searchlab_command
from searchlab.cli.summary import print_result
from searchlab.engine import worker
from searchlab.errors import SearchFailed, UserMistake, WorldFault
from searchlab.optim import SGD
from searchlab.reporting.formats import factors_text
from searchlab.runner.resume import resume
from searchlab.runner.run_figures import RunFigures
from searchlab.runs.events import Message
from tests.jobs import run
from tests.sweeps import TenRows, spiral_sweep


def run_local(home, sweep=None, **options):
    """Run a sweep with the local engine, without a record in MLflow."""
    return run(sweep or spiral_sweep(), **{"engine": "local", "home": home} | options)


def run_recorded(home, sweep=None, **options):
    """Run a sweep with the local engine and a record in MLflow."""
    return run_local(home, sweep, tracking="mlflow", **options)


def trial_runs(home, result):
    """Return the runs of a sweep's trials in MLflow."""
    client = MlflowClient(f"sqlite:///{home}/mlflow.db")
    experiment = client.get_experiment_by_name(result.sweep)
    runs = client.search_runs([experiment.experiment_id], max_results=1000)
    return [run for run in runs if run.info.run_id != result.run_id]


def test_a_sweep_whose_data_changed_cannot_be_resumed(home, tmp_path):
    path = tmp_path / "rows.csv"

    def write_rows(shift):
        x = np.random.default_rng(0).standard_normal((60, 2)) + shift
        path.write_text("a,b,kind\n" + "\n".join(f"{a},{b},{'up' if b > shift else 'down'}" for a, b in x))

    write_rows(0.0)
    sweep = spiral_sweep(2, data=Csv(str(path), target="kind"))
    run_local(home, sweep)
    write_rows(1.0)
    with pytest.raises(UserMistake, match="data of 'spiral' have changed"):
        resume("spiral", home=home, trials=3, sweep=sweep)
    write_rows(0.0)
    assert len(resume("spiral", home=home, trials=3, sweep=sweep).trials) == 3


@pytest.mark.figures
def test_a_run_returns_trials_and_a_winner_and_records_them(home):
    result = run_recorded(home)
    assert [trial.state for trial in result.trials] == ["COMPLETE"] * 6
    assert result.best.value == max(trial.value for trial in result.trials)
    assert len(result.best.folds) == 2
    assert result.best.value == pytest.approx(np.mean(result.best.folds))
    data_by_trial = {int(run.data.tags["searchlab.trial"]): run.data for run in trial_runs(home, result)}
    assert sorted(data_by_trial) == list(range(6))
    for trial in result.trials:
        data = data_by_trial[trial.number]
        assert data.metrics["best_accuracy"] == pytest.approx(trial.value)
        assert data.params["model.hidden"] == str(trial.parameters["model.hidden"])
    assert searchlab.open("spiral", home=home).to_json() == result.to_json()
    parent = MlflowClient(result.tracking_uri).get_run(result.run_id)
    assert parent.info.status == "FINISHED"
    assert parent.data.metrics["test_accuracy"] == pytest.approx(result.winner.test_score)
    assert len(parent.data.tags["searchlab.data_checksum"]) == 64
    names = {figure.stem for figure in result.figures}
    assert {"learning-curves", "fold-boxes", "optimization-history", "confusion-matrix", "decision-boundary"} <= names
    assert all(figure.stat().st_size > 5000 for figure in result.figures)
    assert {path.name for path in result.figures[0].parent.iterdir()} == {figure.name for figure in result.figures}


def test_a_result_draws_a_box_plot_by_a_parameter(home):
    result = run_local(home)
    assert [text.get_text() for text in result.boxes("optimizer").axes[0].get_xticklabels()]
    assert result.boxes("lr")
    with pytest.raises(UserMistake, match=r"widht.*model\.hidden"):
        result.boxes("widht")
    figures = [result.importance_figure(), result.scatter_figure(), result.parallel_figure(), result.ranking_figure()]
    assert all(figure.axes for figure in [*figures, result.heat_map_figure()])


def test_features_are_standardized_in_the_search_and_by_the_artifact(home):
    """The features have very different scales."""
    generator = np.random.default_rng(0)
    x = generator.standard_normal((200, 3)) * [1e-3, 1.0, 1e4] + [0.0, 50.0, -1e5]
    y = np.where((x[:, 0] > 0) ^ (x[:, 2] > -1e5), "odd", "even")
    sweep = spiral_sweep(4, 30, data=Arrays(x, y), validation=StratifiedKFold(2))
    result = run_local(home, sweep)
    assert result.best.value > 0.75
    loaded = artifact.load(result.artifact)
    test = sweep.data.testing()
    predicted = [loaded.manifest["classes"][label] for label in loaded.predict(test.x).argmax(axis=1)]
    accuracy = np.mean([name == test.target_names[label] for name, label in zip(predicted, test.y, strict=True)])
    assert accuracy == pytest.approx(result.winner.artifact_score)
    assert accuracy > 0.75


@pytest.mark.figures
def test_a_regression_can_be_searched(home):
    generator = np.random.default_rng(0)
    x = generator.standard_normal((150, 2))
    space = Space(MLP, hidden=Int(5, 20, step=5), loss=MeanSquaredError)
    data = Arrays(x, x @ [1.0, -2.0] + 3.0)
    result = run_local(home, spiral_sweep(4, 20, data=data, metric=RootMeanSquaredError(), model=space))
    assert result.best.value == min(trial.value for trial in result.trials if trial.state == "COMPLETE")
    assert result.winner.artifact_score < 2.0, "predicting the mean has an error of 2.2"
    assert result.winner.predictions.predicted.shape == result.winner.predictions.targets.shape
    errors = result.winner.predictions.predicted - result.winner.predictions.targets
    assert np.sqrt(np.mean(errors**2)) == pytest.approx(result.winner.artifact_score, rel=1e-4)
    names = {figure.stem for figure in result.figures}
    assert "predicted-numbers" in names
    assert "confusion-matrix" not in names


def test_the_artifact_has_the_test_score_of_the_result(home):
    sweep = spiral_sweep(epochs=10)
    result = run_local(home, sweep)
    test = sweep.data.testing()
    loaded = artifact.load(result.artifact)
    accuracy = (loaded.predict(test.x).argmax(axis=1) == test.y).mean()
    assert accuracy == pytest.approx(result.winner.artifact_score)
    manifest = loaded.manifest
    assert manifest["test"]["look"] == 1
    assert manifest["cross_validation"]["mean"] == result.best.value
    assert manifest["epochs"] == result.best.epoch


class WrongInThirdStep(Relu):
    """An activation with a mistake that its first steps do not meet."""

    steps = 0

    def forward(self, x, *, train):
        self.steps += 1
        if train and self.steps > 3:
            raise ValueError("shapes (3, 2) and (5,) do not match")
        return super().forward(x, train=train)


@pytest.mark.parametrize("engine", ["local", pytest.param("tune", marks=pytest.mark.slow)])
def test_an_error_in_the_users_own_layer_is_told_with_file_and_line(home, engine):
    training = Space(Trainer, batch_size=10, epochs=2)
    model = Space(MLP, activation=Choice(Relu, WrongInThirdStep))
    sweep = spiral_sweep(2, model=model, optimizer=Space(SGD), training=training, sampler=Grid())
    result = run_recorded(home, sweep, engine=engine)
    failed = next(trial for trial in result.trials if trial.state == "FAIL")
    line = WrongInThirdStep.forward.__code__.co_firstlineno + 3
    place = f"tests/test_run.py, line {line}, in forward"
    assert failed.reason.startswith("ValueError: shapes (3, 2) and (5,) do not match (")
    assert failed.reason.endswith(f"{place})")
    assert f'test_run.py", line {line}, in forward' in failed.traceback
    text = (home / "sweeps" / "spiral" / "tracebacks" / f"trial-{failed.number}.txt").read_text()
    assert text == failed.traceback
    assert f"Traceback of trial {failed.number}" in result.report.read_text()
    assert "raise ValueError(" in result.report.read_text()
    run_id = next(r.info.run_id for r in trial_runs(home, result) if r.data.tags["searchlab.state"] == "FAIL")
    logged = MlflowClient(f"sqlite:///{home}/mlflow.db").download_artifacts(run_id, "traceback.txt", str(home))
    assert Path(logged).read_text() == failed.traceback


class Recorded:
    """An event handler that keeps the texts of messages."""

    def __init__(self):
        self.texts = []

    def handle(self, event):
        if isinstance(event, Message):
            self.texts.append(event.text)

    def looks(self):
        """What it was told about the test rows."""
        return [text for text in self.texts if text.startswith("the test rows")]


def test_every_opening_of_the_test_rows_is_told(home):
    messages, sweep = Recorded(), spiral_sweep(trials=4)
    first = run_recorded(home, sweep, display=messages)
    assert first.winner.test_look == first.to_json()["best"]["test_look"] == 1
    looks = messages.looks()
    assert looks == [f"the test rows are opened for the first time, for trial {first.best.number}"]
    second = resume("spiral", home=home, sweep=sweep, trials=12, look_again=True, display=messages)
    assert second.best.number != first.best.number
    text = f"the test rows are opened for the second time, for trial {second.best.number}; the time before was for "
    assert messages.looks()[1:] == [f"{text}trial {first.best.number} of 'spiral'"]
    assert "'spiral' is extended from 4 to 12 trials" in messages.texts
    assert searchlab.open("spiral", home=home).winner.test_look == second.winner.test_look == 2
    tags = MlflowClient(f"sqlite:///{home}/mlflow.db").get_run(second.run_id).data.tags
    assert tags["searchlab.test_look"] == "2"
    assert "They were opened for the second time: each look after the first" in second.report.read_text()
    with Console(width=120, record=True, file=io.StringIO()) as console:
        print_result(second, console)
    assert "opened for the second time: each look" in " ".join(console.export_text().split())


@pytest.mark.figures
def test_figures_of_an_earlier_winner_of_another_kind_are_removed(home):
    first = run_local(home, spiral_sweep(trials=2))
    stale = first.figures[0].with_name("gradient-through-time.png")
    stale.write_bytes(first.figures[0].read_bytes())
    second = resume("spiral", home=home, sweep=spiral_sweep(trials=2), trials=4)
    assert not stale.exists()
    assert sorted(second.figures) == sorted(stale.parent.glob("*.png"))


def test_a_disk_that_fills_while_figures_are_drawn_is_one_sentence_and_resume_completes(home, monkeypatch):
    def fill(self, winner):
        raise OSError(errno.ENOSPC, "No space left on device")  # as Pillow raises it

    with monkeypatch.context() as patch:
        patch.setattr(RunFigures, "finish", fill)
        with pytest.raises(WorldFault, match=r"No space left on device.*searchlab resume"):
            run_local(home, spiral_sweep(trials=2))
    assert resume("spiral", home=home, sweep=spiral_sweep(trials=2)).winner


def files_of(home):
    """Return content and time of every file below a folder."""
    return {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in home.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    "given", [{"sweep": spiral_sweep(trials=3)}, {}, {"sweep": spiral_sweep(trials=3), "trials": 3}]
)
def test_a_finished_sweep_is_not_touched_by_resume(home, given):
    first = run_recorded(home, spiral_sweep(trials=3))
    before, messages = files_of(home), Recorded()
    again = resume("spiral", home=home, display=messages, **given)
    assert files_of(home) == before
    assert messages.texts == ["'spiral' is finished, and nothing of it is changed; --trials extends it"]
    assert again.to_json() == json.loads(json.dumps(first.to_json()))
    outcome = CliRunner().invoke(searchlab_command, ["resume", "spiral", "--home", str(home)], standalone_mode=False)
    assert (outcome.exception, outcome.return_value) == (None, 0), outcome.output
    assert files_of(home) == before


def test_a_record_is_made_anew_without_another_look_at_the_test_rows(home):
    sweep = spiral_sweep(trials=3)
    first = run_recorded(home, sweep)
    (home / "mlflow.db").unlink()
    again = resume("spiral", home=home, sweep=sweep)
    assert again.winner.test_look == 1
    assert (again.winner.test_scores, again.seconds) == (first.winner.test_scores, again.seconds)
    assert len(json.loads((home / "test_looks.json").read_text())["looks"]) == 1
    assert again.figures == tuple(sorted(first.figures))
    assert len(trial_runs(home, again)) == 3
    tags = MlflowClient(f"sqlite:///{home}/mlflow.db").get_run(again.run_id).data.tags
    assert tags["searchlab.winner"] == str(first.best.number)


def test_the_record_tells_the_learning_rates_that_the_refit_replays(home):
    schedule = partial(Plateau, factor=0.5, threshold=10.0)  # no epoch improves so much: the rate falls in each
    training = Space(Trainer, batch_size=10, epochs=3, schedule=schedule)
    sweep = spiral_sweep(trials=2, training=training, data=Spiral(points=20, noise=0.01))
    result = run_recorded(home, sweep)
    factors = [1.0, 1.0, 0.5][: result.best.epoch]
    assert result.winner.learning_rate_factors == factors
    assert artifact.load(result.artifact).manifest["learning_rate_factors"] == factors
    assert searchlab.open("spiral", home=home).winner.learning_rate_factors == factors
    tags = MlflowClient(f"sqlite:///{home}/mlflow.db").get_run(result.run_id).data.tags
    assert tags["searchlab.refit_learning_rate_factors"] == factors_text(factors)
    assert f"was multiplied by {factors_text(factors)}" in result.report.read_text()


@pytest.mark.slow
def test_the_same_seed_gives_the_same_trials_and_winner(home):
    first, second = run_local(home), run_local(home, look_again=True)
    assert (first.sweep, second.sweep) == ("spiral", "spiral-2")
    assert facts(first.trials) == facts(second.trials)
    assert first.winner.test_score == second.winner.test_score
    assert facts(first.trials) != facts(run_local(home, seed=1).trials)


def facts(trials):
    return [(trial.parameters, trial.value, trial.curve.scores) for trial in trials]


def test_a_trial_that_diverges_fails_and_the_sweep_continues(home):
    sweep = spiral_sweep(optimizer=Choice(Space(SGD, lr=1.0), Space(DivergingSGD, lr=1e6)), trials=8)
    result = run_local(home, sweep, fuse=1)
    failed = [trial for trial in result.trials if trial.parameters["optimizer"] == "DivergingSGD"]
    assert failed
    assert all(trial.state == "FAIL" and "diverged" in trial.reason for trial in failed)
    assert result.count("COMPLETE") + result.count("FAIL") == 8


class DivergingSGD(SGD):
    """SGD under another name, so that a sweep can choose between a good learning rate and a bad one."""


@pytest.mark.slow
def test_a_sweep_in_which_all_trials_fail_has_no_winner(home):
    result = run_recorded(home, spiral_sweep(optimizer=Space(SGD, lr=Float(1e6, 1e7))))
    assert (result.winner, result.best, result.artifact, result.state) == (None, None, None, "FAILED")
    assert result.to_json()["best"] is None
    assert result.count("FAIL") == 6
    assert MlflowClient(result.tracking_uri).get_run(result.run_id).info.status == "FAILED"


def test_python_is_told_why_nothing_could_be_trained(home):
    training = Space(Trainer, batch_size=10, epochs=2)
    model = Space(MLP, hidden=Int(5, 20), activation=WrongInThirdStep)
    sweep = spiral_sweep(3, model=model, optimizer=Space(SGD), training=training)
    with pytest.raises(SearchFailed, match=r"of 3 trials, 3 failed") as failure:
        sweep.run(engine="local", home=home, tracking=None)
    message = str(failure.value)
    assert "failed: ValueError: shapes (3, 2) and (5,) do not match" in message
    assert "(3 trials, first 0)" in message
    assert "raise ValueError(" in message, "the traceback holds the line"
    assert f"searchlab.open('spiral', home={str(home)!r})" in message
    opened = searchlab.open("spiral", home=home)
    assert opened.to_json() == failure.value.result.to_json()
    assert (opened.state, opened.report.exists()) == ("FAILED", True)
    with pytest.raises(SearchFailed):
        searchlab.resume("spiral", home=home, sweep=sweep)


def test_a_search_failure_survives_pickling():
    failure = pickle.loads(pickle.dumps(SearchFailed("no trial", None)))  # noqa: S301, written here
    assert (str(failure), failure.result) == ("no trial", None)


def test_a_result_is_extended_by_a_number_of_trials(home):
    first = spiral_sweep(trials=4).run(engine="local", home=home, tracking=None)
    assert len(first.resume(trials=+2).trials) == 6
    assert len(first.resume(trials="+1").trials) == 7, "it is added to what the sweep has now"
    assert len(searchlab.resume("spiral", home=home, sweep=spiral_sweep(), trials="+2").trials) == 9
    assert len(searchlab.resume("spiral", home=home, sweep=spiral_sweep(), trials=10).trials) == 10
    same = searchlab.open("spiral", home=home).resume()
    assert [trial.to_json() for trial in same.trials[:4]] == [trial.to_json() for trial in first.trials]


@pytest.mark.parametrize("trials", [0, -3, 2.5, True, "20", "+0", "+x"])
def test_a_wrong_number_of_trials_to_add_is_refused(home, trials):
    result = spiral_sweep(trials=2).run(engine="local", home=home, tracking=None)
    before = files_of(home)
    with pytest.raises(UserMistake, match=re.escape(repr(trials))):
        result.resume(trials=trials)
    assert files_of(home) == before


def test_an_extension_is_told(home):
    sweep, messages = spiral_sweep(trials=2), Recorded()
    run_local(home, sweep)
    resume("spiral", home=home, sweep=sweep, trials="+2", display=messages)
    assert messages.texts[0] == "'spiral' is extended from 2 to 4 trials"


def test_a_result_without_a_home_cannot_be_resumed(home):
    result = run_local(home, trials=2)
    with pytest.raises(UserMistake, match="home"):
        replace(result, home=None).resume(trials=+1)


@pytest.mark.parametrize("content", [None, b""], ids=["gone", "empty"])
def test_a_sweep_with_a_result_and_no_study_is_not_begun_anew(home, content):
    """New trials under its id would contradict its result and its record."""
    run_local(home, spiral_sweep(trials=2, epochs=1))
    folder = home / "sweeps" / "spiral"
    study, result = folder / "study.journal", (folder / "result.json").read_bytes()
    study.unlink()
    if content is not None:
        study.write_bytes(content)
    with pytest.raises(WorldFault, match=r"'spiral' has a result, and its study in .* is gone or empty"):
        resume("spiral", home=home, sweep=spiral_sweep(trials=2, epochs=1))
    assert (folder / "result.json").read_bytes() == result
    assert study.exists() == (content is not None)


def test_a_study_that_cannot_be_read_here_is_left_to_the_search(home, monkeypatch):
    """A database may be away for a moment, or be reached by the cluster alone."""

    def unreachable(*_, **__):
        raise WorldFault("the database does not answer")

    run_local(home, spiral_sweep(trials=2, epochs=1))
    monkeypatch.setattr("searchlab.runner.resume.open_study", unreachable)
    result = resume("spiral", home=home, trials=3, sweep=spiral_sweep(trials=2, epochs=1))
    assert len(result.trials) == 3


@pytest.mark.slow
def test_a_finished_sweep_is_extended_without_repeating_a_trial(home):
    sweep = spiral_sweep()
    first = run_recorded(home, sweep)
    extended = resume("spiral", home=home, sweep=sweep, trials=9)
    assert len(extended.trials) == 9
    times = [trial.curve.times for trial in first.trials]
    assert [trial.curve.times for trial in extended.trials[:6]] == times, "trials must not be trained again"
    assert extended.run_id == first.run_id
    assert MlflowClient(extended.tracking_uri).get_run(extended.run_id).data.tags["searchlab.trials"] == "9"
    assert len(trial_runs(home, extended)) == 9
    with pytest.raises(UserMistake, match="not reduced to 4"):
        resume("spiral", home=home, sweep=sweep, trials=4)


@pytest.mark.slow
def test_an_interrupted_sweep_is_resumed(home, monkeypatch):
    sweep, train = spiral_sweep(), worker.Worker.train
    trained = []

    def train_only_one(self, group):
        if trained:
            raise WorldFault("the disk is full")
        trained.append(group)
        train(self, group)

    monkeypatch.setattr(worker.Worker, "train", train_only_one)
    with pytest.raises(WorldFault, match="disk is full"):
        run_recorded(home, sweep, fuse=2)
    monkeypatch.setattr(worker.Worker, "train", train)
    result = resume("spiral", home=home, sweep=sweep)
    assert [trial.state for trial in result.trials] == ["COMPLETE"] * 6
    assert len(trial_runs(home, result)) == 6


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"device": "cuda"}, "cannot be used here"),
        ({"values": {"model.hiden": 3}}, "hiden"),
        ({"values": {"modell.hidden": 3}}, "not part of a sweep"),
    ],
)
def test_an_invalid_option_is_rejected_before_anything_is_written(tmp_path, options, word, monkeypatch):
    monkeypatch.setattr(
        "searchlab.runner.run.unavailable_reason", lambda device: "no GPU" if device == "cuda" else None
    )
    with pytest.raises(UserMistake, match=word):
        run_local(tmp_path / "home", **options)
    assert not list(tmp_path.glob("home/sweeps/*"))


def test_more_folds_than_rows_are_rejected(tmp_path):
    with pytest.raises(UserMistake, match=r"at least 20 .*10"):
        run_local(tmp_path / "home", spiral_sweep(data=TenRows(), validation=KFold(20)))
    assert not (tmp_path / "home").exists()


def test_an_edited_sweep_takes_the_next_free_name_and_nothing_is_changed(home):
    first = run_local(home)
    result = (home / "sweeps" / "spiral" / "result.json").read_bytes()
    journal = (home / "sweeps" / "spiral" / "study.journal").read_bytes()
    assert run_local(home, spiral_sweep(epochs=4)).sweep == "spiral-2"
    with pytest.raises(UserMistake, match="is taken"):
        run_local(home, name="spiral")
    with pytest.raises(UserMistake, match="another space"):
        resume("spiral", home=home, sweep=spiral_sweep(epochs=4))
    assert (home / "sweeps" / "spiral" / "study.journal").read_bytes() == journal
    assert (home / "sweeps" / "spiral" / "result.json").read_bytes() == result
    assert json.loads(result)["best"]["trial"] == first.best.number


def test_a_missing_sweep_is_reported_with_the_sweeps_that_exist(home):
    run_local(home, trials=1)
    with pytest.raises(UserMistake, match=r"no sweep called 'other'.*there are: spiral"):
        resume("other", home=home)


@pytest.mark.slow
def test_a_tuple_fixed_by_path_is_unchanged_when_the_sweep_is_resumed(home):
    """The manifest stores it as a list, because JSON has no tuples."""
    run_local(home, values={"model.hidden": (6, 4)}, trials=1)
    result = resume("spiral", home=home, sweep=spiral_sweep(), trials=2)
    assert [trial.state for trial in result.trials] == ["COMPLETE"] * 2


def test_trials_of_a_group_agree_on_the_condition_of_a_structural_argument(home):
    """`hidden` is searched with one dropout rate only: with both rates, a group would have two hidden sizes."""
    model = Space(MLP, dropout=Choice(0.0, 0.5), hidden=Choice(5, 7).when(dropout=0.5))
    result = run_local(home, spiral_sweep(model=model, trials=8, sampler=Random()), fuse=4)
    assert [trial.reason for trial in result.trials] == [None] * 8


class CallableObject:
    """An object that is callable like a class, but has no import path."""

    def __call__(self, replicas):
        return Tanh(replicas)


@pytest.mark.parametrize(
    "activation",
    [
        lambda replicas: Tanh(replicas),
        Choice(Relu, partial(lambda replicas, n: Tanh(replicas), n=3)),
        type("Local", (Tanh,), {"__qualname__": "f.<locals>.Local"}),
        CallableObject(),
    ],
)
def test_a_class_without_an_import_path_is_rejected_before_the_search(tmp_path, activation):
    with pytest.raises(UserMistake, match="import path"):
        run_local(tmp_path / "home", spiral_sweep(model=Space(MLP, activation=activation)))
    assert not (tmp_path / "home").exists()


def test_values_fix_arguments_by_path(home):
    result = run_local(home, values={"model.hidden": 5, "optimizer.SGD.lr": 1.0, "data.points": 20}, trials=4)
    assert all("model.hidden" not in trial.parameters for trial in result.trials)
    assert json.loads((result.artifact / "manifest.json").read_text())["model"]["arguments"]["hidden"] == 5


def test_every_combination_of_a_grid_is_tried_once(home):
    sweep = grid_sweep()
    result = run_local(home, sweep)
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
def test_a_sweep_with_another_sampler_or_early_stopping_cannot_be_resumed(home, changed):
    run_local(home, grid_sweep(), trials=2)
    with pytest.raises(UserMistake, match="another space"):
        resume("spiral", home=home, sweep=grid_sweep(**changed))
    assert len(resume("spiral", home=home, sweep=grid_sweep()).trials) == 2


@pytest.mark.slow
def test_a_partly_searched_grid_can_be_completed(home):
    sweep = grid_sweep()
    first = run_local(home, sweep, trials=3)
    complete = resume("spiral", home=home, sweep=sweep, trials=8)
    assert [trial.parameters for trial in first.trials] == list(sweep.grid_points().points[:3])
    assert [trial.parameters for trial in complete.trials] == list(sweep.grid_points().points)


def test_sweep_run_returns_the_result(home):
    result = spiral_sweep(trials=2).run(engine="local", home=home, tracking=None)
    assert len(result.trials) == 2
    assert result.best.value is not None


def test_without_tracking_no_record_is_written(tmp_path):
    result = run_local(tmp_path, trials=2)
    assert (result.run_id, result.tracking_uri) == (None, None)
    assert not list(tmp_path.glob("mlflow*"))
    assert len(resume("spiral", home=tmp_path, trials=3, sweep=spiral_sweep()).trials) == 3
    assert not list(tmp_path.glob("mlflow*")), "resume records nothing either"


def test_open_returns_a_stored_result(home):
    result = run_local(home, trials=3)
    opened = searchlab.open("spiral", home=home)
    assert opened.to_json() == result.to_json()
    assert [trial.to_json() for trial in opened.trials] == [trial.to_json() for trial in result.trials]
    assert (opened.winner.test_scores, opened.artifact) == (result.winner.test_scores, result.artifact)
    (home / "sweeps" / "spiral" / "result.json").unlink()
    interrupted = searchlab.open("spiral", home=home)
    assert (interrupted.state, interrupted.winner, len(interrupted.trials)) == ("INTERRUPTED", None, 3)
    with pytest.raises(UserMistake, match="spiral"):
        searchlab.open("other", home=home)


def test_training_rows_are_read_once(tmp_path):
    """A local run reads the training rows once, and the test rows once."""
    data = CountingSpiral(points=30)
    run_local(tmp_path, spiral_sweep(data=data, constraint=lambda candidate: candidate.weight_count - 10_000))
    assert data.reads == ["training", "testing"]


@dataclass(frozen=True)
class CountingSpiral(Spiral):
    """Spiral data that count how often their rows are read."""

    reads: list = field(default_factory=list, compare=False)

    def training(self):
        self.reads.append("training")
        return super().training()

    def testing(self):
        self.reads.append("testing")
        return super().testing()
