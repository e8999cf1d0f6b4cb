"""Rounding to float16: what it does to each tensor, and which tensors stay float32 because it costs too much."""

from __future__ import annotations

import json

import numpy as np
import pytest

from models.mlp import MLP
from searchlab import Arrays, MeanSquaredError, RootMeanSquaredError, Space, Trainer, artifact
from searchlab.artifact.rounding import SMALLEST_NORMAL, Rounding
from searchlab.optim import SGD
from searchlab.results import export
from searchlab.results.float32_weights import choose_float32
from searchlab.testing.linear_model import LinearModel
from tests.jobs import run
from tests.sweeps import spiral_sweep


def test_the_largest_value_and_those_below_the_smallest_normal():
    rounding = Rounding.of(np.array([0.0, -3.0, 2.0, SMALLEST_NORMAL / 2, 1e-9]))
    assert (rounding.largest, rounding.below_normal, rounding.overflows) == (3.0, 0.5, False)


def test_the_relative_error_is_that_of_the_norm():
    values = np.random.default_rng(0).normal(size=(40, 30)).astype(np.float32)
    errors = values.astype(np.float16).astype(np.float64) - values
    assert Rounding.of(values).relative_error == pytest.approx(np.linalg.norm(errors) / np.linalg.norm(values))
    assert Rounding.of(np.array([1e-9, 2e-9])).relative_error == 1.0, "all become 0"
    assert Rounding.of(np.array([0.5, 0.25])).relative_error == 0.0


@pytest.mark.parametrize("values", [np.zeros(3), np.zeros((0, 2))])
def test_nothing_to_round(values):
    assert Rounding.of(values) == Rounding(0.0, 0.0, 0.0)


def test_a_tensor_that_overflows_stays_float32_and_the_manifest_says_so(tmp_path):
    weights = {"affine.W": np.array([[1e5], [1.0]]), "affine.b": np.array([[0.1]])}
    artifact.save(tmp_path, weights, LinearModel, {}, (2, 1), {})
    loaded = artifact.load(tmp_path)
    assert loaded.predict([[1.0, 0.0]])[0, 0] == pytest.approx(1e5, rel=1e-5)
    described = loaded.manifest["weights"]
    assert described["kept_float32"] == {"affine.W": "it has weights beyond the range of float16 (65,504)"}
    assert described["other_dtypes"] == {"affine.W": "float32"}
    assert described["rounding"]["affine.W"] == {"largest": 1e5, "below_normal": 0.0}
    assert described["rounding"]["affine.b"]["relative_error"] == pytest.approx(2.44e-4, rel=0.01)


WEIGHTS = {
    "coarse": np.full(4, 1e-8),  # all become 0
    "rough": np.full(4, 1e-5),
    "fine": np.full(4, 0.3),
    "exact": np.full(4, 0.5),
}


@pytest.mark.parametrize(
    ("needed", "kept"),
    [((), ()), (("coarse",), ("coarse",)), (("rough",), ("coarse", "rough")), (("exact",), tuple(WEIGHTS))],
)
def test_the_tensors_that_rounding_changes_most_stay_float32(needed, kept):
    asked = []

    def score_with(keep_float32):
        asked.append(sorted(keep_float32))
        return 0.9 if set(needed) <= set(keep_float32) else 0.5

    found = choose_float32(WEIGHTS, score_with, 0.9, "max", 0.01)
    assert sorted(found) == sorted(kept)
    assert asked[-1] == sorted(kept), "the artifact that is left is that of the answer"
    assert all(reason.startswith("rounding costs 0.4 of the score 0.9, and") for reason in found.values())


def test_a_score_that_is_no_better_in_float32_keeps_nothing_for_ever():
    assert sorted(choose_float32(WEIGHTS, lambda kept: 0.1, 0.9, "max", 0.01)) == sorted(WEIGHTS)
    assert choose_float32(WEIGHTS, lambda kept: 0.5, 0.9, "min", 0.01) == {}
    assert choose_float32(WEIGHTS, lambda kept: np.nan, np.nan, "max", 0.01) == {}


def test_a_winner_whose_score_suffers_from_float16_stays_float32(home):
    """Targets of 300,000 that are not standardized need weights and biases that float16 does not hold."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(80, 3)).astype(np.float32)
    y = 300_000.0 + 10_000.0 * x[:, 0]
    sweep = spiral_sweep(
        2,
        data=Arrays(x, y, standardize_targets=False),
        metric=RootMeanSquaredError(),
        model=Space(MLP, hidden=(), loss=MeanSquaredError),
        optimizer=Space(SGD, lr=0.2),
        training=Space(Trainer, batch_size=20, epochs=40),
    )
    result = run(sweep, engine="local", home=home)
    manifest = json.loads((result.artifact / "manifest.json").read_text())
    kept = manifest["weights"]["kept_float32"]
    assert kept["layers.layers.0.b"] == "it has weights beyond the range of float16 (65,504)"
    assert kept["layers.layers.0.W"].startswith("rounding costs 3.6"), "of a spread over folds of a hundredth"
    assert result.winner.artifact_score == pytest.approx(result.winner.test_score, rel=1e-3)


def test_rounding_is_judged_without_the_test_rows(home, monkeypatch):
    """The rows are the held-out ones of the first fold, also where the test rows are not opened."""
    seen, measure = [], export.measure

    def record(model, metrics, data, *scalings, **options):
        seen.append((len(data), [metric.name for metric in metrics], "rows" in options or len(scalings) > 2))
        return measure(model, metrics, data, *scalings, **options)

    monkeypatch.setattr(export, "measure", record)
    sweep = spiral_sweep(2)
    run(sweep, engine="local", home=home)
    rows, test_rows = len(sweep.data.training()), len(sweep.data.testing())
    assert [call for call in seen if call[2]] == [(rows, ["accuracy"], True)] * 2
    assert [call for call in seen if not call[2]] == [(test_rows, ["accuracy"], False)] * 2
    seen.clear()
    run(sweep, engine="local", home=home, name="second")
    assert [names for _, names, _ in seen] == [["accuracy"], ["accuracy"]]
