"""RMSprop, with the defaults of Keras 3."""

from __future__ import annotations

from searchlab.backend import Array, xp_of
from searchlab.nn.parameter import Parameters
from searchlab.optim.optimizer import ArrayTuple, Optimizer
from searchlab.replicas import PerReplica, Replicas


class RMSprop(Optimizer):
    """RMSprop: s = rho s + (1 - rho) dW²; v = momentum v + lr dW / sqrt(s + epsilon); W -= v.

    Gradients are not centered. The reference has no epsilon; Keras has it under the root, as here.

    Args:
        parameters: The parameters to update.
        replicas: The replicas that they belong to.
        lr: Learning rate; default 0.001.
        rho: Decay of the mean square; default 0.9.
        momentum: Share of the velocity that is kept; default 0.
        epsilon: Small number added to s; default 1e-7.

    Raises:
        UserMistake: When a number is negative, or a decay or momentum is not below 1.

    Reference:
        Tieleman and Hinton (2012), lecture 6e of Hinton's course.

    Example:
        >>> from searchlab import RMSprop
        >>> from searchlab.nn import Affine, Parameters, Replicas
        >>> replicas = Replicas([1])
        >>> parameters = Parameters(Affine(replicas, 2, 1).named_parameters())
        >>> parameters.grads[...] = 2.0
        >>> RMSprop(parameters, replicas, lr=0.25, rho=0.75, epsilon=0.0).update()
        >>> parameters.trainable["b"].value.tolist()  # -0.25 * 2 / sqrt(0.25 * 4)
        [[[-0.5]]]
    """

    def __init__(
        self,
        parameters: Parameters,
        replicas: Replicas,
        *,
        lr: PerReplica = 0.001,
        rho: PerReplica = 0.9,
        momentum: PerReplica = 0.0,
        epsilon: PerReplica = 1e-7,
    ) -> None:
        super().__init__(parameters)
        self.lr = self.validated_vector(replicas, "lr", lr)
        self.epsilon = self.validated_vector(replicas, "epsilon", epsilon)
        self.rho = self.validated_vector(replicas, "rho", rho, below=1.0)
        self.momentum = self.validated_vector(replicas, "momentum", momentum, below=1.0)
        self.square = xp_of(parameters.values).zeros_like(parameters.values)
        self.velocity = xp_of(parameters.values).zeros_like(parameters.values)

    def step_coefficients(self) -> ArrayTuple:
        complement = 1.0 - self.rho
        return self.lr[:, None], self.rho[:, None], complement[:, None], self.momentum[:, None], self.epsilon[:, None]

    def extra_arrays(self) -> ArrayTuple:
        return self.square, self.velocity

    def step_block(self, arrays: ArrayTuple, coefficients: ArrayTuple) -> None:
        values, grads, square, velocity = arrays
        lr, rho, complement, momentum, epsilon = coefficients
        xp, root = xp_of(grads), grads * grads
        root *= complement
        square *= rho
        square += root
        xp.add(square, epsilon, out=root)
        xp.sqrt(root, out=root)
        grads *= lr
        grads /= root
        velocity *= momentum
        velocity += grads
        values -= velocity

    def slots(self) -> dict[str, Array]:
        return {"square": self.square, "velocity": self.velocity}
