"""Losses by hand: their values, their limits, their labels; the contract holds the rest."""

from functools import partial

import numpy as np
import pytest

from searchlab.errors import UserMistake
from searchlab.nn import MeanSquaredError, SigmoidCrossEntropy, SoftmaxCrossEntropy
from searchlab.replicas import Replicas

SHAPES = [(3, 5), (3, 1), (3, 4, 2), (1, 1)]  # (R, B) and (R, T, B)
LOSSES = [SoftmaxCrossEntropy, MeanSquaredError, SigmoidCrossEntropy]


def problem(shape, classes=4, dtype=np.float64):
    generator = np.random.default_rng(0)
    logits = generator.standard_normal((*shape, classes)).astype(dtype)
    return logits, generator.integers(classes, size=shape)


def new(loss, count=3, **values):
    return loss(Replicas(list(range(count)), dtype=np.float64), **values)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("classes", [2, 10, 100])
def test_softmax_is_minus_the_log_of_the_share_of_the_label(shape, classes):
    logits, labels = problem(shape, classes)
    share = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    at_label = np.take_along_axis(share, labels[..., None], axis=-1)
    expected = -np.log(at_label).reshape(len(logits), -1).mean(axis=1)
    assert new(SoftmaxCrossEntropy, shape[0]).forward(logits, labels) == pytest.approx(expected)


def test_even_odds_cost_the_log_of_their_number():
    loss = SoftmaxCrossEntropy(Replicas([0, 1])).forward(np.zeros((2, 3, 5), np.float32), np.zeros((2, 3), int))
    assert loss == pytest.approx([np.log(5.0)] * 2)


@pytest.mark.parametrize("loss", LOSSES)
def test_labels_are_one_hot_rows(loss):
    logits, labels = problem((3, 5))
    by_label, by_row = new(loss), new(loss)
    assert by_label.forward(logits, labels) == pytest.approx(by_row.forward(logits, np.eye(4)[labels]))
    assert by_label.backward() == pytest.approx(by_row.backward())


@pytest.mark.parametrize("loss", [*LOSSES, partial(SoftmaxCrossEntropy, smoothing=0.1)])
def test_outputs_may_be_a_transposed_view(loss):
    logits, labels = problem((3, 5))
    whole, view = new(loss), new(loss)
    turned = logits.swapaxes(1, 2).copy().swapaxes(1, 2)
    assert not turned.flags.c_contiguous
    assert view.forward(turned, labels) == pytest.approx(whole.forward(logits, labels))
    assert view.backward() == pytest.approx(whole.backward())


def test_smoothing_spreads_its_share_evenly():
    logits, labels = problem((3, 5))
    smoothing = np.array([0.0, 0.1, 0.4])
    target = np.eye(4)[labels] * (1 - smoothing[:, None, None]) + smoothing[:, None, None] / 4
    expected = new(SoftmaxCrossEntropy).forward(logits, target)
    smooth = new(SoftmaxCrossEntropy, smoothing=smoothing)
    assert smooth.forward(logits, labels) == pytest.approx(expected)
    plain = new(SoftmaxCrossEntropy)
    assert smooth.forward(logits, labels)[0] == pytest.approx(plain.forward(logits, labels)[0])


@pytest.mark.parametrize("smoothing", [-0.1, 1.0, np.nan])
def test_smoothing_lies_below_one(smoothing):
    with pytest.raises(ValueError, match=r"label smoothing lies in \[0, 1\)"):
        SoftmaxCrossEntropy(Replicas([0]), smoothing=smoothing)


def test_softmax_of_one_output_is_refused():
    """It is always 1, whatever the numbers to predict are."""
    with pytest.raises(UserMistake, match="use MeanSquaredError"):
        new(SoftmaxCrossEntropy).forward(np.zeros((3, 5, 1)), np.ones((3, 5, 1)))


def test_squared_error_is_a_mean_over_outputs_and_targets():
    outputs, targets = np.array([[[1.0, 2.0], [0.0, 0.0]]]), np.array([[[0.0, 0.0], [0.0, 2.0]]])
    loss = new(MeanSquaredError, 1)
    assert loss.forward(outputs, targets) == pytest.approx([(1 + 4 + 0 + 4) / 4])
    assert loss.backward() == pytest.approx(np.array([[[0.5, 1.0], [0.0, -1.0]]]))


def test_sigmoid_asks_a_question_for_each_output():
    logits, targets = np.array([[[0.0, 2.0]]]), np.array([[[1.0, 0.25]]])
    p = 1 / (1 + np.exp(-logits))
    expected = -(targets * np.log(p) + (1 - targets) * np.log(1 - p)).mean()
    assert new(SigmoidCrossEntropy, 1).forward(logits, targets) == pytest.approx([expected])


@pytest.mark.parametrize("loss", [SoftmaxCrossEntropy, SigmoidCrossEntropy])
def test_huge_logits_do_not_overflow(loss):
    logits, labels = problem((2, 3), dtype=np.float32)
    logits[0, 0] = [10_000.0, -10_000.0, 0.0, 0.0]
    found = new(loss, 2)
    with np.errstate(under="ignore"):
        assert np.isfinite(found.forward(logits, labels)).all()
        assert np.isfinite(found.backward()).all()


@pytest.mark.parametrize("loss", LOSSES)
def test_batches_may_change_their_size(loss):
    found = new(loss)
    for shape in ((3, 6), (3, 3), (3, 6), (3, 2, 3)):
        logits, labels = problem(shape)
        other = new(loss)
        assert (found.forward(logits, labels) == other.forward(logits, labels)).all()
        assert (found.backward() == other.backward()).all()
