"""The kernels of softmax cross entropy: the losses of rows of scores and their gradients, one row after the other."""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from searchlab.kernels.jit import jit, jit_with

f32 = np.float32
ZERO, ONE, HALF = f32(0.0), f32(1.0), f32(0.5)
EXP_LIMIT = f32(-87.0)  # exp of less is taken as 0
LOG2_E, LN2_HIGH, LN2_LOW = f32(1.442695040888963), f32(0.693359375), f32(-2.12194440e-4)
E2, E3, E4, E5, E6 = f32(0.5), f32(0.16666666), f32(0.041666508), f32(0.0083354885), f32(0.0013949631)


def _bitcast(context: Any, bits: Any) -> Any:
    """Return the float32 with these bits, an int32."""
    return types.float32(bits), lambda context, builder, signature, values: builder.bitcast(values[0], ir.FloatType())


_float_of_bits: Any = intrinsic(_bitcast)


@jit
def exp_negative(x: Any) -> Any:
    """Return exp of a float32 of at most 0, to 3 units in the last place; 0 below -87, NaN of NaN.

    exp(x) = 2^n exp(r), where n is the whole number next to x / log(2) and |r| <= log(2) / 2.
    """
    inner = x if x > EXP_LIMIT else EXP_LIMIT
    n = np.int32(inner * LOG2_E - HALF)  # truncation towards 0 rounds a negative number
    whole = f32(n)
    r = inner - whole * LN2_HIGH - whole * LN2_LOW
    series = ((((E6 * r + E5) * r + E4) * r + E3) * r + E2) * (r * r) + r + ONE
    result = series * _float_of_bits(np.int32((n + np.int32(127)) << np.int32(23)))
    return result if x > EXP_LIMIT else (ZERO if x <= EXP_LIMIT else x)


# the order of a sum and of a search depends on the length of the row alone; a NaN is found by the sum, if not here
@jit_with("nnan", "nsz")
def _largest(x: Any) -> Any:
    largest = x[0]
    for j in range(1, x.shape[0]):
        largest = x[j] if x[j] > largest else largest
    return largest


@jit_with("reassoc")
def _sum(x: Any) -> Any:
    total = ZERO
    for j in range(x.shape[0]):
        total += x[j]
    return total


@jit
def _subtract(x: Any, number: Any) -> None:
    for j in range(x.shape[0]):
        x[j] -= number


@jit
def _add(x: Any, y: Any) -> None:
    for j in range(x.shape[0]):
        x[j] += y[j]


@jit
def _multiply(x: Any, number: Any) -> None:
    for j in range(x.shape[0]):
        x[j] *= number


@jit
def _exponentiate(x: Any) -> None:
    for j in range(x.shape[0]):
        x[j] = exp_negative(x[j])


@jit
def cross_entropy(scores: Any, labels: Any, weights: Any, smoothing: Any, losses: Any, writes_gradient: bool) -> bool:
    """Write the cross entropy of the softmax of each row, and overwrite the scores with its gradient.

    Args:
        scores: Scores (R, N, O), overwritten.
        labels: The right column of each row (R, N); below 0 for a row without one.
        weights: Weight of each row in its replica's loss (R, N).
        smoothing: Share of each replica's targets that is spread evenly over the columns (R,).
        losses: The losses of rows, without their weights (R, N), which are written.
        writes_gradient: Whether the scores become the gradient of the weighted sum; their values are of no use if not.

    Returns:
        Whether all labels are columns.
    """
    R, N, columns = scores.shape
    for r in range(R):
        spread = smoothing[r] / f32(columns)
        for n in range(N):
            row, label, weight = scores[r, n], labels[r, n], weights[r, n]
            if label >= columns:
                return False
            _subtract(row, _largest(row))
            label_score = row[label] if label >= 0 else ZERO
            if spread > ZERO:  # without it, the numbers are those of a group that nothing is smoothed in
                label_score = label_score * (ONE - smoothing[r]) + _sum(row) * spread
            _exponentiate(row)
            total = _sum(row)
            losses[r, n] = np.log(total) - label_score
            if writes_gradient:
                _multiply(row, weight / total)
                if spread > ZERO:
                    _subtract(row, spread * weight)
                if label >= 0:
                    row[label] -= weight * (ONE - smoothing[r])
    return True


@jit
def add_biases(scores: Any, b: Any) -> None:
    """Add biases (R, O) to scores (R, N, O)."""
    for r in range(scores.shape[0]):
        for n in range(scores.shape[1]):
            _add(scores[r, n], b[r])
