"""A learned array of R networks, and the store that lays all of a model's parameters side by side in memory."""

from __future__ import annotations

import numpy as np

from searchlab.backend import Array, add_rows, select, to_device_of, to_host, xp_of
from searchlab.replicas import Fused, align


class Parameter:
    """A learned array (R, ...) with its gradient. Layers that share a weight hold the same Parameter.

    Weight decay acts on it if it `decays`, as the weights of a layer do and its biases do not. One that is not
    `learned` (a running mean) is kept and saved with the others, and moved by its layer alone.
    """

    def __init__(self, value: Array, *, decays: bool = False, learned: bool = True) -> None:
        self.value, self.decays, self.learned = value, decays, learned
        self.grad = xp_of(value).zeros_like(value)
        self.shared = False  # True once a store has found it in more than one layer
        self.learning = False  # True once a layer of those that share it has given its gradient in this pass

    def learn(self, gradient: Array) -> None:
        """Take the gradient of the latest backward pass; layers that share the parameter add theirs up."""
        if self._adds_up():
            self.grad += gradient
        else:
            self.grad[...] = gradient

    def learn_product(self, a: Array, b: Array) -> None:
        """Take the gradient a @ b, written in place where nothing has to be added up."""
        xp = xp_of(a)
        if self._adds_up():
            self.grad += xp.matmul(a, b)
        else:
            xp.matmul(a, b, out=self.grad)

    def learn_rows(self, rows: Array, gradients: Array) -> None:
        """Take gradients (R, N, F) for these rows (R, N) of a parameter (R, V, F); a row named twice adds up."""
        if not self._adds_up():
            self.grad[...] = 0.0
        add_rows(self.grad, rows, gradients)

    def _adds_up(self) -> bool:
        before, self.learning = self.learning, self.shared
        return before


class Parameters(Fused):
    """All parameters of a model as two arrays (R, P), values and gradients; each Parameter becomes a view of them.

    An optimizer then needs one pass over one array, whatever the number of layers: few calls on a CPU, few kernel
    launches on a GPU. Dropping replicas is one row selection. Parameters that are not learned stand apart, in `kept`.
    """

    def __init__(self, found: list[tuple[str, Parameter]]) -> None:
        self.named: dict[str, Parameter] = {}
        self.kept: dict[str, Parameter] = {}
        for name, parameter in found:
            group = self.named if parameter.learned else self.kept
            if any(parameter is known for known in group.values()):
                parameter.shared = True
            else:
                group[name] = parameter
        if not self.named:
            raise ValueError("the model has no parameters: keep each Parameter in an attribute, a list or a layer")
        self._shared = [parameter for parameter in self.named.values() if parameter.shared]
        pieces = [p.value.reshape(len(p.value), -1) for p in self.named.values()]
        self._shapes = [p.value.shape[1:] for p in self.named.values()]
        self._sizes = [piece.shape[1] for piece in pieces]
        self.values: Array = xp_of(pieces[0]).concatenate(pieces, axis=1)  # (R, P)
        self.grads: Array = xp_of(pieces[0]).zeros_like(self.values)  # (R, P)
        self.decaying: Array = xp_of(pieces[0]).concatenate(
            [
                xp_of(piece).full((1, size), parameter.decays, piece.dtype)
                for piece, size, parameter in zip(pieces, self._sizes, self.named.values(), strict=True)
            ],
            axis=1,
        )  # (1, P): 1 where weight decay acts, else 0
        self._bind()

    @property
    def count(self) -> int:
        """Parameters of one replica, P."""
        return int(self.values.shape[1])

    def start_pass(self) -> None:
        """Let gradients that add up begin anew: call before each backward pass."""
        for parameter in self._shared:
            parameter.learning = False

    def decay(self, share: Array) -> None:
        """Add share (R,) of each decaying parameter to its gradient: the slope of share / 2 times its squares' sum."""
        for parameter in self.named.values():
            if parameter.decays:
                parameter.grad += align(share, parameter.value) * parameter.value

    def keep_own(self, rows: Array) -> None:
        """Select these rows and point every Parameter at its new place."""
        self.values, self.grads = select(self.values, rows), select(self.grads, rows)
        for parameter in self.kept.values():
            parameter.value = select(parameter.value, rows)
        self._bind()

    def state(self) -> dict[str, Array]:
        """Every parameter by name, on the host: {name: (R, ...)}."""
        return {name: to_host(parameter.value).copy() for name, parameter in self._all().items()}

    def restore(self, state: dict[str, Array]) -> None:
        """Take the values of `state`; raises ValueError when a name or a shape differs."""
        if set(state) != set(self._all()):
            raise ValueError(f"expected the parameters {sorted(self._all())}, got {sorted(state)}")
        for name, parameter in self._all().items():
            if state[name].shape != parameter.value.shape:
                raise ValueError(f"{name} is {parameter.value.shape} here and {state[name].shape} in the saved state")
            parameter.value[...] = to_device_of(parameter.value, state[name].astype(parameter.value.dtype))

    def _all(self) -> dict[str, Parameter]:
        return self.named | self.kept

    def _bind(self) -> None:
        stops = np.cumsum(self._sizes)
        for parameter, shape, size, stop in zip(self.named.values(), self._shapes, self._sizes, stops, strict=True):
            parameter.value = self.values[:, stop - size : stop].reshape(len(self.values), *shape)
            parameter.grad = self.grads[:, stop - size : stop].reshape(len(self.grads), *shape)
