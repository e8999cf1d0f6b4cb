"""The kernels of an LSTM: whole windows of one replica after the other.

A replica's recurrent weights then stay in the core's cache for all time steps of a window. Loops over features are
short and apart, since LLVM vectorizes only loops that write to few arrays.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from searchlab.kernels.jit import jit
from searchlab.kernels.rows import copy_row, scale_row, sigmoid_row, tanh, tanh_row
from searchlab.kernels.tiles import add_product, fill_panels, work_arrays

ONE = np.float32(1.0)


@jit
def lstm_forward(z: Any, Wh: Any, h: Any, c: Any, tanh_c: Any) -> None:
    """Advance an LSTM through a window.

    Args:
        z: What the inputs add to the gates (R, T, B, 4 H), overwritten with the gates o, i, f, g.
        Wh: Recurrent weights (R, H, 4 H).
        h: Hidden states (R, T + 1, B, H), the first of which is given.
        c: Cell states (R, T + 1, B, H), the first of which is given.
        tanh_c: tanh of the cell states after each time step (R, T, B, H).
    """
    R, T, B, G = z.shape
    H = G // 4
    panels, edge = work_arrays(H, G)
    for r in range(R):
        fill_panels(Wh[r], 0, G, panels)
        for t in range(T):
            add_product(h[r, t], panels, z[r, t], 0, G, edge)
            for b in range(B):
                gates = z[r, t, b]
                sigmoid_row(gates[: 3 * H])
                tanh_row(gates[3 * H :])
                _lstm_row(gates, c[r, t, b], c[r, t + 1, b], tanh_c[r, t, b], h[r, t + 1, b])


@jit
def _lstm_row(gates: Any, c_before: Any, c: Any, tanh_c: Any, h: Any) -> None:
    H = c.shape[0]
    o, i, f, g = gates[:H], gates[H : 2 * H], gates[2 * H : 3 * H], gates[3 * H :]
    for j in range(H):
        c[j] = f[j] * c_before[j] + i[j] * g[j]
    for j in range(H):
        tanh_c[j] = tanh(c[j])
    for j in range(H):
        h[j] = o[j] * tanh_c[j]


@jit
def lstm_backward(gates: Any, WhT: Any, c: Any, tanh_c: Any, dy: Any, dh: Any, dc: Any, dz: Any) -> None:
    """Write the gradients of an LSTM's gates before their activations.

    Args:
        gates: The gates o, i, f, g (R, T, B, 4 H).
        WhT: Recurrent weights, transposed (R, 4 H, H).
        c: Cell states (R, T + 1, B, H).
        tanh_c: tanh of the cell states after each time step (R, T, B, H).
        dy: Gradient of the hidden states as outputs (R, T, B, H).
        dh: Gradient of the last hidden state (R, B, H); overwritten.
        dc: Gradient of the last cell state (R, B, H); overwritten with that of c after the first time step.
        dz: The gradients (R, T, B, 4 H), which are written.
    """
    R, T, B, G = gates.shape
    H = G // 4
    panels, edge = work_arrays(G, H)
    for r in range(R):
        fill_panels(WhT[r], 0, H, panels)
        for t in range(T - 1, -1, -1):
            for b in range(B):
                _lstm_row_backward(gates[r, t, b], c[r, t, b], tanh_c[r, t, b], dh[r, b], dc[r, b], dz[r, t, b])
            if t:
                for b in range(B):
                    scale_row(gates[r, t, b, 2 * H : 3 * H], dc[r, b])
                    copy_row(dy[r, t - 1, b], dh[r, b])
                add_product(dz[r, t], panels, dh[r], 0, H, edge)


@jit
def _lstm_row_backward(gates: Any, c_before: Any, tanh_c: Any, dh: Any, dc: Any, dz: Any) -> None:
    H = dh.shape[0]
    o, i, f, g = gates[:H], gates[H : 2 * H], gates[2 * H : 3 * H], gates[3 * H :]
    dzo, dzi, dzf, dzg = dz[:H], dz[H : 2 * H], dz[2 * H : 3 * H], dz[3 * H :]
    for j in range(H):
        dc[j] += dh[j] * (o[j] * (ONE - tanh_c[j] * tanh_c[j]))
    for j in range(H):
        dzo[j] = dh[j] * (tanh_c[j] * (o[j] * (ONE - o[j])))
    for j in range(H):
        dzi[j] = dc[j] * (g[j] * (i[j] * (ONE - i[j])))
    for j in range(H):
        dzf[j] = dc[j] * (c_before[j] * (f[j] * (ONE - f[j])))
    for j in range(H):
        dzg[j] = dc[j] * (i[j] * (ONE - g[j] * g[j]))
