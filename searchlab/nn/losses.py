"""Losses: outputs of a network and targets in, one mean loss per replica out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np

from searchlab.backend import Array, as_matrices, column_sums, row_maxima, row_sums, to_host, xp_of
from searchlab.errors import UserMistake
from searchlab.kernels import compiled, uses_compiled
from searchlab.nn.module import Module
from searchlab.replicas import PerReplica, Replicas, align


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


class SoftmaxCrossEntropy(Loss):
    """Cross entropy of softmax(logits) against labels or rows of probabilities, in nats per target.

    Args:
        replicas: The replicas.
        smoothing: Label smoothing: the share of every target that is spread evenly over the classes, in [0, 1);
            default 0.

    Raises:
        ValueError: When a smoothing lies outside [0, 1).
        UserMistake: In `forward`, when there is a single output, whose softmax is always 1.

    Reference:
        Deep Learning from Scratch 1, section 5.6; for label smoothing, Szegedy et al. (2016).

    Example:
        >>> from searchlab import SoftmaxCrossEntropy
        >>> import numpy as np
        >>> from searchlab.nn import Replicas
        >>> loss = SoftmaxCrossEntropy(Replicas([1]))
        >>> loss.forward(np.zeros((1, 3, 2)), np.array([[0, 1, 1]])).round(3).tolist()  # log(2)
        [0.693]
        >>> loss.backward().round(3)[0, 0].tolist()
        [-0.167, 0.167]
    """

    takes_class_weight = True

    def __init__(self, replicas: Replicas, *, smoothing: PerReplica = 0.0) -> None:
        super().__init__(replicas)
        self.smoothing = replicas.vector(smoothing)  # (R,)
        self._gradient: Array | None = None  # (R, N, O), where a compiled kernel has written it
        values = to_host(self.smoothing)
        if not ((values >= 0.0) & (values < 1.0)).all():
            raise ValueError(f"SoftmaxCrossEntropy needs a label smoothing in [0, 1); got {values.tolist()}")
        self._is_smoothed = bool(values.any())  # from the constructor's numbers: a step must not wait for the device

    def forward(self, outputs: Array, targets: Array) -> Array:
        if outputs.shape[-1] == 1:
            raise UserMistake(
                "SoftmaxCrossEntropy needs at least two outputs, one per class; got 1: use MeanSquaredError."
            )
        xp = xp_of(outputs)
        matrices = self._matrices(outputs)  # (R, N, O)
        self._set_row_weights(matrices, targets)
        if uses_compiled(matrices) and targets.ndim < outputs.ndim:
            return self._compiled_forward(matrices, targets)
        self._gradient = None
        logits = matrices - row_maxima(matrices)
        self._label_at = self._target = None
        if self._is_smoothed or targets.ndim == outputs.ndim:
            self._target = self._target_probabilities(logits, targets)  # (R, N, O)
            target_logits = row_sums(logits * self._target)
        else:
            self._label_at = self._label_positions(outputs, targets)
            target_logits = logits.reshape(-1)[self._label_at]
        probability = xp.exp(logits, out=logits)
        total = row_sums(probability)
        probability /= total
        self._probability = probability
        return self._mean_losses(xp.log(total) - target_logits.reshape(total.shape))

    def backward(self) -> Array:
        """Return the softmax minus the target, divided by the number of targets."""
        if self._gradient is not None:
            return self._gradient.reshape(self._shape)
        dlogits = self._probability
        if self._target is not None:
            dlogits -= self._target
        else:
            dlogits.reshape(-1)[self._label_at] -= 1.0
        return self._mean_gradient(dlogits)

    def _compiled_forward(self, matrices: Array, labels: Array) -> Array:
        """Return the mean losses (R,) of labels (R, ...), and set the gradient, which costs no pass of its own."""
        self._gradient = matrices.copy()
        R, N, _ = matrices.shape
        losses, weights = np.empty((R, N), np.float32), np.full((R, N), 1.0 / N, np.float32)
        if self._row_weights is not None:
            weights *= self._row_weights[..., 0]
        labels = np.ascontiguousarray(labels.reshape(R, N), np.int64)
        if not compiled("softmax").cross_entropy(self._gradient, labels, weights, self.smoothing, losses, True):
            raise IndexError(f"the network has {matrices.shape[2]} outputs; got label {labels.max()}")
        return self._mean_losses(losses[..., None])

    def _target_probabilities(self, matrices: Array, targets: Array) -> Array:
        """Return the targets as rows of probabilities (R, N, O), smoothed."""
        xp, smoothing = xp_of(matrices), align(self.smoothing, matrices)
        if targets.ndim == len(self._shape):
            rows = as_matrices(targets).astype(matrices.dtype)
        else:
            rows = xp.zeros_like(matrices)
            rows.reshape(-1)[self._label_positions(matrices, targets)] = 1.0
        smoothed: Array = rows * (1.0 - smoothing) + smoothing / matrices.shape[2]
        return smoothed


class ErrorLoss(Loss):
    """A loss of the outputs less the targets; labels count as one-hot rows."""

    takes_class_weight = True

    def _errors(self, outputs: Array, targets: Array) -> Array:
        """Return the errors (R, N, O) in an array of their own, since the layer below may keep its outputs."""
        errors = self._matrices(outputs).copy()
        self._set_row_weights(errors, targets)
        return self._subtract_targets(errors, targets)


class MeanSquaredError(ErrorLoss):
    """The squared error, averaged over outputs and targets as in Keras; labels count as one-hot rows.

    Args:
        replicas: The replicas.

    Example:
        >>> from searchlab import MeanSquaredError
        >>> import numpy as np
        >>> from searchlab.nn import Replicas
        >>> loss = MeanSquaredError(Replicas([1]))
        >>> loss.forward(np.array([[[1.0, 2.0]]]), np.zeros((1, 1, 2))).tolist()
        [2.5]
        >>> loss.backward().tolist()
        [[[1.0, 2.0]]]
    """

    def forward(self, outputs: Array, targets: Array) -> Array:
        self._error = self._errors(outputs, targets)
        return self._mean_losses(row_sums(self._error * self._error), outputs.shape[-1])

    def backward(self) -> Array:
        return self._mean_gradient(self._error, self._error.shape[2], scale=2.0)


class SigmoidCrossEntropy(Loss):
    """Binary cross entropy of sigmoid(logits) against targets in [0, 1], each output on its own; the mean in nats.

    It is averaged over outputs and targets, as Keras' binary cross entropy; labels count as one-hot rows.

    Args:
        replicas: The replicas.

    Reference:
        Deep Learning from Scratch 2, section 4.2.

    Example:
        >>> from searchlab import SigmoidCrossEntropy
        >>> import numpy as np
        >>> from searchlab.nn import Replicas
        >>> loss = SigmoidCrossEntropy(Replicas([1]))
        >>> loss.forward(np.zeros((1, 1, 2)), np.array([[[1.0, 0.0]]])).round(3).tolist()  # log(2)
        [0.693]
        >>> loss.backward().tolist()
        [[[-0.25, 0.25]]]
    """

    takes_class_weight = True

    def forward(self, outputs: Array, targets: Array) -> Array:
        xp = xp_of(outputs)
        logits = self._matrices(outputs)
        self._set_row_weights(logits, targets)
        probability = xp.tanh(logits * 0.5)  # sigmoid(z) = (1 + tanh(z / 2)) / 2, completed below
        # -log sigmoid(|z|) + max(z, 0) - z t, which cannot overflow
        losses = xp.log1p(xp.exp(-xp.abs(logits))) + xp.maximum(logits, 0.0)
        if targets.ndim == outputs.ndim:
            losses -= logits * as_matrices(targets)
        else:
            label_at = self._label_positions(outputs, targets)
            losses.reshape(-1)[label_at] -= logits.reshape(-1)[label_at]
        probability += 1.0
        probability *= 0.5
        self._error = self._subtract_targets(probability, targets)  # (R, N, O)
        return self._mean_losses(row_sums(losses), outputs.shape[-1])

    def backward(self) -> Array:
        """Return sigmoid(logits) minus the target, divided by the number of outputs and targets."""
        return self._mean_gradient(self._error, self._error.shape[2])


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
