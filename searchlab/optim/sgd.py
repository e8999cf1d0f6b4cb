"""Gradient descent, plain and with momentum; defaults are those of Keras 3's SGD, and 0.9 for momentum."""

from __future__ import annotations

from searchlab.backend import Array, xp_of
from searchlab.kernels import compiled, uses_compiled
from searchlab.nn.parameter import Parameters
from searchlab.optim.optimizer import ArrayTuple, Optimizer, compiled_step
from searchlab.replicas import PerReplica, Replicas


class SGD(Optimizer):
    """Stochastic gradient descent: W -= lr dW.

    Args:
        parameters: The parameters to update.
        replicas: The replicas that they belong to.
        lr: Learning rate; default 0.01.

    Raises:
        UserMistake: When the learning rate is negative.

    Reference:
        Robbins and Monro (1951).

    Example:
        >>> from searchlab import SGD
        >>> from searchlab.nn import Affine, Parameters, Replicas
        >>> replicas = Replicas([1, 2])
        >>> parameters = Parameters(Affine(replicas, 2, 1).named_parameters())
        >>> parameters.grads[...] = 1.0
        >>> SGD(parameters, replicas, lr=[0.5, 0.25]).update()  # a learning rate for each replica
        >>> parameters.trainable["b"].value.ravel().tolist()
        [-0.5, -0.25]
    """

    def __init__(self, parameters: Parameters, replicas: Replicas, *, lr: PerReplica = 0.01) -> None:
        super().__init__(parameters)
        self.lr = self.validated_vector(replicas, "lr", lr)

    def step_coefficients(self) -> ArrayTuple:
        return (self.lr[:, None],)

    def step_block(self, arrays: ArrayTuple, coefficients: ArrayTuple) -> None:
        values, grads = arrays
        if uses_compiled(values) and values.ndim == 2:
            compiled_step(compiled("sgd").sgd, arrays, coefficients)
            return
        grads *= coefficients[0]
        values -= grads


class _WithVelocity(Optimizer):
    """The shared part of Momentum and Nesterov: the velocity, which is kept from step to step."""

    def __init__(self, parameters: Parameters, replicas: Replicas, lr: PerReplica, momentum: PerReplica) -> None:
        super().__init__(parameters)
        self.lr = self.validated_vector(replicas, "lr", lr)
        self.momentum = self.validated_vector(replicas, "momentum", momentum, below=1.0)
        self.velocity = xp_of(parameters.values).zeros_like(parameters.values)

    def step_coefficients(self) -> ArrayTuple:
        return self.lr[:, None], self.momentum[:, None]

    def extra_arrays(self) -> ArrayTuple:
        return (self.velocity,)

    def slots(self) -> dict[str, Array]:
        return {"velocity": self.velocity}


class Momentum(_WithVelocity):
    """Gradient descent with momentum: v = momentum v - lr dW; W += v.

    Args:
        parameters: The parameters to update.
        replicas: The replicas that they belong to.
        lr: Learning rate; default 0.01.
        momentum: Share of the velocity that is kept; default 0.9.

    Raises:
        UserMistake: When the learning rate is negative, or the momentum is not in [0, 1).

    Reference:
        Polyak (1964), as Keras writes it; Deep Learning from Scratch 1, section 6.1.

    Example:
        >>> from searchlab import Momentum
        >>> from searchlab.nn import Affine, Parameters, Replicas
        >>> replicas = Replicas([1])
        >>> parameters = Parameters(Affine(replicas, 2, 1).named_parameters())
        >>> optimizer = Momentum(parameters, replicas, lr=0.25, momentum=0.5)
        >>> for _ in range(2):
        ...     parameters.grads[...] = 1.0
        ...     optimizer.update()
        >>> parameters.trainable["b"].value.tolist()  # -0.25, then -0.25 - 0.5 * 0.25
        [[[-0.625]]]
    """

    def __init__(
        self, parameters: Parameters, replicas: Replicas, *, lr: PerReplica = 0.01, momentum: PerReplica = 0.9
    ) -> None:
        super().__init__(parameters, replicas, lr, momentum)

    def step_block(self, arrays: ArrayTuple, coefficients: ArrayTuple) -> None:
        values, grads, velocity = arrays
        if uses_compiled(values) and values.ndim == 2:
            compiled_step(compiled("sgd").momentum, arrays, coefficients)
            return
        lr, momentum = coefficients
        grads *= lr
        velocity *= momentum
        velocity -= grads
        values += velocity


class Nesterov(_WithVelocity):
    """Nesterov's accelerated gradient: v = momentum v - lr dW; W += momentum v - lr dW.

    W is the point looked ahead to, at which the gradient is taken, as in Keras (SGD with nesterov=True) and Bengio et
    al. (2013).

    Args:
        parameters: The parameters to update.
        replicas: The replicas that they belong to.
        lr: Learning rate; default 0.01.
        momentum: Share of the velocity that is kept; default 0.9.

    Raises:
        UserMistake: When the learning rate is negative, or the momentum is not in [0, 1).

    Reference:
        Nesterov (1983), as Sutskever, Martens, Dahl and Hinton (2013) write it, except for W, as described above.

    Example:
        >>> from searchlab import Nesterov
        >>> from searchlab.nn import Affine, Parameters, Replicas
        >>> replicas = Replicas([1])
        >>> parameters = Parameters(Affine(replicas, 2, 1).named_parameters())
        >>> parameters.grads[...] = 1.0
        >>> Nesterov(parameters, replicas, lr=0.25, momentum=0.5).update()
        >>> parameters.trainable["b"].value.tolist()  # -0.5 * 0.25 - 0.25
        [[[-0.375]]]
    """

    def __init__(
        self, parameters: Parameters, replicas: Replicas, *, lr: PerReplica = 0.01, momentum: PerReplica = 0.9
    ) -> None:
        super().__init__(parameters, replicas, lr, momentum)

    def step_block(self, arrays: ArrayTuple, coefficients: ArrayTuple) -> None:
        values, grads, velocity = arrays
        lr, momentum = coefficients
        grads *= lr
        velocity *= momentum
        velocity -= grads
        values -= grads
        values += xp_of(grads).multiply(velocity, momentum, out=grads)
