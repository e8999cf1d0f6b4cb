"""What is measured besides the scores: the loss on held-out rows, and the score on a sample of training rows."""

import json
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from models.cooccurrence import Cooccurrence
from models.mlp import MLP
from models.rnn_lm import RnnLM
from models.seq2seq import Seq2Seq
from models.word2vec import Cbow
from searchlab.data import (
    Addition,
    Batch,
    Blocked,
    Digits,
    EveryRow,
    Examples,
    Holdout,
    KFold,
    Rows,
    TokenStream,
    Vocabulary,
    WordContexts,
)
from searchlab.engine.checkpoints import Checkpoint, CheckpointStore
from searchlab.fit import Fit
from searchlab.metrics import Accuracy, ExactMatch, LossPerTarget, ParameterCount, Perplexity, RootMeanSquaredError
from searchlab.nn import MeanSquaredError
from searchlab.nn.target_unit import in_target_unit
from searchlab.optim import SGD
from searchlab.replicas import Replicas, fold_seeds
from searchlab.runs.events import EventBuffer
from searchlab.runs.trials import LearningCurve, TrialRecord, replay_events
from searchlab.scoring import SamplePlan, sample_rows
from searchlab.training import EpochReport, Trainer
from searchlab.word_classes import WordClassShare

WORDS = Vocabulary.from_tokens(["one", "two", "three", "four", "you", "he", "she", "i", "a", "b", "c", "d"])


def table(rows=803, classes=3):
    generator = np.random.default_rng(0)
    x = generator.random((rows, 4), dtype=np.float32)
    return Examples(x, generator.integers(classes, size=rows), classes)


def numbers(rows=803):
    generator = np.random.default_rng(0)
    y = 50.0 + 20.0 * generator.random((rows, 1), dtype=np.float32)
    return Examples(generator.random((rows, 4), dtype=np.float32), y, 1, standardize_targets=True)


def text():
    return TokenStream(np.random.default_rng(0).integers(len(WORDS), size=5000), WORDS, window=5)


def trainer(data, metric, model, validation=None, rows=None, batch_size=8, build=Trainer):
    split = (validation or KFold(5)).split(data)
    rows = np.arange(split.folds) if rows is None else np.array(rows)
    replicas = Replicas(np.array(fold_seeds(0, split.folds), np.uint64)[rows])
    options = {} if build is Fit else {"batch_size": batch_size}
    return build(replicas, data, split[rows], metric, model, partial(SGD, lr=0.1), **options)


def until_measured(trained):
    """Return the first report with a held-out loss or a training score."""
    report = trained.advance()
    while trained.scorer.plan and report.epoch < trained.scorer.plan.interval:
        report = trained.advance()
    return report


def loss_of_fold(trained, fold):
    """Return the loss of one fold's held-out rows in a single batch without padding."""
    rows = trained.split.held_out.index[fold, : trained.split.held_out.counts[fold]]
    x, y = (
        np.broadcast_to(a[rows], (trained.replicas.count, *a[rows].shape)) for a in (trained.data.x, trained.data.y)
    )
    return trained.model.forward(Batch(x, y), train=False)[0][fold]


def test_the_held_out_loss_is_that_of_the_rows_of_each_fold_without_padding():
    trained = trainer(table(), Accuracy(), partial(MLP, hidden=5))
    assert len(set(trained.split.held_out.counts.tolist())) == 2  # folds of unequal size
    report = until_measured(trained)
    expected = [loss_of_fold(trained, fold) for fold in range(5)]
    np.testing.assert_allclose(report.held_out_loss, expected, rtol=1e-5)


def test_the_training_score_is_that_of_a_fixed_sample_of_training_rows():
    trained = trainer(table(), Accuracy(), partial(MLP, hidden=5))
    report = until_measured(trained)
    sample = sample_rows(trained.split.train, trained.scorer.plan.rows, is_ordered=False)
    for fold, rows in enumerate(sample.index):
        assert set(rows) <= set(trained.split.train.index[fold])
        assert len(set(rows)) == len(rows) == trained.scorer.plan.rows
    expected = Accuracy().measure(trained.model, trained.data.scoring_batches(sample))
    assert report.training_score.tolist() == expected.tolist()


@pytest.mark.parametrize("batch_size", [8, 100])
def test_replicas_measure_the_same_alone_and_side_by_side(batch_size):
    fused = trainer(table(), Accuracy(), partial(MLP, hidden=5), batch_size=batch_size)
    together = until_measured(fused)
    for fold in range(5):
        alone = until_measured(trainer(table(), Accuracy(), partial(MLP, hidden=5), rows=[fold], batch_size=batch_size))
        for name in ("held_out_loss", "training_score"):
            assert getattr(alone, name).tobytes() == getattr(together, name)[fold : fold + 1].tobytes(), name


def test_training_is_the_same_bit_for_bit_with_a_metric_that_needs_no_model():
    """A metric of the number of parameters measures no training rows, and the loss takes a pass of its own."""
    measured, without = (
        trainer(table(), metric, partial(MLP, hidden=5, dropout=0.5)) for metric in (Accuracy(), ParameterCount())
    )
    for _ in range(4):
        measured.advance(), without.advance()
    assert without.scorer.plan != measured.scorer.plan
    for name, array in measured.state().items():
        assert array.tobytes() == without.state()[name].tobytes(), name


def test_survivors_and_resumed_trainers_measure_as_if_nothing_had_happened():
    whole, cut = (trainer(table(), Accuracy(), partial(MLP, hidden=5)) for _ in range(2))
    until_measured(whole), until_measured(cut)
    state, epoch = cut.state(), cut.epoch
    resumed = trainer(table(), Accuracy(), partial(MLP, hidden=5))
    resumed.restore(epoch, state)
    cut.select_replicas(np.array([3, 1]))
    for _ in range(cut.scorer.plan.interval):
        reports = [each.advance() for each in (whole, resumed, cut)]
        for name in ("held_out_loss", "training_score"):
            expected, again, kept = (getattr(report, name) for report in reports)
            assert again.tobytes() == expected.tobytes()
            assert kept.tobytes() == expected[[3, 1]].tobytes()
    assert np.isfinite(reports[0].training_score).all()


def test_the_loss_of_numbers_is_that_of_standardized_targets():
    trained = trainer(numbers(), RootMeanSquaredError(), partial(MLP, hidden=5, loss=MeanSquaredError))
    report = until_measured(trained)
    model = in_target_unit(trained.model, trained.data.target_scaling)
    rows = Rows(trained.split.held_out.index[:, :160], np.full(5, 160))
    (whole, rest) = (model.forward(batch, train=False)[0] for batch in trained.data.scoring_batches(rows))
    expected = (whole * 128 + rest * 32) / 160  # a fold may hold out one row more
    np.testing.assert_allclose(report.held_out_loss, expected, rtol=0.02)
    assert np.isfinite(report.training_score).all()


def test_a_language_model_gets_its_loss_from_the_metric_in_every_epoch():
    trained = trainer(text(), Perplexity(), partial(RnnLM, hidden=4, embed=4), Blocked(2), batch_size=4)
    for _ in range(2):
        report = trained.advance()
        np.testing.assert_allclose(np.exp(report.held_out_loss), report.score, rtol=1e-5)
    assert np.isfinite(until_measured(trained).training_score).all()


def test_a_model_that_does_not_say_its_loss_gets_a_pass_of_its_own():
    class Own(MLP):
        loss_of = MLP.__mro__[1].loss_of

    trained = trainer(table(), Accuracy(), partial(Own, hidden=5))
    report = until_measured(trained)
    count = trained.scorer.plan.rows
    rows = Rows(trained.split.held_out.index[:, :count], np.full(5, count))
    expected = LossOfRows().measure(trained.model, trained.data.scoring_batches(rows))
    np.testing.assert_allclose(report.held_out_loss, expected, rtol=1e-5)


class LossOfRows:
    """The loss of batches without padding."""

    name, goal = "loss", "min"

    def measure(self, model, batches):
        losses = [(model.forward(batch, train=False)[0], batch.y.shape[1]) for batch in batches]
        return sum(loss * rows for loss, rows in losses) / sum(rows for _, rows in losses)


def test_pairs_of_sequences_and_word_vectors_have_a_held_out_loss():
    pairs = trainer(Addition(rows=600).training(), ExactMatch(), partial(Seq2Seq, hidden=4, embed=4), Holdout(0.3))
    report = until_measured(pairs)
    assert np.isfinite(report.held_out_loss).all()
    assert np.isfinite(report.training_score).all()
    words = trainer(WordContexts(text(), 2), WordClassShare(), partial(Cbow, dimensions=4, window=2), Blocked(2))
    report = until_measured(words)
    assert np.isfinite(report.held_out_loss).all()
    assert np.isnan(report.training_score).all()  # word vectors have one score, whatever the rows
    words = trainer(WordContexts(text(), 2), LossPerTarget(), partial(Cbow, dimensions=4, window=2), Blocked(2))
    report = until_measured(words)
    np.testing.assert_allclose(report.held_out_loss, report.score, rtol=1e-6)


def test_a_metric_that_decodes_has_the_loss_of_all_held_out_rows_after_every_epoch():
    data = Addition(digits=1, rows=40).training()
    trained = trainer(data, ExactMatch(), partial(Seq2Seq, hidden=4, embed=4), KFold(5))
    assert len(set(trained.split.held_out.counts.tolist())) == 2  # folds of unequal size
    for _ in range(3):
        loss = trained.advance().held_out_loss
        expected = LossPerTarget().measure(trained.model, data.scoring_batches(trained.split.held_out))
        np.testing.assert_allclose(loss, expected, rtol=1e-6)
    assert trained.scorer.plan.interval > 3  # the sample of training rows is measured less often


def test_the_loss_comes_from_the_metric_that_has_it():
    trained = trainer(
        Addition(rows=600).training(),
        (ExactMatch(), LossPerTarget()),
        partial(Seq2Seq, hidden=4, embed=4),
        Holdout(0.3),
    )
    np.testing.assert_allclose(trained.advance().held_out_loss, trained.advance().others[:, 0], rtol=0.5)


def test_a_primary_metric_that_reads_no_rows_has_no_training_score():
    trained = trainer(table(), (ParameterCount(), Accuracy()), partial(MLP, hidden=5))
    report = until_measured(trained)
    assert np.isfinite(report.held_out_loss).all()
    assert np.isnan(report.training_score).all()


def test_a_fitted_model_and_a_refit_on_all_rows_measure_neither():
    fitted = trainer(
        WordContexts(text(), 2), WordClassShare(), partial(Cooccurrence, window=2, dimensions=2), Blocked(2), build=Fit
    )
    refit = trainer(table(), Accuracy(), partial(MLP, hidden=5), EveryRow())
    for trained in (fitted, refit):
        report = trained.advance()
        assert np.isnan(report.held_out_loss).all()
        assert np.isnan(report.training_score).all()


def test_the_model_has_its_own_methods_after_a_measurement():
    trained = trainer(table(), Accuracy(), partial(MLP, hidden=5))
    before = set(vars(trained.model))
    until_measured(trained)
    assert set(vars(trained.model)) == before


def test_an_epoch_of_few_steps_is_measured_less_often():
    def interval(steps):
        plan = SamplePlan.within_share(400, 100, steps, 100, row_cost=0.5, loss_cost=0.2)
        assert plan.rows == 100
        return plan.interval

    assert interval(1) > interval(20) > interval(400) == 1


def test_a_sample_is_never_larger_than_the_held_out_part():
    plan = SamplePlan.within_share(1_000_000, 500, 10_000, 128, row_cost=0.5, loss_cost=0.0)
    assert plan == SamplePlan(500, 1)


def test_a_sample_of_ordered_rows_is_contiguous():
    train = Rows.from_folds([np.arange(50, 90), np.arange(40)])
    assert np.diff(sample_rows(train, 10, is_ordered=True).index).tolist() == [[1] * 9] * 2
    assert np.diff(sample_rows(train, 10, is_ordered=False).index).max() > 1


def report(number, **measured):
    return EpochReport(number, np.ones(4), np.full(4, 0.5), (None,) * 4, 0.1, float(number), **measured)


def test_curves_keep_what_was_measured_and_replay_it():
    curve = LearningCurve()
    curve.add(report(1), slice(0, 2), 1.0)
    losses, scores = np.array([1.0, np.nan, 3.0, 4.0]), np.array([0.1, 0.2, 0.3, 0.4])
    curve.add(report(2, held_out_loss=losses, training_score=scores), slice(0, 2), 1.0)
    assert curve.training_scores == [[], [0.1, 0.2]]
    assert curve.held_out_losses[0] == []
    np.testing.assert_equal(curve.held_out_losses[1], [1.0, np.nan])
    assert json.loads(json.dumps(vars(curve)))["training_scores"] == curve.training_scores
    for stored in (curve, replace(curve, held_out_losses=[], training_scores=[])):  # the latter by an earlier version
        buffer = EventBuffer()
        replay_events([TrialRecord(0, "COMPLETE", {}, 0.5, 2, None, stored, 0.0, 1.0)], buffer)
        epoch = buffer.drain()[2]
        assert epoch.training_scores == (stored.training_scores or [[], []])[1]


def test_a_checkpoint_keeps_what_was_measured_and_one_of_an_earlier_version_is_read(tmp_path):
    store = CheckpointStore(tmp_path)
    measured = report(1, training_score=np.arange(4.0))
    store.save("g", Checkpoint((0, 1), (((0, 1), measured),), {}))
    again = store.load("g").reports[0][1]
    assert again.training_score.tolist() == measured.training_score.tolist()
    assert np.isnan(again.held_out_loss).all()
    old = replace(measured)
    for name in ("held_out_loss", "training_score"):
        object.__delattr__(old, name)
    store.save("g", Checkpoint((0, 1), (((0, 1), old),), {}))
    assert np.isnan(store.load("g").reports[0][1].training_score).all()


def test_the_digits_of_the_documentation_are_measured_every_third_epoch():
    data = Digits().training()
    trained = trainer(data, Accuracy(), partial(MLP, hidden=8), batch_size=32)
    measured = [np.isfinite(trained.advance().training_score).all() for _ in range(6)]
    assert measured == [False, False, True, False, False, True]
