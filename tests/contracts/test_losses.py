"""Every loss keeps the contract, and the contract catches losses that do not."""

import numpy as np
import pytest

from searchlab import nn
from searchlab.nn import Loss, MeanSquaredError, SigmoidCrossEntropy, SoftmaxCrossEntropy
from searchlab.testing import check_loss

CASES = {
    SoftmaxCrossEntropy: {"smoothing": (0.0, 0.1, 0.5)},
    MeanSquaredError: None,
    SigmoidCrossEntropy: None,
}


@pytest.mark.parametrize("loss", CASES, ids=lambda loss: loss.__name__)
def test_loss_keeps_the_contract(loss):
    check_loss(loss)
    check_loss(loss, per_replica=CASES[loss])


def test_every_loss_has_a_case():
    exported = {getattr(nn, name) for name in nn.__all__}
    losses = {part for part in exported if isinstance(part, type) and issubclass(part, Loss) and part is not Loss}
    assert losses == set(CASES)


class Distance(Loss):
    """Half the squared distance: sound. The broken losses below differ from it in one respect."""

    def forward(self, outputs, targets):
        self._gap = outputs - targets
        rows = self._gap[0, ..., 0].size
        return 0.5 * (self._gap * self._gap).reshape(len(outputs), -1).sum(axis=1) / outputs.dtype.type(rows)

    def backward(self):
        return self._gap / self._gap.dtype.type(self._gap[0, ..., 0].size)


class WrongSlope(Distance):
    def backward(self):
        return super().backward() * np.float32(1.1)


class ChangesItsOutputs(Distance):
    def forward(self, outputs, targets):
        outputs -= targets
        return super().forward(outputs, targets * 0)


class OneLossForAll(Distance):
    def forward(self, outputs, targets):
        return super().forward(outputs, targets).mean(keepdims=True) + np.zeros(len(outputs), outputs.dtype)


class Float64(Distance):
    def forward(self, outputs, targets):
        return super().forward(outputs, targets).astype(np.float64)


class HidesNaN(Distance):
    def forward(self, outputs, targets):
        return np.nan_to_num(super().forward(outputs, targets))


def test_a_sound_loss_of_ones_own_passes():
    check_loss(Distance, labels=False)


@pytest.mark.parametrize(
    ("broken", "rule"),
    [
        (WrongSlope, "finite differences"),
        (ChangesItsOutputs, "changed the outputs"),
        (OneLossForAll, "finite differences|fused and alone"),
        (Float64, "is float64"),
        (HidesNaN, "NaN is due"),
    ],
)
def test_contract_catches(broken, rule):
    with pytest.raises(AssertionError, match=rule):
        check_loss(broken, labels=False)
