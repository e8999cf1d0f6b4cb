"""Gated recurrent unit."""

from __future__ import annotations

from typing import ClassVar

from searchlab.backend import Array, xp_of
from searchlab.nn.rnn import Recurrent, States


class GRU(Recurrent):
    """h = (1 - u) h + u n, with u, r = sigmoid(x Wx + h Wh + b) and n = tanh(x Wx + (r h) Wh + b).

    Cho et al. 2014, as Deep Learning from Scratch 2, appendix C writes it: the reset gate r meets the state before the
    product. The gates lie in the order u, r, n in Wx (R, I, 3 H), Wh (R, H, 3 H) and b (R, 1, 3 H).
    """

    gates: ClassVar[int] = 3

    def run(self, z: Array, start: States) -> States:
        xp, (R, T, B, _), H = xp_of(z), z.shape, self.hidden
        self._gates = z
        self._h = h = self.array(xp, "h", (R, T + 1, B, H))
        self._reset = reset = self.array(xp, "reset", (R, T, B, H))  # r h
        added, new = self.array(xp, "added", (R, B, 2 * H)), self.array(xp, "new", (R, B, H))
        W_ur, W_n = self._parts()
        h[:, 0] = start[0]
        for t in range(T):
            sigmoids, n, h_t = z[:, t, :, : 2 * H], z[:, t, :, 2 * H :], h[:, t]
            sigmoids += xp.matmul(h_t, W_ur, out=added)
            sigmoids *= 0.5
            xp.tanh(sigmoids, out=sigmoids)
            sigmoids *= 0.5
            sigmoids += 0.5
            xp.multiply(sigmoids[..., H:], h_t, out=reset[:, t])
            n += xp.matmul(reset[:, t], W_n, out=new)
            xp.tanh(n, out=n)
            xp.subtract(n, h_t, out=new)
            new *= sigmoids[..., :H]
            xp.add(h_t, new, out=h[:, t + 1])
        return (h[:, T],)

    def run_back(self, dy: Array) -> Array:
        xp, (R, T, B, H) = xp_of(dy), dy.shape
        dz = self.array(xp, "dz", (R, T, B, 3 * H))
        back, dh, d_reset = (self.array(xp, name, (R, B, H)) for name in ("back", "dh", "d reset"))
        W_urT, W_nT = self._turned()
        dh[...] = dy[:, -1]
        for t in range(T - 1, -1, -1):
            u, r, n = (self._gates[:, t, :, at * H : (at + 1) * H] for at in range(3))
            h_t, dz_t = self._h[:, t], dz[:, t]
            du, dr, dn = (dz_t[..., at * H : (at + 1) * H] for at in range(3))
            xp.multiply(dh, u, out=dn)
            dn *= 1.0 - n * n
            xp.subtract(n, h_t, out=du)
            du *= dh
            du *= u * (1.0 - u)
            xp.matmul(dn, W_nT, out=d_reset)
            xp.multiply(d_reset, h_t, out=dr)
            dr *= r * (1.0 - r)
            if t:
                dh *= 1.0 - u
                d_reset *= r
                dh += d_reset
                dh += xp.matmul(dz_t[..., : 2 * H], W_urT, out=back)
                dh += dy[:, t - 1]
        return dz

    def learn_recurrent(self, before: Array, dz: Array) -> None:
        """The candidate's part meets r h instead of h."""
        H, xp = self.hidden, xp_of(dz)
        gradient = self.array(xp, "dWh", self.Wh.value.shape)
        reset = self._reset.reshape(len(dz), -1, H).swapaxes(1, 2)
        gradient[..., : 2 * H] = xp.matmul(before, dz[..., : 2 * H])
        gradient[..., 2 * H :] = xp.matmul(reset, dz[..., 2 * H :])
        self.Wh.learn(gradient)

    def _parts(self) -> tuple[Array, Array]:
        """Wh for u and r (R, H, 2 H), and for n (R, H, H)."""
        H = self.hidden
        return self.Wh.value[..., : 2 * H], self.Wh.value[..., 2 * H :]

    def _turned(self) -> tuple[Array, Array]:
        """The same turned round, in one piece each."""
        WhT, H = self.transposed(), self.hidden
        return WhT[:, : 2 * H], WhT[:, 2 * H :]
