"""The kernel of the rectified linear unit: its gradient in one pass, where NumPy compares, converts and multiplies."""

from __future__ import annotations

from typing import Any

import numpy as np

from searchlab.kernels.jit import jit

ZERO, ONE = np.float32(0.0), np.float32(1.0)


@jit
def relu_gradient(y: Any, dy: Any, dx: Any) -> None:
    """Write the gradients of the inputs: those of the outputs where an output is above 0, and 0 times them elsewhere.

    Args:
        y: The outputs (n,).
        dy: Gradients of the outputs (n,).
        dx: Gradients of the inputs (n,), which are written.
    """
    for i in range(y.shape[0]):
        dx[i] = dy[i] * (ONE if y[i] > ZERO else ZERO)  # the factor that NumPy's comparison is: equal bit for bit
