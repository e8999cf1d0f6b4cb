"""The kernels of a GRU: whole windows of one replica after the other.

A replica's recurrent weights then stay in the core's cache for all time steps of a window. Loops over features are
short and apart, since LLVM vectorizes only loops that write to few arrays.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from searchlab.kernels.jit import jit
from searchlab.kernels.rows import copy_row, fill_zero, scale_row, sigmoid_row, tanh_row
from searchlab.kernels.tiles import add_product, fill_panels, work_arrays

ONE = np.float32(1.0)


@jit
def gru_forward(z: Any, Wh: Any, h: Any, reset_h: Any) -> None:
    """Advance a GRU through a window.

    Args:
        z: What the inputs add to the gates (R, T, B, 3 H), overwritten with the gates u, r, n.
        Wh: Recurrent weights (R, H, 3 H).
        h: Hidden states (R, T + 1, B, H), the first of which is given.
        reset_h: r times the hidden states before each time step (R, T, B, H), which are written.
    """
    R, T, B, G = z.shape
    H = G // 3
    panels_ur, edge = work_arrays(H, 2 * H)
    panels_n, _ = work_arrays(H, H)
    for r in range(R):
        fill_panels(Wh[r], 0, 2 * H, panels_ur)
        fill_panels(Wh[r], 2 * H, H, panels_n)
        for t in range(T):
            add_product(h[r, t], panels_ur, z[r, t], 0, 2 * H, edge)
            for b in range(B):
                gates, h_row, reset_row = z[r, t, b], h[r, t, b], reset_h[r, t, b]
                sigmoid_row(gates[: 2 * H])
                copy_row(h_row, reset_row)
                scale_row(gates[H : 2 * H], reset_row)
            add_product(reset_h[r, t], panels_n, z[r, t], 2 * H, H, edge)
            for b in range(B):
                _gru_row(z[r, t, b, :H], z[r, t, b, 2 * H :], h[r, t, b], h[r, t + 1, b])


@jit
def _gru_row(u: Any, n: Any, h_before: Any, h: Any) -> None:
    tanh_row(n)
    for j in range(h.shape[0]):
        h[j] = h_before[j] + u[j] * (n[j] - h_before[j])


@jit
def gru_backward(gates: Any, WhT: Any, h: Any, dy: Any, dh: Any, dreset_h: Any, dz: Any) -> None:
    """Write the gradients of a GRU's gates before their activations.

    Args:
        gates: The gates u, r, n (R, T, B, 3 H).
        WhT: Recurrent weights, transposed (R, 3 H, H).
        h: Hidden states (R, T + 1, B, H).
        dy: Gradient of the hidden states as outputs (R, T, B, H).
        dh: Gradient of the last hidden state (R, B, H); overwritten with that after the first time step.
        dreset_h: Overwritten with the gradient (R, B, H) of r h at the first time step.
        dz: The gradients (R, T, B, 3 H), which are written.
    """
    R, T, B, G = gates.shape
    H = G // 3
    panels_ur, edge = work_arrays(2 * H, H)
    panels_n, _ = work_arrays(H, H)
    dn, dur = np.empty((B, H), np.float32), np.empty((B, 2 * H), np.float32)  # the products need contiguous rows
    for r in range(R):
        fill_panels(WhT[r, : 2 * H], 0, H, panels_ur)
        fill_panels(WhT[r, 2 * H :], 0, H, panels_n)
        for t in range(T - 1, -1, -1):
            for b in range(B):
                u, n = gates[r, t, b, :H], gates[r, t, b, 2 * H :]
                _gru_row_backward(u, n, h[r, t, b], dh[r, b], dur[b, :H], dn[b])
                fill_zero(dreset_h[r, b])
            add_product(dn, panels_n, dreset_h[r], 0, H, edge)
            for b in range(B):
                _gru_reset_backward(gates[r, t, b, H : 2 * H], h[r, t, b], dreset_h[r, b], dur[b, H:])
                copy_row(dur[b], dz[r, t, b, : 2 * H])
                copy_row(dn[b], dz[r, t, b, 2 * H :])
            if t:
                for b in range(B):
                    _gru_state_backward(gates[r, t, b], dreset_h[r, b], dy[r, t - 1, b], dh[r, b])
                add_product(dur, panels_ur, dh[r], 0, H, edge)


@jit
def _gru_row_backward(u: Any, n: Any, h_before: Any, dh: Any, du: Any, dn: Any) -> None:
    for j in range(dh.shape[0]):
        dn[j] = dh[j] * u[j] * (ONE - n[j] * n[j])
    for j in range(dh.shape[0]):
        du[j] = (n[j] - h_before[j]) * dh[j] * (u[j] * (ONE - u[j]))


@jit
def _gru_reset_backward(reset: Any, h_before: Any, dreset_h: Any, dr: Any) -> None:
    for j in range(dr.shape[0]):
        dr[j] = dreset_h[j] * h_before[j] * (reset[j] * (ONE - reset[j]))


@jit
def _gru_state_backward(gates: Any, dreset_h: Any, dy: Any, dh: Any) -> None:
    H = dh.shape[0]
    u, reset = gates[:H], gates[H : 2 * H]
    for j in range(H):
        dh[j] = dh[j] * (ONE - u[j]) + dreset_h[j] * reset[j]
    for j in range(H):
        dh[j] += dy[j]
