"""A sweep of pairs of sequences, from its data to a winner that translates and shows what it attends to."""

import pytest
from mlflow import MlflowClient

from models.mlp import MLP
from models.seq2seq import Seq2Seq
from searchlab import (
    Adam,
    Addition,
    Choice,
    Digits,
    ExactMatch,
    Float,
    KFold,
    Perplexity,
    Space,
    Sweep,
    Trainer,
    artifact,
)
from searchlab.errors import UserMistake
from tests.jobs import run

EPOCHS = 3


def sums_sweep(**changes):
    parts = {
        "name": "sums",
        "data": Addition(digits=1, rows=27),
        "validation": KFold(2),
        "metric": (Perplexity(), ExactMatch()),
        "model": Space(Seq2Seq, hidden=12, embed=6, attention=Choice("dot", "additive"), dropout=Float(0.0, 0.2)),
        "optimizer": Space(Adam, lr=Float(1e-3, 1e-2)),
        "training": Space(Trainer, batch_size=4, epochs=EPOCHS, clip_norm=5.0),
        "trials": 2,
    }
    return Sweep(**parts | changes)


@pytest.mark.figures
def test_a_sweep_of_pairs_of_sequences_translates_and_shows_its_attention(home):
    result = run(sums_sweep(), engine="local", home=home, tracking="mlflow")
    assert [trial.state for trial in result.trials] == ["COMPLETE"] * 2
    assert 1.0 < result.winner.test_score < 20.0, "there are 13 tokens"
    assert result.winner.artifact_score == pytest.approx(result.winner.test_score, rel=1e-2)
    assert 0.0 <= result.winner.test_scores["exact match"] <= 1.0

    samples = result.winner.samples.read_text(encoding="utf-8").split("epoch ")[1:]
    training = Addition(digits=1, rows=27).training()
    assert len(samples) == result.best.epoch
    for sample in samples:
        lines = [line.strip().removeprefix("1 ").removeprefix("2 ").removeprefix("3 ") for line in sample.splitlines()]
        assert [line.split(" -> ")[0].strip() for line in lines[:5]] == [training.source_text(row) for row in range(5)]

    loaded = artifact.load(result.artifact)
    assert loaded.sequence_format == training.sequence_format
    last = samples[-1].splitlines()[0].split(" -> ")[1].split("  (right")[0]
    assert loaded.translate(training.source_text(0)) == last, "float16 writes what float32 wrote"

    (figure,) = [path for path in result.figures if path.stem == "attention-maps"]
    assert figure.stat().st_size > 5000
    for each, row in zip(result.winner.attention_maps, range(5), strict=True):
        assert "".join(each.source) == training.source_text(row)
        assert each.weights.shape == (len(each.target), len(each.source))
        assert each.weights.sum(axis=1) == pytest.approx([1.0] * len(each.target), rel=1e-5)
    files = [file.path for file in MlflowClient(result.tracking_uri).list_artifacts(result.run_id, "winner")]
    assert "winner/source_vocabulary.json" in files


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data": Digits(), "metric": Perplexity()}, "Seq2Seq needs pairs of sequences"),
        ({"model": Space(MLP), "metric": ExactMatch()}, "MLP needs rows with classes or numbers to predict"),
    ],
)
def test_parts_that_do_not_fit_are_refused_before_anything_is_written(home, changes, message):
    with pytest.raises(UserMistake, match=message):
        run(sums_sweep(**changes), engine="local", home=home)
    assert not (home / "sweeps" / "sums").exists()
