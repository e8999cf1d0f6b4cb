"""AdaGrad, with the defaults of Keras 3."""

from __future__ import annotations

from searchlab.backend import Array, xp_of
from searchlab.nn.parameter import Parameters
from searchlab.optim.optimizer import ArrayTuple, Optimizer
from searchlab.replicas import PerReplica, Replicas


class AdaGrad(Optimizer):
    """AdaGrad: s += dW²; W -= lr dW / sqrt(s + epsilon), where s starts as initial_accumulator.

    In the paper s starts at 0 and the small number is added to the root; both are here as in Keras.

    Args:
        parameters: The parameters to update.
        replicas: The replicas that they belong to.
        lr: Learning rate; default 0.001.
        initial_accumulator: Value of s before the first step; default 0.1.
        epsilon: Small number added to s; default 1e-7.

    Raises:
        UserMistake: When a number is negative.

    Reference:
        Duchi, Hazan and Singer (2011); Deep Learning from Scratch 1, section 6.1.

    Example:
        >>> from searchlab import AdaGrad
        >>> from searchlab.nn import Affine, Parameters, Replicas
        >>> replicas = Replicas([1])
        >>> parameters = Parameters(Affine(replicas, 2, 1).named_parameters())
        >>> parameters.grads[...] = 2.0
        >>> AdaGrad(parameters, replicas, lr=0.5, initial_accumulator=0.0, epsilon=0.0).update()
        >>> parameters.trainable["b"].value.tolist()  # -0.5 * 2 / sqrt(4)
        [[[-0.5]]]
    """

    def __init__(
        self,
        parameters: Parameters,
        replicas: Replicas,
        *,
        lr: PerReplica = 0.001,
        initial_accumulator: PerReplica = 0.1,
        epsilon: PerReplica = 1e-7,
    ) -> None:
        super().__init__(parameters)
        self.lr = self.validated_vector(replicas, "lr", lr)
        self.epsilon = self.validated_vector(replicas, "epsilon", epsilon)
        self.accumulator = xp_of(parameters.values).zeros_like(parameters.values)
        self.accumulator += self.validated_vector(replicas, "initial_accumulator", initial_accumulator)[:, None]

    def step_coefficients(self) -> ArrayTuple:
        return self.lr[:, None], self.epsilon[:, None]

    def extra_arrays(self) -> ArrayTuple:
        return (self.accumulator,)

    def step_block(self, arrays: ArrayTuple, coefficients: ArrayTuple) -> None:
        values, grads, accumulator = arrays
        lr, epsilon = coefficients
        xp, root = xp_of(grads), grads * grads
        accumulator += root
        xp.add(accumulator, epsilon, out=root)
        xp.sqrt(root, out=root)
        grads *= lr
        grads /= root
        values -= grads

    def slots(self) -> dict[str, Array]:
        return {"accumulator": self.accumulator}
