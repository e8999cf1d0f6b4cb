"""Losses: what a network says and what it should have said in, one mean loss per replica out."""

from __future__ import annotations

from abc import ABC, abstractmethod

from searchlab.backend import Array, as_matrices, column_sums, row_maxima, row_sums, to_host, xp_of
from searchlab.errors import UserMistake
from searchlab.nn.module import Module
from searchlab.replicas import PerReplica, Replicas, align


class Loss(Module, ABC):
    """What a model is trained to make small, and its slope. A constructor takes the replicas first.

    Targets are labels (R, ...) of integers in [0, O), or numbers (R, ..., O) shaped as the outputs: one-hot rows,
    probabilities, or whatever is to be met.
    """

    def __init__(self, replicas: Replicas) -> None:
        self._starts: Array | None = None  # (R N,): where each row of outputs starts, kept from step to step
        self._shape: tuple[int, ...] = ()  # of the latest outputs

    @abstractmethod
    def forward(self, outputs: Array, targets: Array) -> Array:
        """The mean loss (R,) of outputs (R, ..., O)."""

    @abstractmethod
    def backward(self) -> Array:
        """d loss / d outputs (R, ..., O) of the latest forward pass."""

    def _rows(self, outputs: Array) -> Array:
        """The outputs as matrices (R, N, O) in one piece: what is made of them can be changed through a flat view."""
        self._shape = outputs.shape
        rows: Array = xp_of(outputs).ascontiguousarray(as_matrices(outputs))
        return rows

    def _at_labels(self, outputs: Array, labels: Array) -> Array:
        """Where each label's output lies in the flattened outputs (R N,)."""
        if self._starts is None or self._starts.size != labels.size:
            self._starts = xp_of(outputs).arange(labels.size) * outputs.shape[-1]
        positions: Array = self._starts + labels.reshape(-1)
        return positions

    def _minus(self, matrices: Array, targets: Array) -> Array:
        """The matrices (R, N, O), changed in place: the targets taken away, labels as one-hot rows."""
        if targets.ndim == len(self._shape):
            matrices -= as_matrices(targets)
        else:
            matrices.reshape(-1)[self._at_labels(matrices, targets)] -= 1.0
        return matrices

    def keep_own(self, rows: Array) -> None:
        """Rows are counted anew for the replicas that go on."""
        self._starts = None
        super().keep_own(rows)


def _means(losses: Array, outputs: int = 1) -> Array:
    """The mean (R,) of losses (R, N, 1), each a sum over so many outputs."""
    means: Array = column_sums(losses).reshape(-1)
    means *= 1.0 / (losses.shape[1] * outputs)
    return means


class SoftmaxCrossEntropy(Loss):
    """Cross entropy of softmax(logits) against labels or rows of probabilities, in nats per target.

    With label smoothing a share `smoothing` of every target is spread evenly over the classes (Szegedy et al. 2016).
    Raises ValueError for a smoothing outside [0, 1), and UserMistake for a single output, whose softmax is always 1.
    """

    def __init__(self, replicas: Replicas, *, smoothing: PerReplica = 0.0) -> None:
        super().__init__(replicas)
        self.smoothing = replicas.vector(smoothing)  # (R,)
        shares = to_host(self.smoothing)
        if not ((shares >= 0.0) & (shares < 1.0)).all():
            raise ValueError(f"label smoothing lies in [0, 1); got {shares.tolist()}")
        self._smooth = bool(shares.any())  # known from the constructor's numbers: no device is asked in a step

    def forward(self, outputs: Array, targets: Array) -> Array:
        if outputs.shape[-1] == 1:
            raise UserMistake("SoftmaxCrossEntropy tells classes apart, and there is one output: use MeanSquaredError.")
        xp = xp_of(outputs)
        matrices = self._rows(outputs)  # (R, N, O)
        shifted = matrices - row_maxima(matrices)
        self._picked = self._target = None
        if self._smooth or targets.ndim == outputs.ndim:
            self._target = self._spread(shifted, targets)  # (R, N, O)
            at_target = row_sums(shifted * self._target)
        else:
            self._picked = self._at_labels(outputs, targets)
            at_target = shifted.reshape(-1)[self._picked]
        probability = xp.exp(shifted, out=shifted)
        total = row_sums(probability)
        probability /= total
        self._probability = probability
        return _means(xp.log(total) - at_target.reshape(total.shape))

    def backward(self) -> Array:
        """The softmax, less the target, over the number of targets."""
        dlogits = self._probability
        if self._target is not None:
            dlogits -= self._target
        else:
            dlogits.reshape(-1)[self._picked] -= 1.0
        dlogits *= 1.0 / dlogits.shape[1]
        shaped: Array = dlogits.reshape(self._shape)
        return shaped

    def _spread(self, matrices: Array, targets: Array) -> Array:
        """Rows of probabilities (R, N, O), smoothed."""
        xp, share = xp_of(matrices), align(self.smoothing, matrices)
        if targets.ndim == len(self._shape):
            rows = as_matrices(targets).astype(matrices.dtype)
        else:
            rows = xp.zeros_like(matrices)
            rows.reshape(-1)[self._at_labels(matrices, targets)] = 1.0
        smoothed: Array = rows * (1.0 - share) + share / matrices.shape[2]
        return smoothed


class MeanSquaredError(Loss):
    """The squared error, averaged over outputs and targets as Keras does; labels stand for one-hot rows."""

    def forward(self, outputs: Array, targets: Array) -> Array:
        self._error = self._minus(self._rows(outputs).copy(), targets)  # (R, N, O); the layer below keeps its outputs
        return _means(row_sums(self._error * self._error), outputs.shape[-1])

    def backward(self) -> Array:
        error = self._error
        error *= 2.0 / (error.shape[1] * error.shape[2])
        shaped: Array = error.reshape(self._shape)
        return shaped


class SigmoidCrossEntropy(Loss):
    """Cross entropy of sigmoid(logits) against targets in [0, 1], each output a question of its own; the mean in nats.

    Averaged over outputs and targets, as Keras' binary cross entropy; labels stand for one-hot rows.
    """

    def forward(self, outputs: Array, targets: Array) -> Array:
        xp = xp_of(outputs)
        logits = self._rows(outputs)
        half = xp.tanh(logits * 0.5)
        # -log sigmoid(|z|) + max(z, 0) - z t, which cannot overflow
        losses = xp.log1p(xp.exp(-xp.abs(logits))) + xp.maximum(logits, 0.0)
        if targets.ndim == outputs.ndim:
            losses -= logits * as_matrices(targets)
        else:
            at = self._at_labels(outputs, targets)
            losses.reshape(-1)[at] -= logits.reshape(-1)[at]
        half += 1.0
        half *= 0.5
        self._error = self._minus(half, targets)  # (R, N, O)
        return _means(row_sums(losses), outputs.shape[-1])

    def backward(self) -> Array:
        """sigmoid(logits), less the target, over the number of outputs and targets."""
        error = self._error
        error *= 1.0 / (error.shape[1] * error.shape[2])
        shaped: Array = error.reshape(self._shape)
        return shaped
