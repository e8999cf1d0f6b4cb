"""The ensemble of the networks of the folds: what it predicts, how it is trained, saved and shown."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console

import searchlab
from models.mlp import MLP
from models.rnn_lm import RnnLM
from models.seq2seq import Seq2Seq
from models.word2vec import Cbow
from searchlab import (
    SGD,
    Accuracy,
    Addition,
    Arrays,
    Blocked,
    ExactMatch,
    Float,
    FoldEnsemble,
    Holdout,
    KFold,
    LossPerTarget,
    Perplexity,
    Refit,
    RootMeanSquaredError,
    Space,
    Text,
    Trainer,
    UserMistake,
    artifact,
)
from searchlab.artifact.format import SUM, manifest_sum
from searchlab.cli.summary import print_result
from searchlab.data import Batch
from searchlab.data.context_windows import ContextWindows
from searchlab.fusion.groups import build_trainer
from searchlab.nn import MeanSquaredError
from searchlab.nn.ensemble import Ensemble
from searchlab.nn.generation import generate
from searchlab.runner.reproduce import reproduce
from searchlab.testing.fixed_models import EchoModel, TableModel
from tests.jobs import run
from tests.sweeps import spiral_sweep

FOLDS = 2
SCORES = np.random.default_rng(0).normal(size=(3, 5, 4))  # of three networks, five rows and four outputs
ROWS = Batch(SCORES, np.zeros((3, 5), np.int64))


def ensemble_sweep(*arguments, **changes):
    return spiral_sweep(*arguments, **{"winner": FoldEnsemble(finalists=1), **changes})


def run_local(home, sweep, **options):
    return run(sweep, engine="local", home=home, **options)


def softmax(scores):
    powers = np.exp(scores)
    return powers / powers.sum(axis=-1, keepdims=True)


def networks_of(sweep, result, table):
    """The trainer of the winner's trial on the folds of the search, after its best epoch."""
    trainer = build_trainer(sweep, [result.best.parameters], table, sweep.validation.split(table), 0, "cpu")
    for _ in range(result.best.epoch):
        trainer.advance()
    return trainer


def inputs_of(trainer, x):
    """The inputs (K, B, features) of each network, as it was trained on them."""
    inputs, scaling = np.repeat(x[None], FOLDS, axis=0), trainer.data.scaling
    return scaling.standardize(inputs) if scaling else inputs


def test_classes_are_predicted_by_the_mean_of_probabilities():
    scores, _ = Ensemble(EchoModel(), 3, "probabilities").predict(ROWS)
    np.testing.assert_allclose(np.exp(scores), softmax(SCORES).mean(axis=0)[None])


def test_tokens_are_predicted_by_the_normalized_mean_of_log_probabilities():
    scores, _ = Ensemble(EchoModel(), 3, "log probabilities").predict(ROWS)
    product = softmax(SCORES).prod(axis=0) ** (1 / 3)
    np.testing.assert_allclose(np.exp(scores), (product / product.sum(axis=-1, keepdims=True))[None])


def test_numbers_are_predicted_by_their_mean():
    scores, _ = Ensemble(EchoModel(), 3, "values").predict(ROWS)
    np.testing.assert_allclose(scores, SCORES.mean(axis=0)[None])


def test_a_class_that_no_network_gives_a_chance_has_a_finite_score():
    inputs = np.array([[[0.0, -1e4]], [[0.0, -1e4]]], np.float32)
    scores, _ = Ensemble(EchoModel(), 2, "probabilities").predict(Batch(inputs, np.zeros((2, 1), np.int64)))
    assert np.isfinite(scores).all()


def test_a_score_that_is_no_number_makes_the_metric_no_number():
    inputs = np.array([[[0.0, 1.0]], [[np.nan, 1.0]]])
    batch = Batch(inputs, np.zeros((2, 1), np.int64))
    with np.errstate(invalid="ignore"):
        assert np.isnan(Accuracy().measure(Ensemble(EchoModel(), 2, "probabilities"), [batch])).all()


def test_the_perplexity_of_an_ensemble_is_that_of_its_predictions():
    """Over two batches, whose carry passes, and with a target that does not count."""
    tables = TableModel(np.random.default_rng(1).normal(size=(2, 4, 4)))
    ensemble = Ensemble(tables, 2, "log probabilities")
    tokens = np.random.default_rng(2).integers(0, 4, (2, 3, 2))
    targets = np.array([[[1, 2], [3, 0], [-1, 1]], [[2, 2], [0, 1], [1, -1]]])
    batches = [Batch(x[None], y[None]) for x, y in zip(tokens, targets, strict=True)]
    losses, carry = [], None
    for batch in batches:
        scores, carry = ensemble.predict(batch, carry)
        rows, labels = scores.reshape(-1, 4), batch.y.reshape(-1)
        losses += [-row[label] for row, label in zip(rows, labels, strict=True) if label >= 0]
    assert Perplexity().measure(ensemble, batches) == pytest.approx([np.exp(np.mean(losses))])
    twice = [Batch(np.repeat(b.x, 2, axis=0), np.repeat(b.y, 2, axis=0)) for b in batches]
    np.testing.assert_allclose(LossPerTarget().measure(ensemble, twice), np.mean(losses))


def test_an_ensemble_of_classes_has_the_networks_of_the_search(home):
    sweep = ensemble_sweep(4, 8)
    result = run_local(home, sweep)
    winner, test, table = result.winner, sweep.data.testing(), sweep.data.training()
    trainer = networks_of(sweep, result, table)
    for fold, score in enumerate(result.best.folds):
        held_out = trainer.split.held_out[np.array([fold, fold])]
        measured = Accuracy().measure(trainer.model, trainer.data.scoring_batches(held_out))[fold]
        assert measured == pytest.approx(score), "it is the network that scored so in the search"
    inputs = inputs_of(trainer, test.x)
    scores, _ = trainer.model.predict(Batch(inputs, np.zeros(inputs.shape[:2], np.int64)))
    expected = softmax(scores.astype(np.float64)).mean(axis=0)
    loaded = artifact.load(winner.artifact)
    np.testing.assert_allclose(loaded.probabilities(test.x), expected, atol=5e-3)
    assert winner.test_score == pytest.approx((expected.argmax(axis=1) == test.labels).mean())
    alone = [(scores[fold].argmax(axis=1) == test.labels).mean() for fold in range(FOLDS)]
    assert winner.network_scores == pytest.approx(alone)
    assert winner.artifact_score == pytest.approx((loaded.classify(test.x) == test.labels).mean())
    assert loaded.manifest["ensemble"] == {"networks": FOLDS, "average": "probabilities"}


def test_a_regression_averages_numbers_in_the_unit_of_the_targets(home):
    """Each network was trained on targets that the rows of its own fold standardize."""
    x = np.random.default_rng(0).standard_normal((150, 2))
    data = Arrays(x, (x @ [1.0, -2.0]) * 1e5 + 3e6)
    model = Space(MLP, hidden=8, loss=MeanSquaredError)
    sweep = ensemble_sweep(3, 20, data=data, metric=RootMeanSquaredError(), model=model)
    result = run_local(home, sweep)
    trainer, test = networks_of(sweep, result, data.training()), data.testing()
    inputs = inputs_of(trainer, test.x)
    outputs, _ = trainer.model.predict(Batch(inputs, np.zeros((*inputs.shape[:2], 1))))
    expected = trainer.data.target_scaling.restore(outputs).mean(axis=0)
    loaded = artifact.load(result.artifact)
    np.testing.assert_allclose(loaded.predict(test.x), expected, rtol=5e-3)
    error = np.sqrt(((expected - test.y) ** 2).mean())
    assert result.winner.test_score == pytest.approx(error, rel=1e-6)
    assert len(set(result.winner.network_scores)) == FOLDS
    assert loaded.manifest["ensemble"]["average"] == "values"


def test_a_language_model_writes_one_text(home, tmp_path):
    (tmp_path / "text.txt").write_text("you say goodbye and i say hello . " * 60)
    sweep = ensemble_sweep(
        2,
        4,
        data=Text(tmp_path / "text.txt", unit="char", window=10),
        validation=Blocked(FOLDS),
        metric=Perplexity(),
        model=Space(RnnLM, hidden=8, embed=8),
        optimizer=Space(SGD, lr=Float(0.5, 1.0)),
        training=Space(Trainer, batch_size=4, epochs=3),
    )
    result = run_local(home, sweep)
    loaded = artifact.load(result.artifact)
    assert loaded.manifest["ensemble"]["average"] == "log probabilities"
    text = loaded.generate("you ", 20, seed=3)
    assert text.startswith("you ")
    assert len(text) == 24
    assert text == loaded.generate("you ", 20, seed=3)
    assert result.winner.samples is None
    assert result.winner.test_score < np.exp(np.log(result.winner.network_scores).mean()) + 1e-9, (
        "by Jensen's inequality"
    )


def test_the_likeliest_token_of_an_ensemble_is_that_of_the_mean():
    tables = np.log(np.array([[[0.5, 0.4, 0.1]] * 3, [[0.1, 0.4, 0.5]] * 3]))

    class Model(TableModel):
        def named_parameters(self):
            return [("table", type("Table", (), {"value": self.table}))]

        def predict(self, batch, carry=None):
            return self.table[np.arange(2)[:, None, None], batch.x], None

    ids = generate(EnsembleOf(Model(tables)), np.array([0]), 2, temperature=0.0)
    assert ids.tolist() == [[0, 1, 1]], "the second token is no network's first choice"


class EnsembleOf(Ensemble):
    """An ensemble of two language models whose parameters are given by the model."""

    def __init__(self, model):
        super().__init__(model, 2, "log probabilities")

    def named_parameters(self):
        return self.model.named_parameters()


def test_the_ensemble_is_shown_and_read_back(home):
    result = run_local(home, ensemble_sweep(3))
    out = io.StringIO()
    print_result(result, Console(file=out, width=160))
    trial = result.best
    sentence = (
        f"trial {trial.number}, the ensemble of the 2 networks of its folds, each trained for {trial.epoch} epoch"
    )
    assert sentence in out.getvalue()
    assert "alone on the same rows" in out.getvalue()
    best = result.to_json()["best"]
    assert (best["networks"], len(best["network_tests"])) == (FOLDS, FOLDS)
    report, card = result.report.read_text(), (result.artifact / "README.md").read_text()
    assert sentence in report
    assert "Its networks alone score" in report
    assert "the ensemble of the 2 networks of its folds" in card
    assert "each network alone, on the same rows" in card
    again = searchlab.open("spiral", home=home).winner
    assert (again.networks, again.network_scores) == (FOLDS, result.winner.network_scores)
    assert reproduce("spiral", home=home, sweep=ensemble_sweep(3)).is_same


def test_rows_that_were_opened_before_are_not_opened_for_single_networks(home):
    run_local(home, ensemble_sweep(2))
    second = run_local(home, ensemble_sweep(2), name="second")
    assert second.winner.test_look is None
    assert second.winner.network_scores == ()


def test_an_ensemble_of_one_fold_is_refused():
    with pytest.raises(
        UserMistake, match=r"FoldEnsemble needs at least two folds, and Holdout\(fraction=0.3, seed=0\) has one"
    ):
        ensemble_sweep(validation=Holdout(0.3))


def test_another_rule_is_refused():
    with pytest.raises(UserMistake, match=r"takes Refit\(\) or FoldEnsemble\(\), got <class"):
        spiral_sweep(winner=FoldEnsemble)
    with pytest.raises(UserMistake, match=r"FoldEnsemble\(seeds=...\) takes a whole number"):
        FoldEnsemble(seeds=0)


@pytest.mark.parametrize(
    ("data", "model", "metric", "sentence"),
    [
        (Addition(rows=60), Space(Seq2Seq, hidden=4), ExactMatch(), "pairs of sequences are decoded; use Refit"),
        (None, Space(Cbow, dimensions=4), LossPerTarget(), "the result of this data is word vectors; use Refit"),
    ],
)
def test_what_cannot_be_averaged_is_refused_before_anything_is_written(home, tmp_path, data, model, metric, sentence):
    (tmp_path / "text.txt").write_text("you say goodbye and i say hello . " * 60)
    data = data or ContextWindows(Text(tmp_path / "text.txt", unit="word"))
    validation, training = Blocked(FOLDS) if data.training().is_ordered else KFold(FOLDS), Space(Trainer, batch_size=10)
    sweep = ensemble_sweep(data=data, validation=validation, model=model, metric=metric, training=training)
    with pytest.raises(UserMistake, match=sentence):
        run_local(home, sweep)
    assert not (home / "sweeps").exists()


@pytest.mark.parametrize(
    "change",
    [
        {"networks": 3},
        {"networks": 1},
        {"networks": True},
        {"networks": 10**9},
        {"networks": "2"},
        {"average": "votes"},
        {"average": None},
    ],
)
def test_a_manifest_with_another_ensemble_is_refused(home, change):
    folder = run_local(home, ensemble_sweep(1, 1)).artifact
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["ensemble"] |= change
    path.write_text(json.dumps(manifest | {SUM: manifest_sum(manifest)}))
    with pytest.raises(UserMistake, match="does not hold an artifact that can be read"):
        artifact.load(folder)


def test_the_rule_may_change_on_resume(home):
    sweep = replace(ensemble_sweep(2), winner=Refit(finalists=1))
    assert run_local(home, sweep).winner.networks == 1
    resumed = searchlab.resume("spiral", home=home, sweep=ensemble_sweep(4), trials=4, look_again=True)
    assert resumed.winner.networks == FOLDS
