"""Gradient descent, plain and with momentum; defaults are those of Keras 3's SGD, and 0.9 for momentum."""

from __future__ import annotations

from searchlab.backend import Array, xp_of
from searchlab.nn.parameter import Parameters
from searchlab.optim.optimizer import Arrays, Optimizer
from searchlab.replicas import PerReplica, Replicas


class SGD(Optimizer):
    """Stochastic gradient descent: W -= lr dW (Robbins and Monro 1951)."""

    def __init__(self, parameters: Parameters, replicas: Replicas, *, lr: PerReplica = 0.01) -> None:
        super().__init__(parameters)
        self.lr = replicas.vector(lr)

    def prepare(self) -> Arrays:
        return (self.lr[:, None],)

    def move(self, arrays: Arrays, rates: Arrays) -> None:
        values, grads = arrays
        grads *= rates[0]
        values -= grads


class _WithVelocity(Optimizer):
    """What Momentum and Nesterov share: the velocity that they remember."""

    def __init__(self, parameters: Parameters, replicas: Replicas, lr: PerReplica, momentum: PerReplica) -> None:
        super().__init__(parameters)
        self.lr, self.momentum = replicas.vector(lr), replicas.vector(momentum)
        self.velocity = xp_of(parameters.values).zeros_like(parameters.values)

    def prepare(self) -> Arrays:
        return self.lr[:, None], self.momentum[:, None]

    def own_arrays(self) -> Arrays:
        return (self.velocity,)

    def slots(self) -> dict[str, Array]:
        return {"velocity": self.velocity}


class Momentum(_WithVelocity):
    """Gradient descent with momentum: v = momentum v - lr dW; W += v (Polyak 1964, as Keras writes it)."""

    def __init__(
        self, parameters: Parameters, replicas: Replicas, *, lr: PerReplica = 0.01, momentum: PerReplica = 0.9
    ) -> None:
        super().__init__(parameters, replicas, lr, momentum)

    def move(self, arrays: Arrays, rates: Arrays) -> None:
        values, grads, velocity = arrays
        lr, momentum = rates
        grads *= lr
        velocity *= momentum
        velocity -= grads
        values += velocity


class Nesterov(_WithVelocity):
    """Nesterov's accelerated gradient: v = momentum v - lr dW; W += momentum v - lr dW.

    Nesterov (1983) as Sutskever, Martens, Dahl and Hinton (2013) write it, except that W is the point looked ahead to,
    at which the gradient is taken: so do Keras (SGD with nesterov=True) and Bengio et al. (2013).
    """

    def __init__(
        self, parameters: Parameters, replicas: Replicas, *, lr: PerReplica = 0.01, momentum: PerReplica = 0.9
    ) -> None:
        super().__init__(parameters, replicas, lr, momentum)

    def move(self, arrays: Arrays, rates: Arrays) -> None:
        values, grads, velocity = arrays
        lr, momentum = rates
        grads *= lr
        velocity *= momentum
        velocity -= grads
        values -= grads
        values += xp_of(grads).multiply(velocity, momentum, out=grads)
