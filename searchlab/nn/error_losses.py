"""Losses of errors that heed outliers less than squares do."""

from __future__ import annotations

from searchlab.backend import Array, row_sums, xp_of
from searchlab.nn.loss import ErrorLoss
from searchlab.replicas import PerReplica, Replicas, align


class AbsoluteError(ErrorLoss):
    """The absolute error, averaged over outputs and targets: PyTorch's L1Loss and Keras' MeanAbsoluteError.

    A network that minimizes it predicts medians, so it heeds outliers less than one that minimizes squares. The metric
    of that kind is `MeanAbsoluteError`, in the unit of the targets; this loss is of the standardized targets.

    Args:
        replicas: The replicas.

    Reference:
        Hastie, Tibshirani and Friedman (2009), The Elements of Statistical Learning, section 10.6.

    Example:
        >>> from searchlab import AbsoluteError
        >>> import numpy as np
        >>> from searchlab.nn import Replicas
        >>> loss = AbsoluteError(Replicas([1]))
        >>> loss.forward(np.array([[[1.0, -2.0]]]), np.zeros((1, 1, 2))).tolist()
        [1.5]
        >>> loss.backward().tolist()
        [[[0.5, -0.5]]]
    """

    def forward(self, outputs: Array, targets: Array) -> Array:
        self._error = self._errors(outputs, targets)
        return self._mean_losses(row_sums(xp_of(outputs).abs(self._error)), outputs.shape[-1])

    def backward(self) -> Array:
        """Return the sign of each error, divided by the number of outputs and targets."""
        return self._mean_gradient(xp_of(self._error).sign(self._error), self._error.shape[2])


class Huber(ErrorLoss):
    """Half the squared error up to `delta`, and from there on a straight line; averaged over outputs and targets.

    It is Keras' Huber and PyTorch's HuberLoss.

    Args:
        replicas: The replicas.
        delta: The absolute error at which the loss becomes linear, positive; one per replica allowed. Default 1. It is
            in the unit that the network is trained in: standard deviations of the targets where the data set
            standardizes them, as `Csv`, `Npz` and `Arrays` do by default.

    Raises:
        UserMistake: When a delta is not positive.

    Reference:
        Huber (1964), Robust Estimation of a Location Parameter.

    Example:
        >>> from searchlab import Huber
        >>> import numpy as np
        >>> from searchlab.nn import Replicas
        >>> loss = Huber(Replicas([1]), delta=1.0)
        >>> loss.forward(np.array([[[1.0, -3.0]]]), np.zeros((1, 1, 2))).tolist()  # (1 / 2 + 5 / 2) / 2
        [1.5]
        >>> loss.backward().tolist()
        [[[0.5, -0.5]]]
    """

    def __init__(self, replicas: Replicas, *, delta: PerReplica = 1.0) -> None:
        super().__init__(replicas)
        self.delta = replicas.vector(replicas.validated(self, "delta", delta, "above 0", lambda values: values > 0.0))

    def forward(self, outputs: Array, targets: Array) -> Array:
        xp, self._error = xp_of(outputs), self._errors(outputs, targets)
        size = xp.abs(self._error)
        bounded = xp.minimum(size, align(self.delta, size))
        return self._mean_losses(row_sums(bounded * (size - bounded * 0.5)), outputs.shape[-1])

    def backward(self) -> Array:
        """Return each error, bounded by delta, divided by the number of outputs and targets."""
        xp, delta = xp_of(self._error), align(self.delta, self._error)
        bounded = xp.maximum(xp.minimum(self._error, delta), -delta)
        return self._mean_gradient(bounded, self._error.shape[2])
