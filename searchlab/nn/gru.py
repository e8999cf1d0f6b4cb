"""Gated recurrent unit."""

from __future__ import annotations

from typing import ClassVar

from searchlab.backend import Array, xp_of
from searchlab.kernels import compiled, uses_compiled
from searchlab.kernels.cells import Kernel, fused_cells
from searchlab.nn.rnn import RecurrentLayer, RecurrentState


class GRU(RecurrentLayer):
    """Gated recurrent unit.

    u, r = sigmoid(x_t Wx + h_{t-1} Wh + b); n = tanh(x_t Wx + (r h_{t-1}) Wh + b), each with its third of the weights;
    h_t = (1 - u) h_{t-1} + u n.

    The reset gate r is applied to the state before the product. The gates are stored in the order u, r, n.

    Args:
        replicas: The replicas, which draw the weights.
        input_size: Size I of each input.
        hidden_size: Size H of the hidden state.
        initializer: Draws Wx (R, I, 3 H) and Wh (R, H, 3 H); default `lecun_normal`. Biases b (R, 1, 3 H) start at 0.

    Reference:
        Cho et al. (2014), as Deep Learning from Scratch 2, appendix C writes it.

    Example:
        >>> import numpy as np
        >>> from searchlab.nn import GRU, Replicas
        >>> h, (h_T,) = GRU(Replicas([1, 2]), 3, 4).forward(np.ones((2, 6, 5, 3), np.float32), train=False)
        >>> h.shape, bool((h[:, -1] == h_T).all())
        ((2, 6, 5, 4), True)
    """

    num_gates: ClassVar[int] = 3

    def scan(self, z: Array, start: RecurrentState) -> RecurrentState:
        xp, (R, T, B, _), H = xp_of(z), z.shape, self.hidden_size
        self._gates = z
        self._h = h = self.work_array(xp, "h", (R, T + 1, B, H))
        self._reset_h = reset_h = self.work_array(xp, "reset h", (R, T, B, H))  # r h
        h_Wh, buffer = self.work_array(xp, "h Wh", (R, B, 2 * H)), self.work_array(xp, "buffer", (R, B, H))
        Wh_ur, Wh_n = self._split_Wh()
        h[:, 0] = start[0]
        if uses_compiled(z):
            compiled("gru").gru_forward(z, self.contiguous_Wh(), h, reset_h)
            return (h[:, T],)
        if cells := fused_cells(xp):
            self._scan_fused(cells, h_Wh, buffer)
            return (h[:, T],)
        for t in range(T):
            sigmoids, n, h_t = z[:, t, :, : 2 * H], z[:, t, :, 2 * H :], h[:, t]
            sigmoids += xp.matmul(h_t, Wh_ur, out=h_Wh)
            sigmoids *= 0.5
            xp.tanh(sigmoids, out=sigmoids)
            sigmoids *= 0.5
            sigmoids += 0.5
            xp.multiply(sigmoids[..., H:], h_t, out=reset_h[:, t])
            n += xp.matmul(reset_h[:, t], Wh_n, out=buffer)
            xp.tanh(n, out=n)
            xp.subtract(n, h_t, out=buffer)
            buffer *= sigmoids[..., :H]
            xp.add(h_t, buffer, out=h[:, t + 1])
        return (h[:, T],)

    def scan_backward(self, dy: Array, d_end: RecurrentState | None) -> Array:
        xp, (R, T, B, H) = xp_of(dy), dy.shape
        dz = self.work_array(xp, "dz", (R, T, B, 3 * H))
        dh_before, dh, dreset_h = (self.work_array(xp, name, (R, B, H)) for name in ("dh before", "dh", "dreset h"))
        dh[...] = self.last_gradient(dy, d_end)
        if uses_compiled(dz):
            WhT, dy = self.transposed_Wh(), xp.ascontiguousarray(dy)
            compiled("gru").gru_backward(self._gates, WhT, self._h, dy, dh, dreset_h, dz)
            return dz
        if cells := fused_cells(xp):
            self._scan_backward_fused(cells, dy, dh, dreset_h, dz)
            return dz
        Wh_urT, Wh_nT = self._split_transposed_Wh()
        for t in range(T - 1, -1, -1):
            (u, r, n), (du, dr, dn) = self._gates_at(self._gates, t), self._gates_at(dz, t)
            h_t, dz_t = self._h[:, t], dz[:, t]
            xp.multiply(dh, u, out=dn)
            dn *= 1.0 - n * n
            xp.subtract(n, h_t, out=du)
            du *= dh
            du *= u * (1.0 - u)
            xp.matmul(dn, Wh_nT, out=dreset_h)
            xp.multiply(dreset_h, h_t, out=dr)
            dr *= r * (1.0 - r)
            if t:
                dh *= 1.0 - u
                dreset_h *= r
                dh += dreset_h
                dh += xp.matmul(dz_t[..., : 2 * H], Wh_urT, out=dh_before)
                dh += dy[:, t - 1]
        return dz

    def _scan_fused(self, cells: dict[str, Kernel], h_Wh: Array, buffer: Array) -> None:
        """Advance the state through the window with four launches for each time step."""
        xp, (Wh_ur, Wh_n), h, reset_h = xp_of(h_Wh), self._split_Wh(), self._h, self._reset_h
        from_h = h_Wh[..., : self.hidden_size], h_Wh[..., self.hidden_size :]
        for t in range(self._gates.shape[1]):
            u, r, n = self._gates_at(self._gates, t)
            xp.matmul(h[:, t], Wh_ur, out=h_Wh)
            cells["gru_gates"](u, r, *from_h, h[:, t], u, r, reset_h[:, t])
            xp.matmul(reset_h[:, t], Wh_n, out=buffer)
            cells["gru_state"](n, buffer, u, h[:, t], n, h[:, t + 1])

    def _scan_backward_fused(self, cells: dict[str, Kernel], dy: Array, dh: Array, dreset_h: Array, dz: Array) -> None:
        """Write dz (R, T, B, 3 H), and what `start_gradients` reads, with four launches for each time step."""
        xp, H, (Wh_urT, Wh_nT) = xp_of(dz), self.hidden_size, self._split_transposed_Wh()
        dh_product = self._work_arrays["dh before"]
        dh_kept, zeros = (self.work_array(xp, name, dh.shape) for name in ("dh kept", "zeros"))
        dh_product[...], dh_kept[...], zeros[...] = dh, 0.0, 0.0
        dy_t = zeros  # dh has that of the last output already
        for t in range(dz.shape[1] - 1, -1, -1):
            (u, r, n), (du, dr, dn), h_t = self._gates_at(self._gates, t), self._gates_at(dz, t), self._h[:, t]
            cells["gru_backward_state"](dh_product, dh_kept, dy_t, u, n, h_t, dh, du, dn)
            xp.matmul(dn, Wh_nT, out=dreset_h)
            cells["gru_backward_gates"](dreset_h, dh, u, r, h_t, dr, dh_kept)
            if t:
                xp.matmul(dz[:, t, :, : 2 * H], Wh_urT, out=dh_product)
                dy_t = dy[:, t - 1]

    def _gates_at(self, z: Array, t: int) -> tuple[Array, ...]:
        """Return views of the gates u, r, n (R, B, H) at a time step."""
        H = self.hidden_size
        return tuple(z[:, t, :, gate * H : (gate + 1) * H] for gate in range(3))

    def start_gradients(self) -> RecurrentState:
        dz, dh, dreset_h = (self._work_arrays[name] for name in ("dz", "dh", "dreset h"))
        H, (WhT_ur, _) = self.hidden_size, self._split_transposed_Wh()
        u, r = self._gates[:, 0, :, :H], self._gates[:, 0, :, H : 2 * H]
        return (dh * (1.0 - u) + dreset_h * r + xp_of(dz).matmul(dz[:, 0, :, : 2 * H], WhT_ur),)

    def add_recurrent_gradient(self, h_before: Array, dz: Array) -> None:
        """Add the gradient of Wh; the part of n was multiplied by r h instead of h."""
        H, xp = self.hidden_size, xp_of(dz)
        gradient = self.work_array(xp, "dWh", self.Wh.value.shape)
        reset_h = self._reset_h.reshape(len(dz), -1, H).swapaxes(1, 2)
        gradient[..., : 2 * H] = xp.matmul(h_before, dz[..., : 2 * H])
        gradient[..., 2 * H :] = xp.matmul(reset_h, dz[..., 2 * H :])
        self.Wh.add_gradient(gradient)

    def _split_Wh(self) -> tuple[Array, Array]:
        """Return the parts of Wh for u and r (R, H, 2 H), and for n (R, H, H)."""
        H = self.hidden_size
        return self.Wh.value[..., : 2 * H], self.Wh.value[..., 2 * H :]

    def _split_transposed_Wh(self) -> tuple[Array, Array]:
        """Return the same parts transposed, (R, 2 H, H) and (R, H, H), each matrix contiguous."""
        WhT, H = self.transposed_Wh(), self.hidden_size
        return WhT[:, : 2 * H], WhT[:, 2 * H :]
