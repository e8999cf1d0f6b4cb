"""Operations on one row of numbers, compiled, which the kernels share."""

from __future__ import annotations

from typing import Any

import numpy as np

from searchlab.kernels.jit import jit

f32 = np.float32
ONE, HALF = f32(1.0), f32(0.5)
TANH_LIMIT = f32(9.01)  # tanh of it is 1 in float32
# tanh(x) = x P(x²) / Q(x²): least largest relative error, 2e-8 before rounding, fitted on (0, TANH_LIMIT]
P0, P1, P2 = f32(0.9999999794282223), f32(0.13380320939023405), f32(3.4947498079535575e-3)
P3, P4 = f32(2.0595239094220752e-5), f32(1.3335392386242679e-8)
Q1, Q2 = f32(0.4671363643267554), f32(0.025873796358975902)
Q3, Q4 = f32(3.284261702334851e-4), f32(7.768690390787515e-7)


@jit
def tanh(x: Any) -> Any:
    """Return tanh of a float32 to 5 units in the last place; NaN of NaN."""
    x = TANH_LIMIT if x > TANH_LIMIT else x
    x = -TANH_LIMIT if x < -TANH_LIMIT else x
    u = x * x
    p = (((P4 * u + P3) * u + P2) * u + P1) * u + P0
    q = (((Q4 * u + Q3) * u + Q2) * u + Q1) * u + ONE
    y = x * p / q
    y = ONE if y > ONE else y  # rounded up, where it saturates: the derivative of a gate may not be negative
    return -ONE if y < -ONE else y


@jit
def tanh_into(x: Any, y: Any) -> None:
    """Write tanh of a vector into another one."""
    for j in range(x.shape[0]):
        y[j] = tanh(x[j])


@jit
def tanh_row(x: Any) -> None:
    """Replace a vector by its tanh; `tanh_into` would find that its arrays overlap, and go number by number."""
    for j in range(x.shape[0]):
        x[j] = tanh(x[j])


@jit
def sigmoid_row(x: Any) -> None:
    """Replace a vector by its sigmoid."""
    for j in range(x.shape[0]):
        x[j] = HALF + HALF * tanh(HALF * x[j])


@jit
def scale_row(factors: Any, x: Any) -> None:
    for j in range(x.shape[0]):
        x[j] *= factors[j]


@jit
def copy_row(source: Any, target: Any) -> None:
    for j in range(target.shape[0]):
        target[j] = source[j]


@jit
def fill_zero(x: Any) -> None:
    for j in range(x.shape[0]):
        x[j] = 0.0
