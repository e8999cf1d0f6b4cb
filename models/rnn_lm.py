"""Recurrent language models: from each word to the next."""

from __future__ import annotations

from typing import Literal

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
    Recurrent,
    Replicas,
    SoftmaxOutput,
    lecun_normal,
    random_normal,
)

CELLS: dict[str, type[Recurrent]] = {"rnn": RNN, "gru": GRU, "lstm": LSTM}


class RnnLM(Model):
    """Embedding, `layers` recurrent layers, and scores over all words (Deep Learning from Scratch 2, chapters 5 and 6).

    With `tied`, the output's weights are the embedding's (Press and Wolf 2017), which then has the hidden size,
    whatever `embed` says. Dropout, where there is any, acts on what enters and leaves each recurrent layer (Zaremba et
    al. 2014); `variational` drops the same features at every moment of a window (Gal and Ghahramani 2016).
    """

    def __init__(
        self,
        replicas: Replicas,
        words: int,
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
            raise UserMistake(f"RnnLM's cell is one of {', '.join(CELLS)}; got {cell!r}.")
        if min(layers, hidden, embed) < 1:
            raise UserMistake(f"RnnLM takes sizes of at least 1, got layers {layers}, hidden {hidden}, embed {embed}.")
        widths = [hidden if tied else embed] + [hidden] * layers
        self.embedding = Embedding(replicas, words, widths[0], initial=random_normal)
        self.cells = [CELLS[cell](replicas, n_in, hidden) for n_in in widths[:-1]]
        self.words, self._by_rows = words, False
        self.dropouts = [None if dropout is None else Dropout(replicas, dropout, over_time=variational) for _ in widths]
        tie = self.embedding.W if tied else None
        self.output = SoftmaxOutput(replicas, hidden, words, initial=lecun_normal, tied=tie)

    def forward(self, batch: Batch, carry: Carry = None, *, train: bool) -> tuple[Array, Carry]:
        h, carry = self._states(batch.x, carry, train)
        return self.output.forward(h, batch.y, train=train), carry

    def backward(self) -> None:
        dh = self.output.backward()
        for cell, dropout in zip(reversed(self.cells), reversed(self.dropouts), strict=False):
            dh = dropout.backward(dh) if dropout else dh
            if self._by_rows and cell is self.cells[0]:
                self.embedding.W.learn(cell.backward_rows(dh))
                return
            dh = cell.backward(dh)
        self.embedding.backward(self.dropouts[0].backward(dh) if self.dropouts[0] else dh)

    def predict(self, batch: Batch, carry: Carry = None) -> tuple[Array, Carry]:
        h, carry = self._states(batch.x, carry, train=False)
        return self.output.scores(h), carry

    def through_time(self, batch: Batch) -> Array:
        """How strongly the loss at a window's last moment is felt at each: norms (R, T), on the host.

        Euclidean norms of the gradient where words enter the recurrent layers, mean over the sequences, without dropout
        and from an empty state (Pascanu et al. 2013; Deep Learning from Scratch 2, section 6.1). It draws nothing, and
        leaves the parameters as they are; their gradients are overwritten.
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
        felt: Array = np.linalg.norm(to_host(dh).astype(np.float64), axis=3)  # (R, T, B), of the mean over B losses
        norms: Array = felt.sum(axis=2)
        return norms

    def _states(self, ids: Array, carry: Carry, train: bool) -> tuple[Array, Carry]:
        """The last layer's hidden states (R, T, B, H), and the carry of every layer."""
        self._by_rows = self.dropouts[0] is None and ids[0].size > self.words
        before, after = carry or [None] * len(self.cells), []
        h = ids if self._by_rows else self._drop(0, self.embedding.forward(ids, train=train), train)
        for at, cell in enumerate(self.cells):
            if at == 0 and self._by_rows:
                h, end = cell.forward_rows(self.embedding.W.value, h, before[at])
            else:
                h, end = cell.forward(h, before[at], train=train)
            h = self._drop(at + 1, h, train)
            after.append(end)
        return h, after

    def _drop(self, at: int, h: Array, train: bool) -> Array:
        dropout = self.dropouts[at]
        return dropout.forward(h, train=train) if dropout else h
