"""Losses: scores and targets in, one mean loss per replica out."""

from __future__ import annotations

from searchlab.backend import Array, as_matrices, column_sums, row_maxima, row_sums, xp_of
from searchlab.nn.layer import Module


class SoftmaxCrossEntropy(Module):
    """Cross entropy of softmax(logits) against integer labels, in nats, averaged over each replica's targets."""

    def __init__(self) -> None:
        self._starts: Array | None = None  # (1, R N): where each row of logits starts, kept from step to step

    def forward(self, logits: Array, labels: Array) -> Array:
        """Mean loss (R,) of logits (R, ..., O) for labels (R, ...) of integers in [0, O)."""
        xp = xp_of(logits)
        matrices = as_matrices(logits)  # (R, N, O)
        shifted = matrices - row_maxima(matrices)
        if self._starts is None or self._starts.size != labels.size:
            self._starts = xp.arange(labels.size)[None] * logits.shape[-1]
        picked = self._starts[0] + labels.reshape(-1)  # where each label's logit lies
        at_label = shifted.reshape(-1)[picked]
        probability = xp.exp(shifted, out=shifted)
        total = row_sums(probability)
        probability /= total
        self._probability, self._picked, self._shape = probability, picked, logits.shape
        losses = xp.log(total) - at_label.reshape(total.shape)  # (R, N, 1)
        loss: Array = column_sums(losses).reshape(-1)
        loss *= 1.0 / matrices.shape[1]
        return loss

    def backward(self) -> Array:
        """d loss / d logits (R, ..., O): the softmax, less one at each label, over the number of targets."""
        dlogits = self._probability
        dlogits.reshape(-1)[self._picked] -= 1.0
        dlogits *= 1.0 / dlogits.shape[1]
        shaped: Array = dlogits.reshape(self._shape)
        return shaped
