"""Recurrent layers over sequences (R, T, B, features): what they share, and the plain one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, TypeAlias

from searchlab.backend import Array, add_rows, as_matrices, ones_row, take_rows, xp_of
from searchlab.nn.initializers import Initial, lecun_normal
from searchlab.nn.module import Module
from searchlab.nn.parameter import Parameter
from searchlab.replicas import Replicas

States: TypeAlias = tuple[Array, ...]
"""What a recurrent layer remembers between two windows: arrays (R, B, H)."""


class Recurrent(Module, ABC):
    """A state that moves on with time; each window goes on from where the one before it ended, if it is given a carry.

    Weights are Wx (R, I, G H), Wh (R, H, G H) and b (R, 1, G H) for the G gates of a cell. The inputs of all moments
    meet Wx in one product, and only the state goes step by step. Gradients are cut off where a window begins
    (truncated backpropagation through time; Williams and Peng 1990; Deep Learning from Scratch 2, chapter 5). Work
    arrays are used again by the next pass: what a pass gave lasts until then.
    """

    gates: ClassVar[int] = 1
    states: ClassVar[int] = 1  # arrays in a carry
    _h: Array  # (R, T + 1, B, H)

    def __init__(self, replicas: Replicas, n_in: int, hidden: int, *, initial: Initial = lecun_normal) -> None:
        self.hidden, self.dtype = hidden, replicas.dtype
        self.Wx = Parameter(initial(replicas, n_in, self.gates * hidden), decays=True)
        self.Wh = Parameter(initial(replicas, hidden, self.gates * hidden), decays=True)
        self.b = Parameter(replicas.zeros(1, self.gates * hidden))
        self._made: dict[str, Array] = {}
        self._seen: Array | None = None  # the array that `_moments` are cut from
        self._moments: list[tuple[Array, ...]] = []

    @abstractmethod
    def run(self, z: Array, start: States) -> States:
        """Go through the window: z (R, T, B, G H) is what the inputs add to each gate, and may be used up.

        Sets `self._h` (R, T + 1, B, H), the hidden state from before the first moment to after the last.
        """

    @abstractmethod
    def run_back(self, dy: Array) -> Array:
        """Go back through the latest window: dz (R, T, B, G H), from dy (R, T, B, H) of every hidden state."""

    def forward(self, x: Array, carry: States | None = None, *, train: bool) -> tuple[Array, States]:
        """The hidden states (R, T, B, H) for inputs x (R, T, B, I), and the carry for the window that follows."""
        xp, (R, T, B, _) = xp_of(x), x.shape
        z = self.array(xp, "z", (R, T, B, self.gates * self.hidden))
        self._meet(as_matrices(x), as_matrices(z))
        return self._window(z, carry)

    def forward_rows(self, table: Array, ids: Array, carry: States | None = None) -> tuple[Array, States]:
        """The same for inputs table[ids], of a table (R, V, I) and ids (R, T, B).

        Each row of the table meets Wx once, not each input: with fewer rows than inputs, that is less work.
        """
        xp, (R, T, B) = xp_of(table), ids.shape
        rows = self.array(xp, "rows", (R, table.shape[1], self.gates * self.hidden))
        self._meet(table, rows)
        self._ids = ids.reshape(R, T * B)
        z = self.array(xp, "z", (R, T, B, self.gates * self.hidden))
        take_rows(rows, self._ids, as_matrices(z))
        return self._window(z, carry)

    def backward(self, dy: Array) -> Array:
        """Sets the gradients of the weights and returns dx (R, T, B, I), from dy (R, T, B, H)."""
        return self._learn_inputs(self._learn(dy)).reshape(*dy.shape[:-1], -1)

    def backward_rows(self, dy: Array) -> Array:
        """Sets the gradients of the weights and returns that of the table (R, V, I), after `forward_rows`."""
        dz = self._learn(dy)
        drows = self.array(xp_of(dz), "drows", (len(dz), self._x.shape[1], dz.shape[2]))
        drows[...] = 0.0
        add_rows(drows, self._ids, dz)
        return self._learn_inputs(drows)

    def _meet(self, x: Array, z: Array) -> None:
        """z = x Wx + b."""
        self._x = x
        xp_of(x).matmul(x, self.Wx.value, out=z)
        z += self.b.value

    def _window(self, z: Array, carry: States | None) -> tuple[Array, States]:
        R, _, B, _ = z.shape
        start = carry or tuple(xp_of(z).zeros((R, B, self.hidden), z.dtype) for _ in range(self.states))
        end = self.run(z, start)
        return self._h[:, 1:], tuple(state.copy() for state in end)

    def _learn(self, dy: Array) -> Array:
        """Sets the gradient of Wh; dz (R, T B, G H)."""
        dz = as_matrices(self.run_back(dy))
        self.learn_recurrent(as_matrices(self._h[:, :-1]).swapaxes(1, 2), dz)
        return dz

    def _learn_inputs(self, dz: Array) -> Array:
        """Sets the gradients of Wx and b and returns dx, of the rows that met Wx: dz (R, N, G H) to (R, N, I)."""
        xp = xp_of(dz)
        self.Wx.learn_product(self._x.swapaxes(1, 2), dz)
        self.b.learn_product(ones_row(xp, dz.dtype, dz.shape[1]), dz)
        dx: Array = xp.matmul(dz, self.Wx.value.swapaxes(1, 2))
        return dx

    def learn_recurrent(self, before: Array, dz: Array) -> None:
        """Sets the gradient of Wh, from the states before each moment (R, H, T B) and dz (R, T B, G H)."""
        self.Wh.learn_product(before, dz)

    def transposed(self) -> Array:
        """Wh as (R, G H, H), in one piece: T products with it are faster than with a view turned round."""
        turned = self.Wh.value.swapaxes(1, 2)
        copy = self.array(xp_of(turned), "WhT", turned.shape)
        copy[...] = turned
        return copy

    def array(self, xp: Any, name: str, shape: tuple[int, ...]) -> Array:
        """The work array of this name, as it was left by the last pass of this shape: fresh ones cost page faults."""
        made = self._made.get(name)
        if made is None or made.shape != shape:
            made = self._made[name] = xp.empty(shape, dtype=self.dtype)
        return made

    def keep_own(self, rows: Array) -> None:
        """Forget the work arrays."""
        self._made, self._seen, self._moments = {}, None, []
        super().keep_own(rows)


class RNN(Recurrent):
    """h = tanh(x Wx + h Wh + b), h the state before (Elman 1990; Deep Learning from Scratch 2, chapter 5)."""

    def run(self, z: Array, start: States) -> States:
        xp, (R, T, B, H) = xp_of(z), z.shape
        self._h = h = self.array(xp, "h", (R, T + 1, B, H))
        h[:, 0] = start[0]
        added, Wh = self.array(xp, "added", (R, B, H)), self.Wh.value
        for t in range(T):
            z_t = z[:, t]
            z_t += xp.matmul(h[:, t], Wh, out=added)
            xp.tanh(z_t, out=h[:, t + 1])
        return (h[:, T],)

    def run_back(self, dy: Array) -> Array:
        xp, (R, T, B, H) = xp_of(dy), dy.shape
        slope = self.array(xp, "slope", (R, T, B, H))
        xp.multiply(self._h[:, 1:], self._h[:, 1:], out=slope)
        xp.subtract(1.0, slope, out=slope)
        dz, back = self.array(xp, "dz", (R, T, B, H)), self.array(xp, "back", (R, B, H))
        WhT, dh = self.transposed(), dy[:, -1]
        for t in range(T - 1, -1, -1):
            dz_t = dz[:, t]
            xp.multiply(dh, slope[:, t], out=dz_t)
            if t:
                dh = xp.matmul(dz_t, WhT, out=back)
                dh += dy[:, t - 1]
        return dz
