"""Optimizers that give every parameter a rate of its own, by the size of its gradients; defaults are Keras 3's."""

from __future__ import annotations

from searchlab.backend import Array, xp_of
from searchlab.nn.parameter import Parameters
from searchlab.optim.optimizer import Arrays, Optimizer
from searchlab.replicas import PerReplica, Replicas


class AdaGrad(Optimizer):
    """AdaGrad: s += dW²; W -= lr dW / sqrt(s + epsilon), where s starts as initial_accumulator.

    Duchi, Hazan and Singer (2011), where s starts at 0 and the small number stands beside the root; both as in Keras.
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
        self.lr, self.epsilon = replicas.vector(lr), replicas.vector(epsilon)
        self.accumulator = xp_of(parameters.values).zeros_like(parameters.values)
        self.accumulator += replicas.vector(initial_accumulator)[:, None]

    def prepare(self) -> Arrays:
        return self.lr[:, None], self.epsilon[:, None]

    def own_arrays(self) -> Arrays:
        return (self.accumulator,)

    def move(self, arrays: Arrays, rates: Arrays) -> None:
        values, grads, accumulator = arrays
        lr, epsilon = rates
        xp, root = xp_of(grads), grads * grads
        accumulator += root
        xp.add(accumulator, epsilon, out=root)
        xp.sqrt(root, out=root)
        grads *= lr
        grads /= root
        values -= grads

    def slots(self) -> dict[str, Array]:
        return {"accumulator": self.accumulator}


class RMSprop(Optimizer):
    """RMSprop: s = rho s + (1 - rho) dW²; v = momentum v + lr dW / sqrt(s + epsilon); W -= v.

    Hinton's lecture 6e (Tieleman and Hinton 2012), which has no epsilon; Keras has it under the root. Not centered.
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
        self.lr, self.epsilon = replicas.vector(lr), replicas.vector(epsilon)
        self.rho, self.momentum = replicas.vector(rho), replicas.vector(momentum)
        self.square = xp_of(parameters.values).zeros_like(parameters.values)
        self.velocity = xp_of(parameters.values).zeros_like(parameters.values)

    def prepare(self) -> Arrays:
        fresh = 1.0 - self.rho
        return self.lr[:, None], self.rho[:, None], fresh[:, None], self.momentum[:, None], self.epsilon[:, None]

    def own_arrays(self) -> Arrays:
        return self.square, self.velocity

    def move(self, arrays: Arrays, rates: Arrays) -> None:
        values, grads, square, velocity = arrays
        lr, rho, fresh, momentum, epsilon = rates
        xp, root = xp_of(grads), grads * grads
        root *= fresh
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


class _AdamSums(Optimizer):
    """What Adam and AdamW share: fading sums of gradients and of their squares, and the step they give.

    m = beta1 m + dW and n1 = beta1 n1 + 1, so m / n1 is the mean of the gradients in which older ones count for less;
    in the same way s / n2, of dW². The paper's moments are (1 - beta) times these sums, its bias corrections 1 - beta^t
    are (1 - beta) times these counts: the factor cancels, and with it two passes over all parameters.
    """

    def __init__(
        self,
        parameters: Parameters,
        replicas: Replicas,
        lr: PerReplica,
        beta1: PerReplica,
        beta2: PerReplica,
        epsilon: PerReplica,
    ) -> None:
        super().__init__(parameters)
        self.lr, self.epsilon = replicas.vector(lr), replicas.vector(epsilon)
        self.beta1, self.beta2 = replicas.vector(beta1), replicas.vector(beta2)
        self.gradients = xp_of(parameters.values).zeros_like(parameters.values)  # m
        self.squares = xp_of(parameters.values).zeros_like(parameters.values)  # s
        self.count1, self.count2 = replicas.zeros(), replicas.zeros()  # n1 and n2, (R,)

    def prepare(self) -> Arrays:
        self.count1 = self.count1 * self.beta1 + 1.0  # not in place: NumPy takes three times as long for one number
        self.count2 = self.count2 * self.beta2 + 1.0
        root = xp_of(self.count2).sqrt(self.count2)
        rate = self.lr * root / self.count1
        return self.beta1[:, None], self.beta2[:, None], (self.epsilon * root)[:, None], rate[:, None]

    def own_arrays(self) -> Arrays:
        return self.gradients, self.squares

    def move(self, arrays: Arrays, rates: Arrays) -> None:
        values, grads, gradients, squares = arrays
        beta1, beta2, epsilon, rate = rates
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


class Adam(_AdamSums):
    """Adam: W -= lr m / (sqrt(s) + epsilon), m and s the means of dW and dW² with weights beta^age.

    Kingma and Ba (2015), algorithm 1. Its epsilon is added to the corrected root; Keras, whose defaults these are, adds
    it before the correction (the paper's "epsilon hat"), where it weighs more in the first steps.
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
        super().__init__(parameters, replicas, lr, beta1, beta2, epsilon)


class AdamW(_AdamSums):
    """Adam with decoupled weight decay: W -= lr weight_decay W + Adam's step; W before the step, biases not at all.

    Loshchilov and Hutter (2019), algorithm 2. The decay is multiplied by lr as in Keras, whose defaults these are, and
    not by the schedule alone as in the paper. It acts where a Parameter `decays`; Keras' acts on every variable.
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
        super().__init__(parameters, replicas, lr, beta1, beta2, epsilon)
        self.weight_decay = replicas.vector(weight_decay)

    def prepare(self) -> Arrays:
        return *super().prepare(), (self.lr * self.weight_decay)[:, None]

    def own_arrays(self) -> Arrays:
        return *super().own_arrays(), self.parameters.decaying

    def move(self, arrays: Arrays, rates: Arrays) -> None:
        values, decaying, decay = arrays[0], arrays[-1], rates[-1]
        lost = decaying * decay
        lost *= values
        values -= lost
        super().move(arrays[:-1], rates[:-1])
