"""Batch normalization, each replica by its own statistics."""

from __future__ import annotations

from searchlab.backend import Array, as_matrices, column_sums, to_host, xp_of
from searchlab.nn.module import Layer
from searchlab.nn.parameter import Parameter
from searchlab.replicas import PerReplica, Replicas


class BatchNorm(Layer):
    """y = gamma (x - mean) / sqrt(variance + epsilon) + beta, over the rows of each replica's batch.

    Ioffe and Szegedy 2015; Deep Learning from Scratch 1, chapter 6. Outside training, running statistics stand in for
    the batch's: after each batch they are `momentum` of what they were (0.9 as in the book; Keras: 0.99, which is slow
    where an epoch has few batches). They are saved with the weights. Raises ValueError for a momentum outside [0, 1).
    """

    def __init__(
        self, replicas: Replicas, features: int, *, momentum: PerReplica = 0.9, epsilon: PerReplica = 1e-3
    ) -> None:
        rates = to_host(replicas.vector(momentum))
        if not ((rates >= 0.0) & (rates < 1.0)).all():
            raise ValueError(f"the momentum of BatchNorm lies in [0, 1); got {rates.tolist()}")
        self.gamma = Parameter(replicas.full(1, features, value=1.0))
        self.beta = Parameter(replicas.zeros(1, features))
        self.mean = Parameter(replicas.zeros(1, features), learned=False)
        self.variance = Parameter(replicas.full(1, features, value=1.0), learned=False)
        self.momentum = replicas.full(1, 1, value=momentum)  # (R, 1, 1)
        self.epsilon = replicas.full(1, 1, value=epsilon)

    def forward(self, x: Array, *, train: bool) -> Array:
        matrices, xp = as_matrices(x), xp_of(x)  # (R, N, features)
        if not train:
            scale = self.gamma.value / xp.sqrt(self.variance.value + self.epsilon)
            y = (matrices - self.mean.value) * scale
        else:
            share = 1.0 / matrices.shape[1]
            mean = column_sums(matrices) * share
            centred = matrices - mean
            variance = column_sums(centred * centred) * share
            self._follow(self.mean, mean)
            self._follow(self.variance, variance)
            self._inverse = 1.0 / xp.sqrt(variance + self.epsilon)  # (R, 1, features)
            centred *= self._inverse
            self._normal = centred
            y = centred * self.gamma.value
        y += self.beta.value
        shaped: Array = y.reshape(x.shape)
        return shaped

    def backward(self, dy: Array) -> Array:
        along_gamma, along_beta = self._learn(dy)
        # the batch's own mean and variance moved with x: take from dy what went into them
        dx = as_matrices(dy) - along_beta
        dx -= self._normal * along_gamma
        dx *= self.gamma.value * self._inverse
        shaped: Array = dx.reshape(dy.shape)
        return shaped

    def backward_parameters(self, dy: Array) -> None:
        self._learn(dy)

    def _learn(self, dy: Array) -> tuple[Array, Array]:
        """Set the gradients; the mean over the rows of dy times the normalized x, and of dy: (R, 1, features) each."""
        rows = as_matrices(dy)
        dgamma, dbeta = column_sums(rows * self._normal), column_sums(rows)
        self.gamma.learn(dgamma)
        self.beta.learn(dbeta)
        share = 1.0 / rows.shape[1]
        return dgamma * share, dbeta * share

    def _follow(self, running: Parameter, latest: Array) -> None:
        running.value *= self.momentum
        running.value += (1.0 - self.momentum) * latest
