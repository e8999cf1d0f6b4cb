"""An ensemble: R networks of one structure that answer as one, by the mean of what they predict."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, TypeAlias, get_args

import numpy as np

from searchlab.backend import Array, xp_of
from searchlab.data.batch import IGNORED, Batch
from searchlab.errors import UserMistake
from searchlab.nn.module import Carry, Model

Average: TypeAlias = Literal["probabilities", "log probabilities", "values"]
"""What is averaged: the probabilities of classes, the log probabilities of tokens, or predicted numbers."""
AVERAGES: tuple[Average, ...] = get_args(Average)


class Ensemble(Model):
    """R networks that answer as one replica.

    Classes are predicted by the mean of probabilities, numbers by their mean, and tokens by the normalized mean of log
    probabilities, which is the geometric mean of probabilities.

    Args:
        model: The model of R replicas.
        count: Number R of replicas.
        average: What is averaged.

    Example:
        >>> import numpy as np
        >>> from searchlab.data import Batch
        >>> from searchlab.nn.ensemble import Ensemble
        >>> from searchlab.testing.fixed_models import EchoModel  # its scores are its inputs
        >>> inputs = np.array([[[0.0, 0.0]], [[0.0, 2.0]]])  # of two networks, one row each
        >>> scores, _ = Ensemble(EchoModel(), 2, "values").predict(Batch(inputs, np.zeros((2, 1))))
        >>> scores.tolist()
        [[[0.0, 1.0]]]
    """

    def __init__(self, model: Model, count: int, average: Average) -> None:
        self.model, self.count, self.average = model, count, average

    def forward(self, batch: Batch, carry: Carry = None, *, train: bool) -> tuple[Array, Carry]:
        """Return the mean cross entropy (1,), in nats, of the targets that count, and the carry of the networks."""
        scores, carry = self.predict(batch, carry)  # log probabilities (1, ..., V)
        xp, targets = xp_of(scores), batch.y[:1]
        counted = targets != IGNORED
        rows = scores.reshape(-1, scores.shape[-1])
        chosen = rows[xp.arange(len(rows)), xp.maximum(targets, 0).reshape(-1)].reshape(targets.shape)
        loss: Array = -(chosen * counted).sum() / xp.maximum(counted.sum(), 1)
        return loss.reshape(1), carry

    def backward(self) -> None:
        """Raise TypeError: the networks of an ensemble are trained one by one."""
        raise TypeError("an ensemble is not trained")

    def predict(self, batch: Batch, carry: Carry = None) -> tuple[Array, Carry]:
        """Return the scores of the ensemble (1, ..., outputs), and the carry of the networks.

        Scores of classes and of tokens are log probabilities. A batch of one replica is read by every network; a batch
        of R replicas has the inputs of each.
        """
        scores, carry = self.model.predict(self._spread(batch), carry)  # (R, ..., outputs)
        with np.errstate(under="ignore"):  # the probability of a very unlikely class is rounded to 0
            return self._mean(scores), carry

    def _mean(self, scores: Array) -> Array:
        """Return the mean (1, ..., outputs) of the scores of all networks."""
        if self.average == "values":
            mean: Array = scores.mean(axis=0, keepdims=True)
            return mean
        xp, log_probabilities = xp_of(scores), _log_softmax(scores)
        if self.average == "log probabilities":
            return _log_softmax(log_probabilities.mean(axis=0, keepdims=True))
        tiny = xp.finfo(scores.dtype).tiny
        logarithm: Array = xp.log(xp.maximum(xp.exp(log_probabilities).mean(axis=0, keepdims=True), tiny))
        return logarithm

    def _spread(self, batch: Batch) -> Batch:
        """Return the batch with its inputs and targets once for each network."""
        if len(batch.x) == self.count:
            return batch
        return replace(batch, x=batch.x.repeat(self.count, axis=0), y=batch.y.repeat(self.count, axis=0))


def average_of(batch: Batch) -> Average:
    """Return what an ensemble averages, by a batch of its data.

    Raises:
        UserMistake: When the data has pairs of sequences, or words with contexts.
    """
    if batch.decoder_inputs is not None:
        raise UserMistake("FoldEnsemble averages predictions, and pairs of sequences are decoded; use Refit.")
    if batch.frequencies is not None:
        raise UserMistake("FoldEnsemble averages predictions, and the result of this data is word vectors; use Refit.")
    if batch.y.dtype.kind == "f":
        return "values"
    return "probabilities" if batch.y.ndim == 2 else "log probabilities"


def _log_softmax(scores: Array) -> Array:
    xp = xp_of(scores)
    shifted = scores - scores.max(axis=-1, keepdims=True)
    result: Array = shifted - xp.log(xp.exp(shifted).sum(axis=-1, keepdims=True))
    return result
