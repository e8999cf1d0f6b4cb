"""Long short-term memory."""

from __future__ import annotations

from typing import ClassVar

from searchlab.backend import Array, xp_of
from searchlab.kernels import compiled, uses_compiled
from searchlab.kernels.cells import Kernel, fused_cells
from searchlab.nn.rnn import RecurrentLayer, RecurrentState

CHUNK_GATE_VALUES = 2**16  # numbers of all gates whose derivatives are computed together: 256 kB, to stay in the cache


class LSTM(RecurrentLayer):
    """Long short-term memory with a forget gate.

    z = x_t Wx + h_{t-1} Wh + b; o, i, f = sigmoid(z) and g = tanh(z), each of its quarter of z;
    c_t = f c_{t-1} + i g; h_t = o tanh(c_t).

    The gates are stored in the order o, i, f, g: the three sigmoids side by side, and so the three that form c. A carry
    is (h, c).

    Args:
        replicas: The replicas, which draw the weights.
        input_size: Size I of each input.
        hidden_size: Size H of the hidden state and the cell state.
        initializer: Draws Wx (R, I, 4 H) and Wh (R, H, 4 H); default `lecun_normal`. Biases b (R, 1, 4 H) start at 0.

    Reference:
        Hochreiter and Schmidhuber (1997), with the forget gate of Gers et al. (2000); Deep Learning from Scratch 2,
        chapter 6.

    Example:
        >>> import numpy as np
        >>> from searchlab.nn import LSTM, Replicas
        >>> h, (h_T, c_T) = LSTM(Replicas([1, 2]), 3, 4).forward(np.ones((2, 6, 5, 3), np.float32), train=False)
        >>> h.shape, c_T.shape, bool((h[:, -1] == h_T).all())
        ((2, 6, 5, 4), (2, 5, 4), True)
    """

    num_gates: ClassVar[int] = 4
    num_states: ClassVar[int] = 2

    def scan(self, z: Array, start: RecurrentState) -> RecurrentState:
        xp, (R, T, B, _), H = xp_of(z), z.shape, self.hidden_size
        self._gates = z
        h, c = self._h, self._c = [self.work_array(xp, name, (R, T + 1, B, H)) for name in "hc"]
        self._tanh_c = self.work_array(xp, "tanh c", (R, T, B, H))
        h_Wh, i_g = self.work_array(xp, "h Wh", (R, B, 4 * H)), self.work_array(xp, "i g", (R, B, H))
        Wh, half = self.Wh.value, z.dtype.type(0.5)
        h[:, 0], c[:, 0] = start
        if uses_compiled(z):
            compiled("lstm").lstm_forward(z, self.contiguous_Wh(), h, c, self._tanh_c)
            return h[:, T], c[:, T]
        if self._viewed is not z:
            self._viewed, self._step_views = z, [self._views_at(z, t) for t in range(T)]
        if cells := fused_cells(xp):
            self._scan_fused(cells["lstm_forward"], h_Wh)
            return h[:, T], c[:, T]
        matmul, tanh, multiply = xp.matmul, xp.tanh, xp.multiply
        for h_t, c_t, z_t, sigmoids, o, i, f, g, tanh_t, c_next, h_next in self._step_views:
            z_t += matmul(h_t, Wh, out=h_Wh)
            sigmoids *= half  # sigmoid(z) = (1 + tanh(z / 2)) / 2: one tanh for all four gates
            tanh(z_t, out=z_t)
            sigmoids *= half
            sigmoids += half
            multiply(f, c_t, out=c_next)
            c_next += multiply(i, g, out=i_g)
            tanh(c_next, out=tanh_t)
            multiply(o, tanh_t, out=h_next)
        return h[:, T], c[:, T]

    def _scan_fused(self, advance: Kernel, h_Wh: Array) -> None:
        """Advance the state through the window with two launches for each time step."""
        xp, Wh, from_h = xp_of(h_Wh), self.Wh.value, self._split(h_Wh)
        for h_t, c_t, _, _, *gates, tanh_t, c_next, h_next in self._step_views:
            xp.matmul(h_t, Wh, out=h_Wh)
            advance(*gates, *from_h, c_t, *gates, c_next, tanh_t, h_next)

    def _scan_backward_fused(self, step_back: Kernel, dy: Array, dh: Array, dc: Array, dz: Array) -> Array:
        """Write dz (R, T, B, 4 H) and dc at the first time step, with two launches for each time step; return dz."""
        xp, T, (WhT, dh_before) = xp_of(dz), dz.shape[1], (self._work_arrays[name] for name in ("WhT", "dh before"))
        zeros, ones = (self.work_array(xp, name, dh.shape) for name in ("zeros", "ones"))
        zeros[...], ones[...] = 0.0, 1.0
        dy_t, f_after = zeros, ones  # dh has that of the last output already
        for t in range(T - 1, -1, -1):
            gates, dz_t = self._split(self._gates[:, t]), dz[:, t]
            step_back(dh, dy_t, dc, f_after, *gates, self._tanh_c[:, t], self._c[:, t], dc, *self._split(dz_t))
            if t:
                dh, dy_t, f_after = xp.matmul(dz_t, WhT, out=dh_before), dy[:, t - 1], gates[2]
        return dz

    def _split(self, z_t: Array) -> tuple[Array, ...]:
        """Return views of the gates o, i, f, g (R, B, H) in an array of all of them (R, B, 4 H)."""
        H = self.hidden_size
        return tuple(z_t[..., gate * H : (gate + 1) * H] for gate in range(4))

    def _views_at(self, z: Array, t: int) -> tuple[Array, ...]:
        """Return views of the work arrays at one time step, cached: slicing costs a tenth of a small network's step."""
        H, h, c, z_t = self.hidden_size, self._h, self._c, z[:, t]
        return h[:, t], c[:, t], z_t, z_t[..., : 3 * H], *self._split(z_t), self._tanh_c[:, t], c[:, t + 1], h[:, t + 1]

    def scan_backward(self, dy: Array, d_end: RecurrentState | None) -> Array:
        xp, (R, T, B, H) = xp_of(dy), dy.shape
        dz = self.work_array(xp, "dz", (R, T, B, 4 * H))
        dh_before, dc, dc_from_h = (self.work_array(xp, name, (R, B, H)) for name in ("dh before", "dc", "dc from h"))
        f, WhT, dh = self._gates[..., 2 * H : 3 * H], self.transposed_Wh(), self.last_gradient(dy, d_end)
        dc[...] = 0.0 if d_end is None else d_end[1]
        if uses_compiled(dz):
            dh_before[...] = dh
            compiled("lstm").lstm_backward(
                self._gates, WhT, self._c, self._tanh_c, xp.ascontiguousarray(dy), dh_before, dc, dz
            )
            return dz
        if cells := fused_cells(xp):
            return self._scan_backward_fused(cells["lstm_backward"], dy, dh, dc, dz)
        chunk = min(T, max(1, CHUNK_GATE_VALUES // (R * B * 4 * H)))  # time steps
        for stop in range(T, 0, -chunk):
            first = max(0, stop - chunk)
            dzo_by_dh, dz_by_dc, dc_by_dh = self._derivatives(first, stop, chunk)
            for t in range(stop - 1, first - 1, -1):
                dz_t, step = dz[:, t], t - first
                xp.multiply(dh, dzo_by_dh[:, step], out=dz_t[..., :H])
                dc += xp.multiply(dh, dc_by_dh[:, step], out=dc_from_h)
                xp.multiply(dc[:, :, None], dz_by_dc[:, step], out=dz_t[..., H:].reshape(R, B, 3, H))
                if t:
                    dc *= f[:, t]
                    dh = xp.matmul(dz_t, WhT, out=dh_before)
                    dh += dy[:, t - 1]
        return dz

    def start_gradients(self) -> RecurrentState:
        (dz, dc), WhT, H = (self._work_arrays[name] for name in ("dz", "dc")), self.transposed_Wh(), self.hidden_size
        return xp_of(dz).matmul(dz[:, 0], WhT), dc * self._gates[:, 0, :, 2 * H : 3 * H]

    def _derivatives(self, first: int, stop: int, chunk: int) -> tuple[Array, Array, Array]:
        """Return the factors of dh and dc at the time steps first .. stop - 1, t of them.

        They are that of dh in dz of gate o (R, t, B, H), of dc in dz of gates i, f, g (R, t, B, 3, H), and of dh in dc
        (R, t, B, H).
        """
        xp, H, steps = xp_of(self._gates), self.hidden_size, slice(first, stop)
        gates, tanh_c, c_before = self._gates[:, steps], self._tanh_c[:, steps], self._c[:, steps]
        R, _, B, _ = gates.shape
        factors = self.work_array(xp, "factors", (R, chunk, B, 4 * H))[:, : stop - first]
        xp.multiply(gates, gates, out=factors)
        sigmoids = factors[..., : 3 * H]
        xp.subtract(gates[..., : 3 * H], sigmoids, out=sigmoids)  # s (1 - s)
        xp.subtract(1.0, factors[..., 3 * H :], out=factors[..., 3 * H :])  # 1 - g g
        # o is multiplied by tanh(c), i by g, f by the c before, and g by i
        for gate, multiplier in enumerate((tanh_c, gates[..., 3 * H :], c_before, gates[..., H : 2 * H])):
            factors[..., gate * H : (gate + 1) * H] *= multiplier
        dc_by_dh = self.work_array(xp, "dc by dh", (R, chunk, B, H))[:, : stop - first]
        xp.multiply(tanh_c, tanh_c, out=dc_by_dh)
        xp.subtract(1.0, dc_by_dh, out=dc_by_dh)
        dc_by_dh *= gates[..., :H]
        return factors[..., :H], factors[..., H:].reshape(*factors.shape[:3], 3, H), dc_by_dh
