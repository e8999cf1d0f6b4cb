"""Optimizers over all parameters of R networks at once: rates and slots have the replica as axis 0."""

from __future__ import annotations

from abc import ABC, abstractmethod

from searchlab.backend import Array, to_device_of, to_host, xp_of
from searchlab.nn.parameter import Parameters
from searchlab.replicas import Fused, PerReplica, Replicas


def clip_joint_norm(grads: Array, limit: Array) -> None:
    """Scale each row of grads (R, P) down, in place, to at most its Euclidean norm limit (R,).

    The norm is taken over all parameters together (Pascanu, Mikolov and Bengio 2013).
    """
    xp = xp_of(grads)
    norm = xp.sqrt(xp.matmul(grads[:, None, :], grads[:, :, None])[:, 0, 0])  # (R,)
    grads *= xp.minimum(limit / (norm + 1e-6), 1.0)[:, None]


class Optimizer(Fused, ABC):
    """Moves the parameters by their gradients, which it may use up.

    A constructor takes the parameters and replicas by position and its hyperparameters by keyword.
    """

    def __init__(self, parameters: Parameters) -> None:
        self.parameters = parameters

    @abstractmethod
    def update(self) -> None:
        """One step for all replicas."""

    def slots(self) -> dict[str, Array]:
        """What it remembers from step to step, by name; axis 0 is the replica."""
        return {}

    def state(self) -> dict[str, Array]:
        """Its slots on the host."""
        return {name: to_host(slot).copy() for name, slot in self.slots().items()}

    def restore(self, state: dict[str, Array]) -> None:
        """Take the slots of `state`; raises ValueError when they are another optimizer's."""
        slots = self.slots()
        if set(state) != set(slots):
            raise ValueError(f"expected the slots {sorted(slots)}, got {sorted(state)}")
        for name, slot in slots.items():
            if state[name].shape != slot.shape:
                raise ValueError(f"{name} is {slot.shape} here and {state[name].shape} in the saved state")
            slot[...] = to_device_of(slot, state[name])


class SGD(Optimizer):
    """Stochastic gradient descent: W -= lr dW."""

    def __init__(self, parameters: Parameters, replicas: Replicas, *, lr: PerReplica = 0.01) -> None:
        super().__init__(parameters)
        self.lr = replicas.vector(lr)

    def update(self) -> None:
        grads = self.parameters.grads
        grads *= self.lr[:, None]
        self.parameters.values -= grads


class Momentum(Optimizer):
    """Gradient descent with momentum: v = momentum v - lr dW; W += v (Polyak 1964)."""

    def __init__(
        self, parameters: Parameters, replicas: Replicas, *, lr: PerReplica = 0.01, momentum: PerReplica = 0.9
    ) -> None:
        super().__init__(parameters)
        self.lr, self.momentum = replicas.vector(lr), replicas.vector(momentum)
        self.velocity = xp_of(parameters.values).zeros_like(parameters.values)

    def update(self) -> None:
        grads = self.parameters.grads
        grads *= self.lr[:, None]
        self.velocity *= self.momentum[:, None]
        self.velocity -= grads
        self.parameters.values += self.velocity

    def slots(self) -> dict[str, Array]:
        return {"velocity": self.velocity}


class Adam(Optimizer):
    """Adam (Kingma and Ba 2015), with the bias corrections folded into the rate as in the paper's section 2."""

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
        super().__init__(parameters)
        self.lr, self.epsilon = replicas.vector(lr), replicas.vector(epsilon)
        self.beta1, self.beta2 = replicas.vector(beta1), replicas.vector(beta2)
        self.mean = xp_of(parameters.values).zeros_like(parameters.values)
        self.square = xp_of(parameters.values).zeros_like(parameters.values)
        self.power1, self.power2 = replicas.vector(1.0), replicas.vector(1.0)  # beta ** steps taken

    def update(self) -> None:
        xp, grads = xp_of(self.mean), self.parameters.grads
        self.power1 *= self.beta1
        self.power2 *= self.beta2
        self.mean *= self.beta1[:, None]
        self.mean += (1.0 - self.beta1)[:, None] * grads
        grads *= grads
        grads *= (1.0 - self.beta2)[:, None]
        self.square *= self.beta2[:, None]
        self.square += grads
        correction = xp.sqrt(1.0 - self.power2)
        step = xp.sqrt(self.square, out=grads)
        step += (self.epsilon * correction)[:, None]
        xp.divide(self.mean, step, out=step)
        step *= (self.lr * correction / (1.0 - self.power1))[:, None]
        self.parameters.values -= step

    def slots(self) -> dict[str, Array]:
        return {"mean": self.mean, "square": self.square, "power1": self.power1, "power2": self.power2}
