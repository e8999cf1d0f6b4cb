"""Every loss passes its contract, and the contract finds the errors that a loss can have."""

import numpy as np
import pytest

from searchlab import nn
from searchlab.nn import AbsoluteError, Huber, Loss, MeanSquaredError, SigmoidCrossEntropy, SoftmaxCrossEntropy
from searchlab.testing import check_loss

CASES = {
    SoftmaxCrossEntropy: {"smoothing": (0.0, 0.1, 0.5)},
    MeanSquaredError: None,
    AbsoluteError: None,
    Huber: {"delta": (0.3, 1.0, 2.0)},
    SigmoidCrossEntropy: None,
}


@pytest.mark.parametrize("loss", CASES, ids=lambda loss: loss.__name__)
def test_contract(loss):
    check_loss(loss)
    check_loss(loss, per_replica=CASES[loss])


def test_every_exported_loss_has_a_case():
    exported = {getattr(nn, name) for name in nn.__all__}
    losses = {each for each in exported if isinstance(each, type) and issubclass(each, Loss)}
    assert losses - {Loss} == set(CASES)


class SquaredDistance(Loss):
    """Half the squared distance, a correct loss: each wrong loss below differs from it in one respect."""

    def forward(self, outputs, targets):
        self._difference = outputs - targets
        rows = self._difference[0, ..., 0].size
        squares = self._difference * self._difference
        return 0.5 * squares.reshape(len(outputs), -1).sum(axis=1) / outputs.dtype.type(rows)

    def backward(self):
        return self._difference / self._difference.dtype.type(self._difference[0, ..., 0].size)


class WrongGradient(SquaredDistance):
    def backward(self):
        return super().backward() * np.float32(1.1)


class ChangesItsOutputs(SquaredDistance):
    def forward(self, outputs, targets):
        outputs -= targets
        return super().forward(outputs, targets * 0)


class OneLossForAll(SquaredDistance):
    def forward(self, outputs, targets):
        return super().forward(outputs, targets).mean(keepdims=True) + np.zeros(len(outputs), outputs.dtype)


class ReturnsFloat64(SquaredDistance):
    def forward(self, outputs, targets):
        return super().forward(outputs, targets).astype(np.float64)


class HidesNaN(SquaredDistance):
    def forward(self, outputs, targets):
        return np.nan_to_num(super().forward(outputs, targets))


def test_a_correct_custom_loss_passes():
    check_loss(SquaredDistance, labels=False)


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (WrongGradient, "finite differences"),
        (ChangesItsOutputs, "changed the outputs"),
        (OneLossForAll, "finite differences|fused and alone"),
        (ReturnsFloat64, "is float64"),
        (HidesNaN, "expected NaN"),
    ],
)
def test_contract_finds(loss, message):
    with pytest.raises(AssertionError, match=message):
        check_loss(loss, labels=False)
