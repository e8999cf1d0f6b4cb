"""The kernels of gradient descent, plain and with momentum: one pass over values and gradients."""

from __future__ import annotations

from typing import Any

from searchlab.kernels.jit import jit


@jit
def sgd(values: Any, grads: Any, lr: Any) -> None:
    """Update a block of values (r, p) by their gradients (r, p), with a learning rate for each replica (r, 1)."""
    for r in range(values.shape[0]):
        _sgd_row(values[r], grads[r], lr[r, 0])


@jit
def _sgd_row(values: Any, grads: Any, lr: Any) -> None:
    for j in range(values.shape[0]):
        values[j] -= lr * grads[j]


@jit
def momentum(values: Any, grads: Any, velocity: Any, lr: Any, decay: Any) -> None:
    """Update a block of values by their gradients and velocities.

    Args:
        values: The block (r, p), as are `grads` and `velocity`.
        grads: Gradients.
        velocity: Velocities, which are updated first.
        lr: Learning rate of each replica (r, 1).
        decay: Share of the velocity that is kept (r, 1).
    """
    for r in range(values.shape[0]):
        _momentum_row(values[r], grads[r], velocity[r], lr[r, 0], decay[r, 0])


@jit
def _momentum_row(values: Any, grads: Any, velocity: Any, lr: Any, decay: Any) -> None:
    for j in range(values.shape[0]):
        moved = velocity[j] * decay - lr * grads[j]
        velocity[j] = moved
        values[j] += moved
