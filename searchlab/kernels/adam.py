"""The kernel of Adam: one pass over values, gradients and moments."""

from __future__ import annotations

from typing import Any

import numpy as np

from searchlab.kernels.jit import jit


@jit
def adam(values: Any, grads: Any, m: Any, s: Any, beta1: Any, beta2: Any, epsilon: Any, rate: Any) -> None:
    """Update a block of values by their gradients; m and s are the decaying sums of gradients and of their squares.

    Args:
        values: The block (r, p), as are `grads`, `m` and `s`.
        grads: Gradients.
        m: Sums of gradients.
        s: Sums of squared gradients.
        beta1: Decay of `m` for each replica (r, 1), as are the other coefficients.
        beta2: Decay of `s`.
        epsilon: What is added to the root of `s`.
        rate: What the step is multiplied by.
    """
    for r in range(values.shape[0]):
        _adam_row(values[r], grads[r], m[r], s[r], beta1[r, 0], beta2[r, 0], epsilon[r, 0], rate[r, 0])


@jit
def _adam_row(values: Any, grads: Any, m: Any, s: Any, beta1: Any, beta2: Any, epsilon: Any, rate: Any) -> None:
    for j in range(values.shape[0]):
        gradient = grads[j]
        mean = m[j] * beta1 + gradient
        square = s[j] * beta2 + gradient * gradient
        m[j], s[j] = mean, square
        values[j] -= mean / (np.sqrt(square) + epsilon) * rate
