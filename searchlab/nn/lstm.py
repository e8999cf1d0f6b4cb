"""Long short-term memory."""

from __future__ import annotations

from typing import ClassVar

from searchlab.backend import Array, xp_of
from searchlab.nn.rnn import Recurrent, States

AT_ONCE = 2**16  # numbers of all gates whose slopes are worked out together: 256 kB, so that they stay in the cache


class LSTM(Recurrent):
    """c = f c + i g; h = o tanh(c), with o, i, f = sigmoid and g = tanh of x Wx + h Wh + b.

    Hochreiter and Schmidhuber 1997 with the forget gate of Gers et al. 2000; Deep Learning from Scratch 2, chapter 6.
    The gates lie in the order o, i, f, g: the three sigmoids side by side, and so the three that c is made of.
    """

    gates: ClassVar[int] = 4
    states: ClassVar[int] = 2

    def run(self, z: Array, start: States) -> States:
        xp, (R, T, B, _), H = xp_of(z), z.shape, self.hidden
        self._gates = z
        h, c = self._h, self._c = [self.array(xp, name, (R, T + 1, B, H)) for name in "hc"]
        self._tanh_c = self.array(xp, "tanh c", (R, T, B, H))
        added, new = self.array(xp, "added", (R, B, 4 * H)), self.array(xp, "new", (R, B, H))
        Wh, half = self.Wh.value, z.dtype.type(0.5)
        h[:, 0], c[:, 0] = start
        if self._seen is not z:
            self._seen, self._moments = z, [self._moment(z, t) for t in range(T)]
        matmul, tanh, multiply = xp.matmul, xp.tanh, xp.multiply
        for h_t, c_t, z_t, sigmoids, o, i, f, g, tanh_t, c_next, h_next in self._moments:
            z_t += matmul(h_t, Wh, out=added)
            sigmoids *= half  # sigmoid(z) = (1 + tanh(z / 2)) / 2: one tanh for all four gates
            tanh(z_t, out=z_t)
            sigmoids *= half
            sigmoids += half
            multiply(f, c_t, out=c_next)
            c_next += multiply(i, g, out=new)
            tanh(c_next, out=tanh_t)
            multiply(o, tanh_t, out=h_next)
        return h[:, T], c[:, T]

    def _moment(self, z: Array, t: int) -> tuple[Array, ...]:
        """Views of the work arrays at one moment, kept: cutting them anew costs a tenth of a small network's step."""
        H, h, c, z_t = self.hidden, self._h, self._c, z[:, t]
        gates = (z_t[..., at * H : (at + 1) * H] for at in range(4))
        return h[:, t], c[:, t], z_t, z_t[..., : 3 * H], *gates, self._tanh_c[:, t], c[:, t + 1], h[:, t + 1]

    def run_back(self, dy: Array) -> Array:
        xp, (R, T, B, H) = xp_of(dy), dy.shape
        dz = self.array(xp, "dz", (R, T, B, 4 * H))
        back, dc, from_h = (self.array(xp, name, (R, B, H)) for name in ("back", "dc", "from h"))
        f, WhT, dh = self._gates[..., 2 * H : 3 * H], self.transposed(), dy[:, -1]
        dc[...] = 0.0
        size = min(T, max(1, AT_ONCE // (R * B * 4 * H)))
        for last in range(T, 0, -size):
            first = max(0, last - size)
            by_h, by_c, to_c = self._slopes(first, last, size)  # (R, t, B, H), (R, t, B, 3, H), (R, t, B, H)
            for t in range(last - 1, first - 1, -1):
                dz_t, at = dz[:, t], t - first
                xp.multiply(dh, by_h[:, at], out=dz_t[..., :H])
                dc += xp.multiply(dh, to_c[:, at], out=from_h)
                xp.multiply(dc[:, :, None], by_c[:, at], out=dz_t[..., H:].reshape(R, B, 3, H))
                if t:
                    dc *= f[:, t]
                    dh = xp.matmul(dz_t, WhT, out=back)
                    dh += dy[:, t - 1]
        return dz

    def _slopes(self, first: int, last: int, size: int) -> tuple[Array, Array, Array]:
        """What dh and dc are multiplied by on their way to the gates, and dh on its way to dc, for some moments."""
        xp, H, now = xp_of(self._gates), self.hidden, slice(first, last)
        gates, tanh_c, before = self._gates[:, now], self._tanh_c[:, now], self._c[:, now]
        R, _, B, _ = gates.shape
        slope = self.array(xp, "slope", (R, size, B, 4 * H))[:, : last - first]
        xp.multiply(gates, gates, out=slope)
        sigmoids = slope[..., : 3 * H]
        xp.subtract(gates[..., : 3 * H], sigmoids, out=sigmoids)  # s (1 - s)
        xp.subtract(1.0, slope[..., 3 * H :], out=slope[..., 3 * H :])  # 1 - g g
        for at, other in enumerate((tanh_c, gates[..., 3 * H :], before, gates[..., H : 2 * H])):
            slope[..., at * H : (at + 1) * H] *= other  # o meets tanh(c), i meets g, f meets c before, g meets i
        to_c = self.array(xp, "to c", (R, size, B, H))[:, : last - first]
        xp.multiply(tanh_c, tanh_c, out=to_c)
        xp.subtract(1.0, to_c, out=to_c)
        to_c *= gates[..., :H]
        return slope[..., :H], slope[..., H:].reshape(*slope.shape[:3], 3, H), to_c
