"""Adam and AdamW, with the defaults of Keras 3."""

from __future__ import annotations

from searchlab.backend import Array, xp_of
from searchlab.kernels import compiled, uses_compiled
from searchlab.nn.parameter import Parameters
from searchlab.optim.optimizer import ArrayTuple, Optimizer, compiled_step
from searchlab.replicas import PerReplica, Replicas


class _AdamMoments(Optimizer):
    """The shared part of Adam and AdamW: decaying sums of gradients and of their squares, and the step they give.

    m = beta1 m + dW and n1 = beta1 n1 + 1, so m / n1 is the mean of the gradients, weighted by beta1^age; in the same
    way s / n2, of dW². The paper's moments are (1 - beta) times these sums, and its bias corrections 1 - beta^t are
    (1 - beta) times these counts: the factor cancels, and with it two passes over all parameters.
    """

    def __init__(
        self,
        parameters: Parameters,
        replicas: Replicas,
        *,
        lr: PerReplica,
        beta1: PerReplica,
        beta2: PerReplica,
        epsilon: PerReplica,
    ) -> None:
        super().__init__(parameters)
        self.lr = self.validated_vector(replicas, "lr", lr)
        self.epsilon = self.validated_vector(replicas, "epsilon", epsilon)
        self.beta1 = self.validated_vector(replicas, "beta1", beta1, below=1.0)
        self.beta2 = self.validated_vector(replicas, "beta2", beta2, below=1.0)
        self.gradients = xp_of(parameters.values).zeros_like(parameters.values)  # m
        self.squares = xp_of(parameters.values).zeros_like(parameters.values)  # s
        self.count1, self.count2 = replicas.zeros(), replicas.zeros()  # n1 and n2, (R,)

    def step_coefficients(self) -> ArrayTuple:
        self.count1 = self.count1 * self.beta1 + 1.0  # not in place: NumPy takes three times as long for one number
        self.count2 = self.count2 * self.beta2 + 1.0
        root = xp_of(self.count2).sqrt(self.count2)
        rate = self.lr * root / self.count1
        return self.beta1[:, None], self.beta2[:, None], (self.epsilon * root)[:, None], rate[:, None]

    def extra_arrays(self) -> ArrayTuple:
        return self.gradients, self.squares

    def step_block(self, arrays: ArrayTuple, coefficients: ArrayTuple) -> None:
        values, grads, gradients, squares = arrays
        beta1, beta2, epsilon, rate = coefficients
        if uses_compiled(values) and values.ndim == 2:
            compiled_step(compiled("adam").adam, arrays, coefficients)
            return
        xp = xp_of(grads)
        gradients *= beta1
        gradients += grads
        grads *= grads
        squares *= beta2
        squares += grads
        step = xp.sqrt(squares, out=grads)
        step += epsilon
        xp.divide(gradients, step, out=step)
        step *= rate
        values -= step

    def slots(self) -> dict[str, Array]:
        return {"gradients": self.gradients, "squares": self.squares, "count1": self.count1, "count2": self.count2}


class Adam(_AdamMoments):
    """Adam: W -= lr m / (sqrt(s) + epsilon), where m and s are means of dW and dW² weighted by beta1^age and beta2^age.

    epsilon is added to the root after the bias correction, as in the paper's algorithm. Keras adds it before (the
    paper's "epsilon hat"), where it weighs more in the first steps.

    Args:
        parameters: The parameters to update.
        replicas: The replicas that they belong to.
        lr: Learning rate; default 0.001.
        beta1: Decay of the mean of gradients; default 0.9.
        beta2: Decay of the mean of squared gradients; default 0.999.
        epsilon: Small number added to the root; default 1e-7.

    Raises:
        UserMistake: When a number is negative, or one of the decays is not below 1.

    Reference:
        Kingma and Ba (2015), algorithm 1; Deep Learning from Scratch 1, section 6.1.

    Example:
        >>> from searchlab import Adam
        >>> from searchlab.nn import Affine, Parameters, Replicas
        >>> replicas = Replicas([1])
        >>> parameters = Parameters(Affine(replicas, 2, 1).named_parameters())
        >>> parameters.grads[...] = 7.0
        >>> Adam(parameters, replicas, lr=0.5).update()
        >>> parameters.trainable["b"].value.round(3).tolist()  # the first step is lr, whatever the gradient is
        [[[-0.5]]]
    """

    def __init__(
        self,
        parameters: Parameters,
        replicas: Replicas,
        *,
        lr: PerReplica = 0.001,
        beta1: PerReplica = 0.9,
        beta2: PerReplica = 0.999,
        epsilon: PerReplica = 1e-7,
    ) -> None:
        super().__init__(parameters, replicas, lr=lr, beta1=beta1, beta2=beta2, epsilon=epsilon)


class AdamW(_AdamMoments):
    """Adam with decoupled weight decay: W -= lr weight_decay W, then Adam's step; biases do not decay.

    The decay is multiplied by lr as in Keras, and not by the schedule alone as in the paper. It acts on parameters with
    `apply_weight_decay`; that of Keras acts on every variable.

    Args:
        parameters: The parameters to update.
        replicas: The replicas that they belong to.
        lr: Learning rate; default 0.001.
        weight_decay: Decay per step, divided by lr; default 0.004.
        beta1: Decay of the mean of gradients; default 0.9.
        beta2: Decay of the mean of squared gradients; default 0.999.
        epsilon: Small number added to the root; default 1e-7.

    Raises:
        UserMistake: When a number is negative, or one of the decays is not below 1.

    Reference:
        Loshchilov and Hutter (2019), algorithm 2.

    Example:
        >>> from searchlab import AdamW
        >>> from searchlab.nn import Parameter, Parameters, Replicas
        >>> replicas = Replicas([1])
        >>> W = Parameter(replicas.full(1, 1, value=8.0), apply_weight_decay=True)
        >>> AdamW(Parameters([("W", W)]), replicas, lr=0.5, weight_decay=0.5).update()  # with a gradient of 0
        >>> W.value.tolist()  # 8 - 0.5 * 0.5 * 8
        [[[6.0]]]
    """

    def __init__(
        self,
        parameters: Parameters,
        replicas: Replicas,
        *,
        lr: PerReplica = 0.001,
        weight_decay: PerReplica = 0.004,
        beta1: PerReplica = 0.9,
        beta2: PerReplica = 0.999,
        epsilon: PerReplica = 1e-7,
    ) -> None:
        super().__init__(parameters, replicas, lr=lr, beta1=beta1, beta2=beta2, epsilon=epsilon)
        self.weight_decay = self.validated_vector(replicas, "weight_decay", weight_decay)

    def step_coefficients(self) -> ArrayTuple:
        return *super().step_coefficients(), (self.lr * self.weight_decay)[:, None]

    def extra_arrays(self) -> ArrayTuple:
        return *super().extra_arrays(), self.parameters.decay_mask

    def step_block(self, arrays: ArrayTuple, coefficients: ArrayTuple) -> None:
        values, decay_mask, decay = arrays[0], arrays[-1], coefficients[-1]
        decrease = decay_mask * decay
        decrease *= values
        values -= decrease
        super().step_block(arrays[:-1], coefficients[:-1])
