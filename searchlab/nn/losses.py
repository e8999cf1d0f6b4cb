"""Losses: outputs of a network and targets in, one mean loss per replica out."""

from __future__ import annotations

import numpy as np

from searchlab.backend import Array, as_matrices, row_maxima, row_sums, to_host, xp_of
from searchlab.errors import UserMistake
from searchlab.kernels import compiled, uses_compiled
from searchlab.nn.loss import ErrorLoss, Loss
from searchlab.replicas import PerReplica, Replicas, align


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
