"""Layer normalization, with statistics of each row's own features."""

from __future__ import annotations

from searchlab.backend import Array, as_matrices, column_sums, row_sums, xp_of
from searchlab.nn.module import Layer
from searchlab.nn.parameter import Parameter
from searchlab.replicas import PerReplica, Replicas


class LayerNorm(Layer):
    """Layer normalization: y = gamma (x - mean) / sqrt(variance + epsilon) + beta, over the features of each row.

    A row is normalized by itself: the layer is the same in training and outside it, and no row depends on another.

    Args:
        replicas: The replicas; the layer draws nothing.
        features: Size F of the last axis.
        epsilon: Number added to the variance, above 0; default 1e-5 as in PyTorch (Keras: 1e-3).

    Attributes:
        gamma: Scale (R, 1, F), trainable; it starts at 1.
        beta: Offset (R, 1, F), trainable; it starts at 0.

    Raises:
        UserMistake: When an epsilon is not above 0: the variance of one feature is 0.

    Reference:
        Ba, Kiros and Hinton (2016).

    Example:
        >>> from searchlab import LayerNorm
        >>> import numpy as np
        >>> from searchlab.nn import Replicas
        >>> norm = LayerNorm(Replicas([1]), 2)
        >>> norm.forward(np.array([[[1.0, 3.0], [10.0, 50.0]]], np.float32), train=True).round(3).tolist()
        [[[-1.0, 1.0], [-1.0, 1.0]]]
    """

    def __init__(self, replicas: Replicas, features: int, *, epsilon: PerReplica = 1e-5) -> None:
        replicas.validated(self, "epsilon", epsilon, "above 0", lambda values: values > 0.0)
        self.gamma = Parameter(replicas.full(1, features, value=1.0))
        self.beta = Parameter(replicas.zeros(1, features))
        self.epsilon = replicas.full(1, 1, value=epsilon)  # (R, 1, 1)

    def forward(self, x: Array, *, train: bool) -> Array:
        matrices, xp = as_matrices(x), xp_of(x)  # (R, N, F)
        feature_weight = 1.0 / matrices.shape[2]
        centered = matrices - row_sums(matrices) * feature_weight
        variance = row_sums(centered * centered) * feature_weight  # (R, N, 1)
        variance += self.epsilon
        self._inverse_std = 1.0 / xp.sqrt(variance)
        centered *= self._inverse_std
        self._normalized = centered
        y = centered * self.gamma.value
        y += self.beta.value
        shaped: Array = y.reshape(x.shape)
        return shaped

    def backward(self, dy: Array) -> Array:
        self.backward_parameters(dy)
        feature_weight = 1.0 / dy.shape[-1]
        dx = as_matrices(dy) * self.gamma.value
        # the row's mean and variance depend on x: subtract the components along them
        along = row_sums(dx * self._normalized) * feature_weight  # (R, N, 1)
        dx -= row_sums(dx) * feature_weight
        dx -= self._normalized * along
        dx *= self._inverse_std
        shaped: Array = dx.reshape(dy.shape)
        return shaped

    def backward_parameters(self, dy: Array) -> None:
        matrices = as_matrices(dy)
        self.gamma.add_gradient(column_sums(matrices * self._normalized))
        self.beta.add_gradient(column_sums(matrices))
