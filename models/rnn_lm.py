"""Recurrent language models: they predict each next word of a text."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np

from searchlab.backend import Array, to_host
from searchlab.data import Batch
from searchlab.data.batch import IGNORED
from searchlab.errors import UserMistake
from searchlab.nn import (
    GRU,
    LSTM,
    RNN,
    Carry,
    Dropout,
    Embedding,
    Model,
    PerReplica,
    RecurrentLayer,
    Replicas,
    SoftmaxOutput,
    lecun_normal,
    random_normal,
)

CELLS: dict[str, type[RecurrentLayer]] = {"rnn": RNN, "gru": GRU, "lstm": LSTM}


class RnnLM(Model):
    """A recurrent language model: an embedding, recurrent layers, and scores of all words.

    The carry is the state of each recurrent layer.

    Args:
        replicas: The replicas, which draw the weights and the dropout masks.
        vocabulary_size: Number V of words.
        cell: "rnn", "gru" or "lstm"; default "lstm".
        layers: Number of recurrent layers; default 1.
        hidden: Size H of the hidden states; default 100.
        embed: Size of the word vectors; default 100. Ignored when `tied`, where it is H.
        dropout: Dropout rate before and after each recurrent layer, in [0, 1); default None, no dropout.
        tied: Whether the output layer uses the weights of the embedding; default False.
        variational: Whether dropout drops the same features at all time steps of a window; default False.

    Raises:
        UserMistake: When the cell is not known or a size is below 1.

    Reference:
        Deep Learning from Scratch 2, chapters 5 and 6; Zaremba et al. (2014) for dropout, Press and Wolf (2017) for
        tied weights, Gal and Ghahramani (2016) for variational dropout.

    Example:
        >>> import numpy as np
        >>> from searchlab.data import Batch
        >>> from searchlab.nn import Replicas
        >>> model = RnnLM(Replicas([1, 2]), vocabulary_size=10, hidden=8, tied=True)
        >>> ids = np.zeros((2, 5, 3), int)  # (R, T, B)
        >>> scores, carry = model.predict(Batch(ids, ids))
        >>> scores.shape
        (2, 5, 3, 10)
    """

    is_recurrent: ClassVar[bool] = True

    def __init__(
        self,
        replicas: Replicas,
        vocabulary_size: int,
        *,
        cell: Literal["rnn", "gru", "lstm"] = "lstm",
        layers: int = 1,
        hidden: int = 100,
        embed: int = 100,
        dropout: PerReplica | None = None,
        tied: bool = False,
        variational: bool = False,
    ) -> None:
        if cell not in CELLS:
            raise UserMistake(f"RnnLM needs a cell of {', '.join(CELLS)}; got {cell!r}.")
        if min(layers, hidden, embed) < 1:
            raise UserMistake(f"RnnLM needs sizes of at least 1; got layers {layers}, hidden {hidden}, embed {embed}.")
        widths = [hidden if tied else embed] + [hidden] * layers
        self.embedding = Embedding(replicas, vocabulary_size, widths[0], initializer=random_normal)
        self.cells = [CELLS[cell](replicas, input_size, hidden) for input_size in widths[:-1]]
        self.vocabulary_size, self._uses_lookup = vocabulary_size, False
        self.dropouts = [
            None if dropout is None else Dropout(replicas, dropout, variational=variational) for _ in widths
        ]
        tied_weight = self.embedding.W if tied else None
        self.output = SoftmaxOutput(
            replicas, hidden, vocabulary_size, initializer=lecun_normal, tied_weight=tied_weight
        )

    def forward(self, batch: Batch, carry: Carry = None, *, train: bool) -> tuple[Array, Carry]:
        h, carry = self._hidden_states(batch.x, carry, train)
        return self.output.forward(h, batch.y, train=train), carry

    def backward(self) -> None:
        dh = self.output.backward()
        for cell, dropout in zip(reversed(self.cells), reversed(self.dropouts), strict=False):
            dh = dropout.backward(dh) if dropout else dh
            if self._uses_lookup and cell is self.cells[0]:
                self.embedding.W.add_gradient(cell.backward_lookup(dh))
                return
            dh = cell.backward(dh)
        self.embedding.backward(self.dropouts[0].backward(dh) if self.dropouts[0] else dh)

    def predict(self, batch: Batch, carry: Carry = None) -> tuple[Array, Carry]:
        h, carry = self._hidden_states(batch.x, carry, train=False)
        return self.output.scores(h), carry

    def gradient_norms_through_time(self, batch: Batch) -> Array:
        """Return the norm, at each time step, of the gradient of the loss at the last time step of a window.

        It is the Euclidean norm of the gradient by the word vectors, averaged over the sequences, without dropout and
        from a state of zeros. No random numbers are drawn and parameters do not change; their gradients are
        overwritten.

        Args:
            batch: Ids and targets (R, T, B).

        Returns:
            Norms (R, T), on the host.

        Reference:
            Pascanu et al. (2013); Deep Learning from Scratch 2, section 6.1.
        """
        h, targets = self.embedding.forward(batch.x, train=False), batch.y.copy()
        targets[:, :-1] = IGNORED
        for cell in self.cells:
            h, _ = cell.forward(h, train=False)
        with np.errstate(under="ignore"):  # gradients vanish
            self.output.forward(h, targets, train=True)
            dh = self.output.backward()
            for cell in reversed(self.cells):
                dh = cell.backward(dh)
        norms: Array = np.linalg.norm(to_host(dh).astype(np.float64), axis=3)  # (R, T, B), of the mean over B losses
        mean_norms: Array = norms.sum(axis=2)
        return mean_norms

    def _hidden_states(self, ids: Array, carry: Carry, train: bool) -> tuple[Array, Carry]:
        """Return the hidden states (R, T, B, H) of the last layer, and the carry of every layer."""
        # with more inputs than words, each word vector is multiplied by the input weights once
        self._uses_lookup = self.dropouts[0] is None and ids[0].size > self.vocabulary_size
        starts, ends = carry or [None] * len(self.cells), []
        h = ids if self._uses_lookup else self._apply_dropout(0, self.embedding.forward(ids, train=train), train)
        for layer, cell in enumerate(self.cells):
            if layer == 0 and self._uses_lookup:
                h, end = cell.forward_lookup(self.embedding.W.value, h, starts[layer])
            else:
                h, end = cell.forward(h, starts[layer], train=train)
            h = self._apply_dropout(layer + 1, h, train)
            ends.append(end)
        return h, ends

    def _apply_dropout(self, position: int, h: Array, train: bool) -> Array:
        dropout = self.dropouts[position]
        return dropout.forward(h, train=train) if dropout else h
