"""Recurrent layers over sequences (R, T, B, features): their shared part, and the plain recurrent network."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, TypeAlias

from searchlab.backend import Array, as_matrices, gather_rows, ones_row, xp_of
from searchlab.kernels import compiled, uses_compiled
from searchlab.nn.initializers import Initializer, lecun_normal
from searchlab.nn.module import Module
from searchlab.nn.parameter import Parameter
from searchlab.nn.scatter import add_rows
from searchlab.replicas import Replicas

RecurrentState: TypeAlias = tuple[Array, ...]
"""The state of a recurrent layer between two windows: arrays (R, B, H)."""


class RecurrentLayer(Module, ABC):
    """A layer whose state advances with time; a window continues the one before it when it is given its carry.

    The inputs of all time steps are multiplied by Wx in one product; only the product with the state goes step by step.
    The gradients of the state before a window are left out where nothing asks for them (truncated backpropagation
    through time); `start_gradients` returns them, for a decoder that begins in the last state of an encoder. Work
    arrays are reused by the next pass: the output of a pass is valid until then. A subclass sets `num_gates` and
    `num_states`, and defines `scan`, `scan_backward` and `start_gradients`.

    Args:
        replicas: The replicas, which draw the weights.
        input_size: Size I of each input.
        hidden_size: Size H of the hidden state.
        initializer: Draws Wx and Wh; default `lecun_normal`. Biases start at 0.

    Attributes:
        is_recurrent: True: a sweep over models with such a layer as an argument trains with compiled kernels.
        num_gates: Number G of gates of a cell.
        num_states: Number of arrays in a carry.
        Wx: Input weights (R, I, G H).
        Wh: Recurrent weights (R, H, G H).
        b: Biases (R, 1, G H).

    Reference:
        Williams and Peng (1990); Deep Learning from Scratch 2, chapter 5.

    Example:
        >>> from searchlab.nn import LSTM, RecurrentLayer
        >>> issubclass(LSTM, RecurrentLayer), LSTM.num_gates, LSTM.num_states
        (True, 4, 2)
    """

    is_recurrent: ClassVar[bool] = True
    num_gates: ClassVar[int] = 1
    num_states: ClassVar[int] = 1
    _h: Array  # (R, T + 1, B, H)

    def __init__(
        self, replicas: Replicas, input_size: int, hidden_size: int, *, initializer: Initializer = lecun_normal
    ) -> None:
        self.hidden_size, self.dtype = hidden_size, replicas.dtype
        self.Wx = Parameter(initializer(replicas, input_size, self.num_gates * hidden_size), apply_weight_decay=True)
        self.Wh = Parameter(initializer(replicas, hidden_size, self.num_gates * hidden_size), apply_weight_decay=True)
        self.b = Parameter(replicas.zeros(1, self.num_gates * hidden_size))
        self._work_arrays: dict[str, Array] = {}
        self._mask: Array | None = None  # (R, T, B), of the latest window
        self._viewed: Array | None = None  # the array of which `_step_views` are views
        self._step_views: list[tuple[Array, ...]] = []

    @abstractmethod
    def scan(self, z: Array, start: RecurrentState) -> RecurrentState:
        """Advance the state through the window, and set `self._h`.

        `self._h` (R, T + 1, B, H) is the hidden state from before the first time step to after the last.

        Args:
            z: What the inputs add to each gate (R, T, B, G H); it may be overwritten.
            start: The state before the window.

        Returns:
            The state after the window.
        """

    @abstractmethod
    def scan_backward(self, dy: Array, d_end: RecurrentState | None) -> Array:
        """Return dz (R, T, B, G H) of the latest window.

        Args:
            dy: Gradient (R, T, B, H) of every hidden state.
            d_end: Gradients (R, B, H) of the arrays of the state after the window; None where they are 0.
        """

    @abstractmethod
    def start_gradients(self) -> RecurrentState:
        """Return the gradients (R, B, H) of the arrays of the state before the latest window, after `backward`."""

    def forward(
        self, x: Array, carry: RecurrentState | None = None, *, train: bool, mask: Array | None = None
    ) -> tuple[Array, RecurrentState]:
        """Return the hidden states and the carry for the next window.

        Sequences of unequal lengths end together: where a mask is given, padding comes first, and the state stays 0
        until the first real time step. The carry is then the state after the last real time step of every sequence.

        Args:
            x: Inputs (R, T, B, I).
            carry: The carry that the window before returned; None for a state of zeros.
            train: Not used: the layer is the same in training and outside it.
            mask: Which time steps (R, T, B) are real and not padding; default None, all. Not with a carry.

        Returns:
            Hidden states (R, T, B, H), and the carry.

        Raises:
            ValueError: When both a mask and a carry are given.
        """
        if mask is not None and carry is not None:
            raise ValueError("a window with padding begins in a state of zeros, so it takes no carry")
        xp, (R, T, B, _) = xp_of(x), x.shape
        z = self.work_array(xp, "z", (R, T, B, self.num_gates * self.hidden_size))
        self._project(as_matrices(x), as_matrices(z))
        self._mask = mask
        if mask is not None:  # gates of 0 keep a state of 0 in every cell: all of them add tanh(0)
            z[...] = xp.where(mask[..., None], z, 0.0)
        return self._scan_window(z, carry)

    def forward_lookup(
        self, table: Array, ids: Array, carry: RecurrentState | None = None
    ) -> tuple[Array, RecurrentState]:
        """Return what `forward` returns for the inputs table[ids].

        Each row of the table is multiplied by Wx once, instead of each input: less work with fewer rows than inputs.

        Args:
            table: Possible inputs (R, V, I).
            ids: Row numbers (R, T, B).
            carry: The carry that the window before returned; None for a state of zeros.

        Returns:
            Hidden states (R, T, B, H), and the carry.
        """
        xp, (R, T, B) = xp_of(table), ids.shape
        projected = self.work_array(xp, "projected", (R, table.shape[1], self.num_gates * self.hidden_size))
        self._project(table, projected)
        self._ids = ids.reshape(R, T * B)
        z = self.work_array(xp, "z", (R, T, B, self.num_gates * self.hidden_size))
        gather_rows(projected, self._ids, as_matrices(z))
        self._mask = None
        return self._scan_window(z, carry)

    def backward(self, dy: Array, d_end: RecurrentState | None = None) -> Array:
        """Set the gradients of the weights, and return that of the inputs.

        Args:
            dy: Gradient (R, T, B, H) of every hidden state.
            d_end: Gradients (R, B, H) of the arrays of the carry, one for each; default None, all 0.

        Returns:
            dx (R, T, B, I). `start_gradients` returns the gradients of the state before the window.
        """
        return self._project_backward(self._scan_window_backward(dy, d_end)).reshape(*dy.shape[:-1], -1)

    def backward_lookup(self, dy: Array) -> Array:
        """Set the gradients of the weights, and return that of the table (R, V, I), after `forward_lookup`."""
        dz = self._scan_window_backward(dy, None)
        dprojected = self.work_array(xp_of(dz), "dprojected", (len(dz), self._x.shape[1], dz.shape[2]))
        dprojected[...] = 0.0
        add_rows(dprojected, self._ids, dz)
        return self._project_backward(dprojected)

    def _project(self, x: Array, z: Array) -> None:
        """Write x Wx + b into z (R, N, G H), for x (R, N, I)."""
        self._x = x
        xp_of(x).matmul(x, self.Wx.value, out=z)
        z += self.b.value

    def _project_backward(self, dz: Array) -> Array:
        """Set the gradients of Wx and b, and return dx (R, N, I), from dz (R, N, G H)."""
        xp = xp_of(dz)
        self.Wx.add_gradient_product(self._x.swapaxes(1, 2), dz)
        self.b.add_gradient_product(ones_row(xp, dz.dtype, dz.shape[1]), dz)
        dx: Array = xp.matmul(dz, self.Wx.value.swapaxes(1, 2))
        return dx

    def _scan_window(self, z: Array, carry: RecurrentState | None) -> tuple[Array, RecurrentState]:
        R, _, B, _ = z.shape
        start = carry or tuple(xp_of(z).zeros((R, B, self.hidden_size), z.dtype) for _ in range(self.num_states))
        end = self.scan(z, start)
        return self._h[:, 1:], tuple(state.copy() for state in end)

    def _scan_window_backward(self, dy: Array, d_end: RecurrentState | None) -> Array:
        """Set the gradient of Wh, and return dz (R, T B, G H)."""
        gates = self.scan_backward(dy, d_end)
        if self._mask is not None:
            gates[...] = xp_of(gates).where(self._mask[..., None], gates, 0.0)
        dz = as_matrices(gates)
        self.add_recurrent_gradient(as_matrices(self._h[:, :-1]).swapaxes(1, 2), dz)
        return dz

    def add_recurrent_gradient(self, h_before: Array, dz: Array) -> None:
        """Add the gradient of Wh, from the hidden states before each time step (R, H, T B) and dz (R, T B, G H)."""
        self.Wh.add_gradient_product(h_before, dz)

    def last_gradient(self, dy: Array, d_end: RecurrentState | None) -> Array:
        """Return the gradient (R, B, H) of the last hidden state: as an output, and as a part of the carry."""
        last: Array = dy[:, -1]
        if d_end is not None:
            last = xp_of(dy).add(last, d_end[0], out=self.work_array(xp_of(dy), "dh end", last.shape))
        return last

    def transposed_Wh(self) -> Array:
        """Return Wh as a contiguous (R, G H, H): T products with it are faster than with a transposed view."""
        transposed = self.Wh.value.swapaxes(1, 2)
        contiguous = self.work_array(xp_of(transposed), "WhT", transposed.shape)
        contiguous[...] = transposed
        return contiguous

    def contiguous_Wh(self) -> Array:
        """Return Wh (R, H, G H) in one piece, as compiled kernels need it; the parameters of a network lie apart."""
        contiguous: Array = xp_of(self.Wh.value).ascontiguousarray(self.Wh.value)
        return contiguous

    def work_array(self, xp: Any, name: str, shape: tuple[int, ...]) -> Array:
        """Return the work array of this name, reused from the last pass of this shape: new ones cost page faults."""
        array = self._work_arrays.get(name)
        if array is None or array.shape != shape:
            array = self._work_arrays[name] = xp.empty(shape, dtype=self.dtype)
        return array

    def _select_own(self, rows: Array) -> None:
        """Discard the work arrays, and select these rows of the others."""
        self._work_arrays, self._viewed, self._step_views, self._mask = {}, None, [], None
        super()._select_own(rows)


class RNN(RecurrentLayer):
    """The plain recurrent layer: h_t = tanh(x_t Wx + h_{t-1} Wh + b).

    Args:
        replicas: The replicas, which draw the weights.
        input_size: Size I of each input.
        hidden_size: Size H of the hidden state.
        initializer: Draws Wx (R, I, H) and Wh (R, H, H); default `lecun_normal`. Biases b (R, 1, H) start at 0.

    Reference:
        Elman (1990); Deep Learning from Scratch 2, chapter 5.

    Example:
        >>> import numpy as np
        >>> from searchlab.nn import Replicas, RNN
        >>> rnn, window = RNN(Replicas([1, 2]), 3, 4), np.ones((2, 6, 5, 3), np.float32)
        >>> h, carry = rnn.forward(window, train=False)
        >>> h, carry = rnn.forward(window, carry, train=False)  # continues the first window
        >>> h.shape
        (2, 6, 5, 4)
    """

    def scan(self, z: Array, start: RecurrentState) -> RecurrentState:
        xp, (R, T, B, H) = xp_of(z), z.shape
        self._h = h = self.work_array(xp, "h", (R, T + 1, B, H))
        h[:, 0] = start[0]
        if uses_compiled(z):
            compiled("rnn").rnn_forward(z, self.contiguous_Wh(), h)
            return (h[:, T],)
        h_Wh, Wh = self.work_array(xp, "h Wh", (R, B, H)), self.Wh.value
        for t in range(T):
            z_t = z[:, t]
            z_t += xp.matmul(h[:, t], Wh, out=h_Wh)
            xp.tanh(z_t, out=h[:, t + 1])
        return (h[:, T],)

    def scan_backward(self, dy: Array, d_end: RecurrentState | None) -> Array:
        xp, (R, T, B, H) = xp_of(dy), dy.shape
        dz, dh_before = self.work_array(xp, "dz", (R, T, B, H)), self.work_array(xp, "dh before", (R, B, H))
        WhT, dh = self.transposed_Wh(), self.last_gradient(dy, d_end)
        if uses_compiled(dz):
            dh_before[...] = dh
            compiled("rnn").rnn_backward(WhT, self._h, xp.ascontiguousarray(dy), dh_before, dz)
            return dz
        derivative = self.work_array(xp, "derivative", (R, T, B, H))  # of tanh: 1 - h²
        xp.multiply(self._h[:, 1:], self._h[:, 1:], out=derivative)
        xp.subtract(1.0, derivative, out=derivative)
        for t in range(T - 1, -1, -1):
            dz_t = dz[:, t]
            xp.multiply(dh, derivative[:, t], out=dz_t)
            if t:
                dh = xp.matmul(dz_t, WhT, out=dh_before)
                dh += dy[:, t - 1]
        return dz

    def start_gradients(self) -> RecurrentState:
        dz, WhT = self._work_arrays["dz"], self.transposed_Wh()
        return (xp_of(dz).matmul(dz[:, 0], WhT),)
