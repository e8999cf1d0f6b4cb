"""The kernels of a plain recurrent layer: whole windows of one replica after the other.

A replica's recurrent weights then stay in the core's cache for all time steps of a window. Loops over features are
short and apart, since LLVM vectorizes only loops that write to few arrays.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from searchlab.kernels.jit import jit
from searchlab.kernels.rows import copy_row, tanh_into
from searchlab.kernels.tiles import add_product, fill_panels, work_arrays

ONE = np.float32(1.0)


@jit
def rnn_forward(z: Any, Wh: Any, h: Any) -> None:
    """Advance a plain recurrent layer through a window.

    Args:
        z: What the inputs add (R, T, B, H); overwritten.
        Wh: Recurrent weights (R, H, H).
        h: Hidden states (R, T + 1, B, H), the first of which is given.
    """
    R, T, B, H = z.shape
    panels, edge = work_arrays(H, H)
    for r in range(R):
        fill_panels(Wh[r], 0, H, panels)
        for t in range(T):
            add_product(h[r, t], panels, z[r, t], 0, H, edge)
            for b in range(B):
                tanh_into(z[r, t, b], h[r, t + 1, b])


@jit
def rnn_backward(WhT: Any, h: Any, dy: Any, dh: Any, dz: Any) -> None:
    """Write the gradients dz (R, T, B, H) of a plain recurrent layer before its activation.

    Args:
        WhT: Recurrent weights, transposed (R, H, H).
        h: Hidden states (R, T + 1, B, H).
        dy: Gradient of the hidden states as outputs (R, T, B, H).
        dh: Gradient of the last hidden state (R, B, H); overwritten.
        dz: The gradients, which are written.
    """
    R, T, B, H = dz.shape
    panels, edge = work_arrays(H, H)
    for r in range(R):
        fill_panels(WhT[r], 0, H, panels)
        for t in range(T - 1, -1, -1):
            for b in range(B):
                _rnn_row_backward(h[r, t + 1, b], dh[r, b], dz[r, t, b])
            if t:
                for b in range(B):
                    copy_row(dy[r, t - 1, b], dh[r, b])
                add_product(dz[r, t], panels, dh[r], 0, H, edge)


@jit
def _rnn_row_backward(h: Any, dh: Any, dz: Any) -> None:
    for j in range(h.shape[0]):
        dz[j] = dh[j] * (ONE - h[j] * h[j])
