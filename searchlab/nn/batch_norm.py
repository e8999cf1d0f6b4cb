"""Batch normalization, with statistics of each replica's own batch."""

from __future__ import annotations

from searchlab.backend import Array, as_matrices, column_sums, to_host, xp_of
from searchlab.nn.module import Layer
from searchlab.nn.parameter import Parameter
from searchlab.replicas import PerReplica, Replicas


class BatchNorm(Layer):
    """Batch normalization: y = gamma (x - mean) / sqrt(variance + epsilon) + beta, over the rows of a replica's batch.

    Outside training, running statistics replace those of the batch. After each batch, running = momentum running +
    (1 - momentum) batch. They are saved with the weights.

    Args:
        replicas: The replicas; the layer draws nothing.
        features: Size F of the last axis.
        momentum: Weight of the old running statistics, in [0, 1); default 0.9 as in the book (Keras: 0.99, which is
            slow where an epoch has few batches).
        epsilon: Number added to the variance; default 0.001 as in Keras.

    Attributes:
        gamma: Scale (R, 1, F), trainable.
        beta: Offset (R, 1, F), trainable.
        mean: Running mean (R, 1, F).
        variance: Running variance (R, 1, F).

    Raises:
        ValueError: When a momentum lies outside [0, 1).

    Reference:
        Ioffe and Szegedy (2015); Deep Learning from Scratch 1, chapter 6.

    Example:
        >>> from searchlab import BatchNorm
        >>> import numpy as np
        >>> from searchlab.nn import Replicas
        >>> norm = BatchNorm(Replicas([1]), 1, epsilon=0.0)
        >>> norm.forward(np.array([[[1.0], [3.0]]], np.float32), train=True).tolist()
        [[[-1.0], [1.0]]]
    """

    def __init__(
        self, replicas: Replicas, features: int, *, momentum: PerReplica = 0.9, epsilon: PerReplica = 1e-3
    ) -> None:
        momenta = to_host(replicas.vector(momentum))
        if not ((momenta >= 0.0) & (momenta < 1.0)).all():
            raise ValueError(f"BatchNorm needs a momentum in [0, 1); got {momenta.tolist()}")
        self.gamma = Parameter(replicas.full(1, features, value=1.0))
        self.beta = Parameter(replicas.zeros(1, features))
        self.mean = Parameter(replicas.zeros(1, features), trainable=False)
        self.variance = Parameter(replicas.full(1, features, value=1.0), trainable=False)
        self.momentum = replicas.full(1, 1, value=momentum)  # (R, 1, 1)
        self.epsilon = replicas.full(1, 1, value=epsilon)  # (R, 1, 1)

    def forward(self, x: Array, *, train: bool) -> Array:
        matrices, xp = as_matrices(x), xp_of(x)  # (R, N, F)
        if not train:
            scale = self.gamma.value / xp.sqrt(self.variance.value + self.epsilon)
            y = (matrices - self.mean.value) * scale
        else:
            row_weight = 1.0 / matrices.shape[1]
            mean = column_sums(matrices) * row_weight
            centered = matrices - mean
            variance = column_sums(centered * centered) * row_weight
            self._update_running(self.mean, mean)
            self._update_running(self.variance, variance)
            self._inverse_std = 1.0 / xp.sqrt(variance + self.epsilon)  # (R, 1, F)
            centered *= self._inverse_std
            self._normalized = centered
            y = centered * self.gamma.value
        y += self.beta.value
        shaped: Array = y.reshape(x.shape)
        return shaped

    def backward(self, dy: Array) -> Array:
        mean_dgamma, mean_dbeta = self._set_gradients(dy)
        # the batch's mean and variance depend on x: subtract from dy its components along them
        dx = as_matrices(dy) - mean_dbeta
        dx -= self._normalized * mean_dgamma
        dx *= self.gamma.value * self._inverse_std
        shaped: Array = dx.reshape(dy.shape)
        return shaped

    def backward_parameters(self, dy: Array) -> None:
        self._set_gradients(dy)

    def _set_gradients(self, dy: Array) -> tuple[Array, Array]:
        """Set the gradients, and return the means over rows of dy times the normalized x and of dy: (R, 1, F) each."""
        matrices = as_matrices(dy)
        dgamma, dbeta = column_sums(matrices * self._normalized), column_sums(matrices)
        self.gamma.add_gradient(dgamma)
        self.beta.add_gradient(dbeta)
        row_weight = 1.0 / matrices.shape[1]
        return dgamma * row_weight, dbeta * row_weight

    def _update_running(self, running: Parameter, batch: Array) -> None:
        running.value *= self.momentum
        running.value += (1.0 - self.momentum) * batch
