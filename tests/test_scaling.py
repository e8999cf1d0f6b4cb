"""Numbers in units of their own: large, far from zero, or rarely other than zero."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from models.mlp import MLP
from searchlab import (
    SGD,
    Accuracy,
    Adam,
    Arrays,
    Csv,
    Float,
    KFold,
    MeanSquaredError,
    Npz,
    RootMeanSquaredError,
    SigmoidCrossEntropy,
    Space,
    Sweep,
    Trainer,
    UserMistake,
)
from searchlab import artifact as artifacts
from searchlab.data import Scaling
from searchlab.data.scaling import mean_and_scale
from searchlab.replicas import Replicas
from tests.jobs import run

ROWS = 600


linear = partial(MLP, layers=0, loss=MeanSquaredError)


def inputs(columns=3):
    return np.random.default_rng(0).normal(size=(ROWS, columns))


def targets(center, spread, noise):
    """Return numbers that the first column of the inputs explains, up to noise of this standard deviation."""
    return center + spread * inputs()[:, 0] + noise * np.random.default_rng(1).normal(size=ROWS)


def train(data, metric, epochs=15, *, model=linear, **options):
    rows = data.training()
    split = KFold(3).split(rows)
    options = {"optimizer": partial(SGD, lr=0.05), **options}
    trainer = Trainer(Replicas(range(3)), rows, split, metric, model, **options)
    return [trainer.advance() for _ in range(epochs)]


@pytest.mark.parametrize(("center", "spread", "noise"), [(250_000.0, 60_000.0, 5_000.0), (10_000.0, 1.0, 0.05)])
def test_targets_in_any_unit_are_learned_and_scored_in_that_unit(center, spread, noise):
    reports = train(Arrays(inputs(), targets(center, spread, noise)), RootMeanSquaredError())
    assert reports[-1].failures == (None,) * 3
    assert reports[-1].score == pytest.approx(np.full(3, noise), rel=0.15)
    assert (reports[-1].loss < 0.05).all(), "the loss is of standardized targets"


@pytest.mark.slow
@pytest.mark.parametrize(("center", "spread", "noise"), [(250_000.0, 60_000.0, 5_000.0), (10_000.0, 1.0, 0.05)])
def test_the_artifact_predicts_in_the_unit_of_the_targets(home, center, spread, noise):
    sweep = Sweep(
        name="prices",
        data=Arrays(inputs(), targets(center, spread, noise)),
        validation=KFold(3),
        metric=RootMeanSquaredError(),
        model=Space(MLP, layers=0, loss=MeanSquaredError),
        optimizer=Space(SGD, lr=Float(0.03, 0.1, log=True)),
        training=Space(Trainer, epochs=15),
        trials=2,
    )
    winner = run(sweep, engine="local", home=home).winner
    assert winner.test_score == pytest.approx(noise, rel=0.2)
    assert winner.artifact_score == pytest.approx(winner.test_score, rel=0.01)
    predicted = artifacts.load(winner.artifact).predict([[1.0, 0.0, 0.0]])
    assert predicted[0, 0] == pytest.approx(center + spread, abs=5 * noise)


def test_rare_large_targets_are_not_divergence():
    generator = np.random.default_rng(0)
    y = np.where(generator.uniform(size=ROWS) < 0.01, generator.gamma(2, 200, ROWS), 0.0)
    for standardize_targets in (None, False):
        data = Arrays(inputs(), y, standardize_targets=standardize_targets)
        model = partial(MLP, hidden=16, loss=MeanSquaredError)
        reports = train(data, RootMeanSquaredError(), 5, model=model, optimizer=partial(Adam, lr=1e-3))
        assert {report.failures for report in reports} == {(None,) * 3}


def since_1970():
    """Return times of which one threshold tells two classes apart, and the classes."""
    generator = np.random.default_rng(0)
    label = generator.integers(0, 2, ROWS)
    return 1.76e9 + np.where(label, 20.0, -20.0) + generator.normal(0, 4, ROWS), label


def as_arrays(seconds, label, folder):
    return Arrays(seconds[:, None], label)


def as_whole_numbers(seconds, label, folder):
    return Arrays(seconds.round().astype(np.int64)[:, None], label)


def as_npz(seconds, label, folder):
    np.savez(folder / "times.npz", x=seconds[:, None], y=label)
    return Npz(folder / "times.npz")


def as_csv(seconds, label, folder):
    lines = [f"{second!r},{label}" for second, label in zip(seconds.tolist(), label.tolist(), strict=True)]
    (folder / "times.csv").write_text("\n".join(["time,label", *lines]))
    return Csv(folder / "times.csv", target="label")


@pytest.mark.parametrize("source", [as_arrays, as_whole_numbers, as_npz, as_csv])
def test_seconds_since_1970_keep_their_digits(source, tmp_path):
    data = source(*since_1970(), tmp_path)
    assert data.training().x.dtype == np.float64
    model = partial(MLP, hidden=8)
    reports = train(data, Accuracy(), 10, model=model, optimizer=partial(Adam, lr=0.02))
    assert (reports[-1].score == 1.0).all()


def test_times_can_be_predicted():
    data = Arrays(inputs(), targets(1.76e9, 30.0, 1.0))
    assert data.training().y.dtype == np.float64
    assert train(data, RootMeanSquaredError())[-1].score == pytest.approx(np.full(3, 1.0), rel=0.15)


def test_ordinary_numbers_stay_float32():
    data = Arrays(inputs(), targets(0.0, 1.0, 0.1)).training()
    assert (data.x.dtype, data.y.dtype) == (np.float32, np.float32)
    constant = Arrays(np.full((ROWS, 1), 0.1), targets(0.0, 1.0, 0.1)).training()
    assert constant.x.dtype == np.float32


@pytest.mark.parametrize(
    ("y", "expected"),
    [
        (np.arange(ROWS) / ROWS, True),
        ((np.arange(ROWS) % 2).astype(float), False),
        (np.stack([np.arange(ROWS) % 2, np.arange(ROWS) % 3 == 0], axis=1).astype(float), False),
        (np.stack([np.arange(ROWS) / ROWS, 1 - np.arange(ROWS) / ROWS], axis=1), False),
        (np.arange(ROWS) % 2, False),
    ],
    ids=["numbers", "yes or no", "several yes or no", "distributions", "classes"],
)
def test_probabilities_are_not_standardized(y, expected):
    data = Arrays(inputs(), y)
    assert data.training().standardize_targets is expected
    if y.dtype == float:
        assert Arrays(inputs(), y, standardize_targets=not expected).training().standardize_targets is not expected
    else:
        with pytest.raises(UserMistake, match="standardize_targets"):
            Arrays(inputs(), y, standardize_targets=True)


def test_yes_or_no_targets_train_with_cross_entropy():
    y = (inputs()[:, :1] > 0).astype(float)
    model = partial(MLP, layers=0, loss=SigmoidCrossEntropy)
    reports = train(Arrays(inputs(), y), RootMeanSquaredError(), model=model)
    assert (reports[-1].loss < reports[0].loss).all()


def test_targets_are_scaled_by_the_rows_of_each_fold():
    rows = Arrays(inputs(), targets(50.0, 3.0, 0.1)).training()
    split = KFold(3).split(rows)
    scaling = rows.fitted(split).target_scaling
    for fold, count in enumerate(split.train.counts):
        y = rows.y[split.train.index[fold, :count]].astype(np.float64)
        assert scaling.mean[fold] == pytest.approx(y.mean(axis=0))
        assert scaling.scale[fold] == pytest.approx(y.std(axis=0))


@pytest.mark.parametrize("value", [0.1, 1.76e9 + 1 / 3, -1e300])
def test_a_constant_column_of_float64_has_scale_1(value):
    mean, scale = mean_and_scale(np.full((5_000, 1), value), np.arange(5_000))
    assert (mean[0], scale[0]) == (value, 1.0)


def test_restoring_undoes_standardizing():
    scaling = Scaling(np.array([[1.76e9, 3.0]]), np.array([[20.0, 0.5]]))
    values = np.array([[[1.76e9 + 7.0, 3.25]]])
    assert scaling.restore(scaling.standardize(values.copy())) == pytest.approx(values, rel=1e-15)
