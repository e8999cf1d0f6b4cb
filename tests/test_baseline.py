"""The baseline of a sweep: the score of a prediction that ignores the inputs."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
import pytest
from rich.console import Console
from sklearn.metrics import mean_absolute_error, r2_score

from models.mlp import MLP
from models.rnn_lm import RnnLM
from models.seq2seq import Seq2Seq
from searchlab import (
    F1,
    R2,
    AbsoluteError,
    Accuracy,
    Addition,
    Arrays,
    AveragePrecision,
    BalancedAccuracy,
    BitsPerCharacter,
    Blocked,
    ExactMatch,
    Float,
    KFold,
    LogLoss,
    MeanAbsoluteError,
    MeanSquaredError,
    Perplexity,
    RocAuc,
    RootMeanSquaredError,
    Space,
    StratifiedKFold,
    Text,
    Trainer,
)
from searchlab.cli.summary import print_result
from searchlab.optim import SGD
from searchlab.results.baseline import Baseline, measure_baseline
from tests.jobs import make_job, run
from tests.sweeps import spiral_sweep

rng = np.random.default_rng(3)
X = rng.standard_normal((60, 2)).astype(np.float32)


def baseline_of(tmp_path, **parts):
    return measure_baseline(make_job(spiral_sweep(**parts), "s", tmp_path / "s.journal", tmp_path / "c", trials=1))


def folds_of(scheme, data):
    split = scheme.split(data)
    for train, held_out in zip(split.train.index, split.held_out.index, strict=True):
        yield train[: split.min_train_rows], held_out


def test_of_classes_it_is_the_majority_class(tmp_path):
    labels = (rng.random(60) < 0.8).astype(int)
    data, scheme = Arrays(X, labels, test_size=0.2), KFold(4)
    table = data.training()
    expected = [
        np.mean(table.labels[held_out] == np.bincount(table.labels[train]).argmax())
        for train, held_out in folds_of(scheme, table)
    ]
    baseline = baseline_of(tmp_path, data=data, validation=scheme)
    assert baseline == Baseline("the majority class", pytest.approx(np.mean(expected)))


@pytest.mark.parametrize(
    ("metric", "name", "score"),
    [
        (F1(), "one class", 2 * 0.1 / 1.1),  # of yes for every row: precision 0.1, recall 1
        (F1(threshold=0.5), "the majority class", 0.0),
        (BalancedAccuracy(), "one class", 0.5),
        (RocAuc(), "class frequencies", 0.5),
        (AveragePrecision(), "class frequencies", 0.1),
        (LogLoss(), "class frequencies", -0.1 * np.log(0.1) - 0.9 * np.log(0.9)),
    ],
    ids=repr,
)
def test_of_a_rare_class_it_is_what_each_metric_makes_of_one_answer(tmp_path, metric, name, score):
    labels = np.arange(500) % 10 == 0
    data = Arrays(rng.standard_normal((500, 2)), labels.astype(int), test_size=0.2)
    model = Space(MLP, hidden=2)
    baseline = baseline_of(tmp_path, data=data, validation=StratifiedKFold(4), metric=metric, model=model)
    assert baseline == Baseline(name, pytest.approx(score, abs=2e-3))


@pytest.mark.parametrize(("metric", "name"), [(MeanAbsoluteError(), "the median"), (R2(), "the mean")])
def test_of_numbers_with_outliers_it_is_the_best_number(tmp_path, metric, name):
    targets = np.where(np.arange(60) % 6 == 0, 100.0, 1.0) + np.arange(60) * 0.01
    data, scheme = Arrays(X, targets, test_size=0.2), KFold(3)
    table = data.training()
    expected = []
    for train, held_out in folds_of(scheme, table):
        truth, known = table.y[held_out][:, 0], table.y[train][:, 0]
        constant = np.full(len(truth), np.median(known) if name == "the median" else known.mean())
        oracle = mean_absolute_error if name == "the median" else r2_score
        expected.append(oracle(truth, constant))
    model = Space(MLP, hidden=4, loss=AbsoluteError)
    baseline = baseline_of(tmp_path, data=data, validation=scheme, metric=metric, model=model)
    assert baseline == Baseline(name, pytest.approx(np.mean(expected), rel=1e-5))


def test_of_numbers_it_is_the_mean(tmp_path):
    targets = (X @ [2.0, -1.0] + 100.0).astype(np.float32)
    data, scheme = Arrays(X, targets, test_size=0.2), KFold(3)
    table = data.training()
    expected = [
        np.sqrt(np.mean((table.y[held_out] - table.y[train].mean()) ** 2))
        for train, held_out in folds_of(scheme, table)
    ]
    model = Space(MLP, hidden=4, loss=MeanSquaredError)
    baseline = baseline_of(tmp_path, data=data, validation=scheme, metric=RootMeanSquaredError(), model=model)
    assert baseline == Baseline("the mean", pytest.approx(np.mean(expected), rel=1e-5))


@pytest.mark.parametrize("metric", [Perplexity(), BitsPerCharacter()])
def test_of_text_it_is_the_frequency_of_each_word(tmp_path, metric):
    path = tmp_path / "text.txt"
    path.write_text("".join(rng.choice(list("aaaaabbc "), 4000)))
    data, scheme = Text(path, unit="char", window=10), Blocked(3)
    stream, values = data.training(), []
    for train, held_out in folds_of(scheme, stream):
        shares = np.bincount(stream.ids[train], minlength=len(stream.vocabulary)) + 1
        loss = -np.log(shares / shares.sum())[stream.ids[held_out]].mean()
        values.append(np.exp(loss) if metric == Perplexity() else loss / np.log(2))
    model = Space(RnnLM, hidden=4, embed=4)
    baseline = baseline_of(tmp_path, data=data, validation=scheme, metric=metric, model=model)
    assert baseline == Baseline("word frequencies", pytest.approx(np.mean(values), rel=2e-3))


def test_pairs_of_sequences_have_none(tmp_path):
    model = Space(Seq2Seq, hidden=4)
    assert baseline_of(tmp_path, data=Addition(rows=60), metric=ExactMatch(), model=model) is None


@dataclass(frozen=True)
class WeightNorm:
    """A metric of the weights, which a constant prediction lacks."""

    name: str = "weight norm"
    goal: str = "min"

    def measure(self, model, batches):
        return model.layers.layers[0].W.value.sum(axis=(1, 2))


def test_a_metric_of_something_else_has_none(tmp_path):
    assert baseline_of(tmp_path, metric=WeightNorm()) is None


def test_a_winner_that_is_no_better_is_pointed_out(home):
    labels = (rng.random(60) < 0.9).astype(int)  # of noise
    sweep = spiral_sweep(
        2,
        data=Arrays(X, labels, test_size=0.2),
        optimizer=Space(SGD, lr=Float(1e-9, 1e-8)),
        training=Space(Trainer, epochs=1, batch_size=20),
        model=Space(MLP, hidden=2),
        metric=Accuracy(),
    )
    result, console = run(sweep, engine="local", home=home), Console(file=io.StringIO(), width=120)
    assert not result.beats_baseline
    print_result(result, console)
    assert "by the majority class, and the winner is no better" in console.file.getvalue()
    assert "the winner is no better" in result.report.read_text()
    assert result.to_json()["best"]["beats_baseline"] is False
