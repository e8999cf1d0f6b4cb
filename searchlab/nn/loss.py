"""The base class of losses, its weights of classes, and the losses that a module contains."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from searchlab.backend import Array, as_matrices, column_sums, xp_of
from searchlab.nn.module import Module
from searchlab.replicas import Replicas


class Loss(Module, ABC):
    """The quantity that training minimizes, and its gradient. A constructor takes the replicas first.

    Targets are integer labels (R, ...) in [0, O), or numbers (R, ..., O) in the shape of the outputs: one-hot rows,
    probabilities, or values to predict.

    Args:
        replicas: The replicas.

    Example:
        >>> import numpy as np
        >>> from searchlab.nn import Loss, Replicas
        >>> class LogCosh(Loss):
        ...     def forward(self, outputs, targets):
        ...         self._error = outputs - targets
        ...         return np.log(np.cosh(self._error)).mean(axis=(1, 2))
        ...     def backward(self):
        ...         return np.tanh(self._error) / self._error[0].size
        >>> LogCosh(Replicas([1])).forward(np.array([[[1.0], [4.0]]]), np.zeros((1, 2, 1))).round(3).tolist()
        [1.87]
    """

    takes_class_weight: ClassVar[bool] = False
    """Whether `forward` and `backward` weigh rows by `class_weight`; the losses of this package do."""
    class_weight: Array | None = None
    """Weights (R, O) of the classes: `Trainer(class_weight=...)` sets them while it makes a training step."""

    def __init__(self, replicas: Replicas) -> None:
        self._row_starts: Array | None = None  # (R N,): where each row of the flat outputs starts, cached between steps
        self._shape: tuple[int, ...] = ()  # of the latest outputs

    @abstractmethod
    def forward(self, outputs: Array, targets: Array) -> Array:
        """Return the mean loss of each replica (R,).

        Args:
            outputs: Outputs of the network (R, ..., O), which are not changed.
            targets: Labels (R, ...) or numbers (R, ..., O).
        """

    @abstractmethod
    def backward(self) -> Array:
        """Return the gradient of the loss by the latest outputs (R, ..., O)."""

    def _matrices(self, outputs: Array) -> Array:
        """Return the outputs as contiguous matrices (R, N, O), so that a flat view can change what is made of them."""
        self._shape = outputs.shape
        matrices: Array = xp_of(outputs).ascontiguousarray(as_matrices(outputs))
        return matrices

    def _label_positions(self, outputs: Array, labels: Array) -> Array:
        """Return the position of each label's output in the flat outputs (R N,)."""
        if self._row_starts is None or self._row_starts.size != labels.size:
            self._row_starts = xp_of(outputs).arange(labels.size) * outputs.shape[-1]
        positions: Array = self._row_starts + labels.reshape(-1)
        return positions

    def _set_row_weights(self, matrices: Array, targets: Array) -> None:
        """Keep the weight of each label's class (R, N, 1) for the backward pass; None where rows are not weighed."""
        self._row_weights: Array | None = None
        if self.class_weight is not None and targets.ndim < len(self._shape):
            labels = targets.reshape(len(matrices), -1)
            self._row_weights = xp_of(matrices).take_along_axis(self.class_weight, labels, axis=1)[..., None]

    def _mean_losses(self, losses: Array, outputs: int = 1) -> Array:
        """Return the mean (R,) of losses (R, N, 1), each of which is a sum over this many outputs."""
        weighted = losses if self._row_weights is None else losses * self._row_weights
        means: Array = column_sums(weighted).reshape(-1)
        means *= 1.0 / (losses.shape[1] * outputs)
        return means

    def _mean_gradient(self, gradient: Array, outputs: int = 1, *, scale: float = 1.0) -> Array:
        """Return `scale` times the gradient (R, N, O) of the sum of all losses as that of their mean, (R, ..., O)."""
        gradient *= scale / (gradient.shape[1] * outputs)
        if self._row_weights is not None:
            gradient *= self._row_weights
        shaped: Array = gradient.reshape(self._shape)
        return shaped

    def _subtract_targets(self, matrices: Array, targets: Array) -> Array:
        """Subtract the targets, labels as one-hot rows, from the matrices (R, N, O) in place, and return them."""
        if targets.ndim == len(self._shape):
            matrices -= as_matrices(targets)
        else:
            matrices.reshape(-1)[self._label_positions(matrices, targets)] -= 1.0
        return matrices

    def _select_own(self, rows: Array) -> None:
        """Discard the cached row starts, which depend on the number of replicas."""
        self._row_starts = None
        super()._select_own(rows)


class ErrorLoss(Loss):
    """A loss of the outputs less the targets; labels count as one-hot rows."""

    takes_class_weight = True

    def _errors(self, outputs: Array, targets: Array) -> Array:
        """Return the errors (R, N, O) in an array of their own, since the layer below may keep its outputs."""
        errors = self._matrices(outputs).copy()
        self._set_row_weights(errors, targets)
        return self._subtract_targets(errors, targets)


def losses_of(module: Module) -> list[Loss]:
    """Return the losses in the attributes of a module, in lists of them and in the modules that it contains."""
    found: dict[int, Loss] = {}
    pending: list[object] = [module]
    while pending:
        value = pending.pop()
        if isinstance(value, Loss):
            found[id(value)] = value
        elif isinstance(value, Module):
            pending += vars(value).values()
        elif isinstance(value, (list, tuple)):
            pending += value
    return list(found.values())
