"""Models without training whose predictions are fixed beforehand: the contract of a metric measures them."""

from __future__ import annotations

import numpy as np

from searchlab.backend import Array
from searchlab.data.batch import IGNORED, Batch
from searchlab.nn.decoding import Decoded
from searchlab.nn.module import Carry, Model

REPEAT_BONUS = 0.25  # added to the score of a word for each time it has occurred before


class EchoModel(Model):
    """A model of rows whose scores are its inputs."""

    def forward(self, batch: Batch, carry: Carry = None, *, train: bool) -> tuple[Array, Carry]:
        raise AssertionError("a metric of rows measures the scores of model.predict, not the loss")

    def backward(self) -> None:
        raise AssertionError("a metric does not train the model")

    def predict(self, batch: Batch, carry: Carry = None) -> tuple[Array, Carry]:
        return batch.x, None


class TableModel(Model):
    """A language model that scores the next word by a table and by how often each word has occurred: its carry.

    Args:
        table: Scores (R, V, V) of the next word by the current one.
        label_bonus: What is added to the score of each target: a large value makes nearly all predictions right.
    """

    def __init__(self, table: Array, label_bonus: float = 0.0) -> None:
        self.table, self.label_bonus = table, label_bonus

    def forward(self, batch: Batch, carry: Carry = None, *, train: bool) -> tuple[Array, Carry]:
        assert not train, "a metric calls model.forward with train=False"
        (scores, carry), is_counted = self.predict(batch, carry), batch.y != IGNORED
        scores = scores - scores.max(axis=-1, keepdims=True)
        label_scores = np.take_along_axis(scores, np.maximum(batch.y, 0)[..., None], axis=-1)[..., 0]
        losses = (np.log(np.exp(scores).sum(axis=-1)) - label_scores) * is_counted  # (R, T, B)
        loss: Array = losses.sum(axis=(1, 2)) / np.maximum(is_counted.sum(axis=(1, 2)), 1)
        return loss.astype(np.float32), carry

    def backward(self) -> None:
        raise AssertionError("a metric does not train the model")

    def predict(self, batch: Batch, carry: Carry = None) -> tuple[Array, Carry]:
        one_hot, replica = np.eye(self.table.shape[-1], dtype=np.float32), np.arange(len(self.table))[:, None, None]
        before = 0.0 if carry is None else carry[:, None]  # (R, 1, B, V)
        counts = np.cumsum(one_hot[batch.x], axis=1) + before  # (R, T, B, V)
        bonus = one_hot[np.maximum(batch.y, 0)] * np.float32(self.label_bonus)
        scores: Array = self.table[replica, batch.x] + counts * np.float32(REPEAT_BONUS) + bonus
        return scores, counts[:, -1]


class EchoDecoder(EchoModel):
    """A model of pairs of sequences that writes its sources, ids (R, T, B) with `IGNORED` after the end mark."""

    NAN_ID = -2  # a source with this id is written with a log probability of NaN

    def decode(self, batch: Batch, *, beam: int = 1, length_penalty: float = 0.0) -> Decoded:
        """Return the sources as what is written, with log probabilities of 0."""
        is_nan = (batch.x == self.NAN_ID).any(axis=1)  # (R, B)
        return Decoded(batch.x, np.where(is_nan, np.nan, 0.0).astype(np.float32))
