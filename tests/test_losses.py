"""Losses against values computed by hand: values, limits, labels; the contract tests the rest."""

from functools import partial

import numpy as np
import pytest

from searchlab.errors import UserMistake
from searchlab.nn import MeanSquaredError, SigmoidCrossEntropy, SoftmaxCrossEntropy
from searchlab.replicas import Replicas

SHAPES = [(3, 5), (3, 1), (3, 4, 2), (1, 1)]  # (R, B) and (R, T, B)
LOSSES = [SoftmaxCrossEntropy, MeanSquaredError, SigmoidCrossEntropy]


def make_batch(shape, classes=4, dtype=np.float64):
    generator = np.random.default_rng(0)
    logits = generator.standard_normal((*shape, classes)).astype(dtype)
    return logits, generator.integers(classes, size=shape)


def make_loss(loss, count=3, **values):
    return loss(Replicas(list(range(count)), dtype=np.float64), **values)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("classes", [2, 10, 100])
def test_softmax_cross_entropy_is_minus_the_log_of_the_labels_probability(shape, classes):
    logits, labels = make_batch(shape, classes)
    probability = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    label_probability = np.take_along_axis(probability, labels[..., None], axis=-1)
    expected = -np.log(label_probability).reshape(len(logits), -1).mean(axis=1)
    assert make_loss(SoftmaxCrossEntropy, shape[0]).forward(logits, labels) == pytest.approx(expected)


def test_softmax_cross_entropy_of_equal_logits_is_the_log_of_the_number_of_classes():
    loss = SoftmaxCrossEntropy(Replicas([0, 1])).forward(np.zeros((2, 3, 5), np.float32), np.zeros((2, 3), int))
    assert loss == pytest.approx([np.log(5.0)] * 2)


@pytest.mark.parametrize("loss", LOSSES)
def test_labels_count_as_one_hot_rows(loss):
    logits, labels = make_batch((3, 5))
    label_loss, one_hot_loss = make_loss(loss), make_loss(loss)
    assert label_loss.forward(logits, labels) == pytest.approx(one_hot_loss.forward(logits, np.eye(4)[labels]))
    assert label_loss.backward() == pytest.approx(one_hot_loss.backward())


@pytest.mark.parametrize("loss", [*LOSSES, partial(SoftmaxCrossEntropy, smoothing=0.1)])
def test_outputs_may_be_a_transposed_view(loss):
    logits, labels = make_batch((3, 5))
    contiguous_loss, view_loss = make_loss(loss), make_loss(loss)
    view = logits.swapaxes(1, 2).copy().swapaxes(1, 2)
    assert not view.flags.c_contiguous
    assert view_loss.forward(view, labels) == pytest.approx(contiguous_loss.forward(logits, labels))
    assert view_loss.backward() == pytest.approx(contiguous_loss.backward())


def test_label_smoothing_spreads_its_share_evenly():
    logits, labels = make_batch((3, 5))
    smoothing = np.array([0.0, 0.1, 0.4])
    target = np.eye(4)[labels] * (1 - smoothing[:, None, None]) + smoothing[:, None, None] / 4
    expected = make_loss(SoftmaxCrossEntropy).forward(logits, target)
    smoothed = make_loss(SoftmaxCrossEntropy, smoothing=smoothing)
    assert smoothed.forward(logits, labels) == pytest.approx(expected)
    unsmoothed = make_loss(SoftmaxCrossEntropy)
    assert smoothed.forward(logits, labels)[0] == pytest.approx(unsmoothed.forward(logits, labels)[0])


@pytest.mark.parametrize("smoothing", [-0.1, 1.0, np.nan])
def test_label_smoothing_outside_its_range_raises(smoothing):
    with pytest.raises(ValueError, match=r"label smoothing in \[0, 1\)"):
        SoftmaxCrossEntropy(Replicas([0]), smoothing=smoothing)


def test_softmax_of_one_output_raises():
    """The softmax of a single output is always 1."""
    with pytest.raises(UserMistake, match="MeanSquaredError"):
        make_loss(SoftmaxCrossEntropy).forward(np.zeros((3, 5, 1)), np.ones((3, 5, 1)))


def test_squared_error_is_a_mean_over_outputs_and_targets():
    outputs, targets = np.array([[[1.0, 2.0], [0.0, 0.0]]]), np.array([[[0.0, 0.0], [0.0, 2.0]]])
    loss = make_loss(MeanSquaredError, 1)
    assert loss.forward(outputs, targets) == pytest.approx([(1 + 4 + 0 + 4) / 4])
    assert loss.backward() == pytest.approx(np.array([[[0.5, 1.0], [0.0, -1.0]]]))


def test_sigmoid_cross_entropy_treats_each_output_on_its_own():
    logits, targets = np.array([[[0.0, 2.0]]]), np.array([[[1.0, 0.25]]])
    p = 1 / (1 + np.exp(-logits))
    expected = -(targets * np.log(p) + (1 - targets) * np.log(1 - p)).mean()
    assert make_loss(SigmoidCrossEntropy, 1).forward(logits, targets) == pytest.approx([expected])


@pytest.mark.parametrize("loss", [SoftmaxCrossEntropy, SigmoidCrossEntropy])
def test_huge_logits_do_not_overflow(loss):
    logits, labels = make_batch((2, 3), dtype=np.float32)
    logits[0, 0] = [10_000.0, -10_000.0, 0.0, 0.0]
    tested = make_loss(loss, 2)
    with np.errstate(under="ignore"):
        assert np.isfinite(tested.forward(logits, labels)).all()
        assert np.isfinite(tested.backward()).all()


@pytest.mark.parametrize("loss", LOSSES)
def test_batch_shapes_may_change(loss):
    reused = make_loss(loss)
    for shape in ((3, 6), (3, 3), (3, 6), (3, 2, 3)):
        logits, labels = make_batch(shape)
        unused = make_loss(loss)
        assert (reused.forward(logits, labels) == unused.forward(logits, labels)).all()
        assert (reused.backward() == unused.backward()).all()
