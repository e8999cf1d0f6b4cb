"""The cells of recurrent layers on a CUDA device: one launch for what NumPy's code does in many.

Small cells compute for less time than their launches take, and a window has a launch for every pass of every time
step. CuPy compiles an operation at its first call, for the dtype of its arrays, and keeps it on disk. An input may be
the same array as an output: an operation reads it before it writes there.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, TypeAlias

import numpy as np

Kernel: TypeAlias = Callable[..., object]

LSTM_FORWARD = """
gate_o = T(0.5) * tanh(T(0.5) * (z_o + h_o)) + T(0.5);
gate_i = T(0.5) * tanh(T(0.5) * (z_i + h_i)) + T(0.5);
gate_f = T(0.5) * tanh(T(0.5) * (z_f + h_f)) + T(0.5);
gate_g = tanh(z_g + h_g);
c = gate_f * c_before + gate_i * gate_g;
tanh_c = tanh(c);
h = gate_o * tanh_c;
"""

LSTM_BACKWARD = """
dc = dc_after * f_after + (dh + dy) * gate_o * (T(1) - tanh_c * tanh_c);
dz_o = (dh + dy) * tanh_c * gate_o * (T(1) - gate_o);
dz_i = dc * gate_g * gate_i * (T(1) - gate_i);
dz_f = dc * c_before * gate_f * (T(1) - gate_f);
dz_g = dc * gate_i * (T(1) - gate_g * gate_g);
"""

GRU_GATES = """
gate_u = T(0.5) * tanh(T(0.5) * (z_u + h_u)) + T(0.5);
gate_r = T(0.5) * tanh(T(0.5) * (z_r + h_r)) + T(0.5);
reset_h = gate_r * h_before;
"""

GRU_STATE = """
gate_n = tanh(z_n + h_n);
h = h_before + gate_u * (gate_n - h_before);
"""

GRU_BACKWARD_STATE = """
dh = dh_product + dh_kept + dy;
dz_u = dh * (gate_n - h_before) * gate_u * (T(1) - gate_u);
dz_n = dh * gate_u * (T(1) - gate_n * gate_n);
"""

GRU_BACKWARD_GATES = """
dz_r = dreset_h * h_before * gate_r * (T(1) - gate_r);
dh_kept = dh * (T(1) - gate_u) + dreset_h * gate_r;
"""

# inputs, outputs and operation of each; all arrays are (R, B, H). CuPy reserves the names i and n
CELLS = {
    "lstm_forward": (
        "z_o z_i z_f z_g h_o h_i h_f h_g c_before",
        "gate_o gate_i gate_f gate_g c tanh_c h",
        LSTM_FORWARD,
    ),
    "lstm_backward": (
        "dh dy dc_after f_after gate_o gate_i gate_f gate_g tanh_c c_before",
        "dc dz_o dz_i dz_f dz_g",
        LSTM_BACKWARD,
    ),
    "gru_gates": ("z_u z_r h_u h_r h_before", "gate_u gate_r reset_h", GRU_GATES),
    "gru_state": ("z_n h_n gate_u h_before", "gate_n h", GRU_STATE),
    "gru_backward_state": ("dh_product dh_kept dy gate_u gate_n h_before", "dh dz_u dz_n", GRU_BACKWARD_STATE),
    "gru_backward_gates": ("dreset_h dh gate_u gate_r h_before", "dz_r dh_kept", GRU_BACKWARD_GATES),
}


def fused_cells(xp: Any) -> dict[str, Kernel] | None:
    """Return the operations by name, called with their inputs and then their outputs; None for NumPy, which has none.

    Args:
        xp: The module, numpy or cupy, that made the arrays.
    """
    return None if xp is np else _cells(xp)


@cache
def _cells(xp: Any) -> dict[str, Kernel]:
    def typed(names: str) -> str:
        return ", ".join(f"T {name}" for name in names.split())

    return {
        name: xp.ElementwiseKernel(typed(inputs), typed(outputs), operation, f"searchlab_{name}")
        for name, (inputs, outputs, operation) in CELLS.items()
    }
