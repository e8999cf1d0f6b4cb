"""Cross entropy: its value by hand, its gradient by finite differences, its lanes apart."""

import numpy as np
import pytest

from searchlab.nn import SoftmaxCrossEntropy
from searchlab.testing.gradients import agrees

SHAPES = [(3, 5), (3, 1), (3, 4, 2), (1, 1)]  # (R, B) and (R, T, B)


def problem(shape, classes=4, dtype=np.float64):
    generator = np.random.default_rng(0)
    logits = generator.standard_normal((*shape, classes)).astype(dtype)
    return logits, generator.integers(classes, size=shape)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("classes", [2, 10, 100])
def test_value_is_minus_the_log_of_the_share_of_the_label(shape, classes):
    logits, labels = problem(shape, classes)
    share = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    at_label = np.take_along_axis(share, labels[..., None], axis=-1)
    expected = -np.log(at_label).reshape(len(logits), -1).mean(axis=1)
    assert SoftmaxCrossEntropy().forward(logits, labels) == pytest.approx(expected)


def test_even_odds_cost_the_log_of_their_number():
    loss = SoftmaxCrossEntropy().forward(np.zeros((2, 3, 5), np.float32), np.zeros((2, 3), int))
    assert loss == pytest.approx([np.log(5.0)] * 2)
    assert loss.dtype == np.float32


@pytest.mark.parametrize("shape", SHAPES)
def test_gradient_agrees_with_finite_differences(shape):
    logits, labels = problem(shape)
    loss = SoftmaxCrossEntropy()
    loss.forward(logits, labels)
    gradient = loss.backward().copy()
    assert gradient.shape == logits.shape
    agrees(lambda: SoftmaxCrossEntropy().forward(logits, labels), logits, gradient, "the gradient of the logits")
    with pytest.raises(AssertionError, match="finite differences"):
        agrees(lambda: SoftmaxCrossEntropy().forward(logits, labels), logits, gradient * 1.01, "a wrong gradient")


def test_logits_are_left_alone_and_huge_ones_do_not_overflow():
    logits, labels = problem((2, 3), dtype=np.float32)
    logits[0, 0] = [10_000.0, -10_000.0, 0.0, 0.0]
    before = logits.copy()
    loss = SoftmaxCrossEntropy()
    with np.errstate(under="ignore"):
        assert np.isfinite(loss.forward(logits, labels)).all()
        assert np.isfinite(loss.backward()).all()
    assert (logits == before).all()


@pytest.mark.parametrize("shape", SHAPES[:3])
def test_fused_equals_alone_and_nan_stays_in_its_lane(shape):
    logits, labels = problem(shape, dtype=np.float32)
    fused = SoftmaxCrossEntropy()
    together, gradient = fused.forward(logits, labels), fused.backward().copy()
    for r in range(len(logits)):
        alone = SoftmaxCrossEntropy()
        assert alone.forward(logits[r : r + 1], labels[r : r + 1])[0] == together[r]
        assert (alone.backward()[0] == gradient[r]).all()
    logits[1] = np.nan
    with np.errstate(all="ignore"):
        sick = fused.forward(logits, labels)
        assert np.isnan(sick[1])
        assert (sick[[0, 2]] == together[[0, 2]]).all()
        assert (fused.backward()[[0, 2]] == gradient[[0, 2]]).all()


@pytest.mark.parametrize("batch", [1, 2, 5])
def test_survivors_find_their_own_labels(batch):
    """With one target per replica, indices kept from before keep(rows) have the right size and wrong numbers."""
    logits, labels = problem((4, batch))
    loss = SoftmaxCrossEntropy()
    together = loss.forward(logits, labels)
    loss.keep(np.array([3, 1]))
    assert (loss.forward(logits[[3, 1]], labels[[3, 1]]) == together[[3, 1]]).all()


def test_batches_may_change_their_size():
    loss = SoftmaxCrossEntropy()
    for shape in ((2, 6), (2, 3), (2, 6), (2, 2, 3)):
        logits, labels = problem(shape)
        assert (loss.forward(logits, labels) == SoftmaxCrossEntropy().forward(logits, labels)).all()
        assert (loss.backward() == gradient_of(logits, labels)).all()


def gradient_of(logits, labels):
    loss = SoftmaxCrossEntropy()
    loss.forward(logits, labels)
    return loss.backward()
