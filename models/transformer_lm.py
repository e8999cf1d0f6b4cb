"""A Transformer as a language model: it predicts each next word of a text by attention to the words before it."""

from __future__ import annotations

from functools import partial

from searchlab.backend import Array
from searchlab.data import Batch
from searchlab.errors import UserMistake
from searchlab.nn import (
    Carry,
    Dropout,
    Embedding,
    LayerNorm,
    Model,
    PerReplica,
    Replicas,
    SoftmaxOutput,
    TransformerLayer,
    causal_mask,
    random_normal,
)


class TransformerLM(Model):
    """A decoder-only Transformer: an embedding, pre-norm layers with causal attention, and scores of all words.

    In each layer a word attends to itself and the `context - 1` words before it, also to those of earlier windows: the
    carry is the keys and values of each layer at the last `context - 1` words, as constants, so that gradients end
    where a window begins (Dai et al. 2019). Training, scoring and generation all read it: text that is generated word
    by word has the scores of one pass over the whole text. A position would not be the same in two windows, so queries
    and keys are rotated by the sinusoids of their positions, and their products depend on distances only (Su et al.
    2021), where the first Transformer adds the sinusoids to the word vectors.

    Args:
        replicas: The replicas, which draw the weights and the dropout masks.
        vocabulary_size: Number V of words.
        width: Size F of the vectors; default 64.
        heads: Number of heads of each attention, which divides the width into even parts; default 4.
        layers: Number of layers; default 2.
        inner: Width of each feed-forward network's hidden layer; default 128.
        context: Number of words that a word attends to in each layer, with itself; default 64.
        dropout: Dropout rate of the word vectors and of what each part of a layer adds, in [0, 1); default None, no
            dropout.
        tied: Whether the output layer uses the weights of the embedding; default False.

    Raises:
        UserMistake: When a size is below 1, or the heads do not divide the width into even parts.

    Reference:
        Vaswani et al. (2017); Radford et al. (2018) for a decoder alone, Press and Wolf (2017) for tied weights.

    Example:
        >>> import numpy as np
        >>> from searchlab.data import Batch
        >>> from searchlab.nn import Replicas
        >>> model = TransformerLM(Replicas([1, 2]), vocabulary_size=10, width=8, heads=2)
        >>> ids = np.zeros((2, 5, 3), int)  # (R, T, B)
        >>> scores, carry = model.predict(Batch(ids, ids))
        >>> scores.shape
        (2, 5, 3, 10)
    """

    def __init__(
        self,
        replicas: Replicas,
        vocabulary_size: int,
        *,
        width: int = 64,
        heads: int = 4,
        layers: int = 2,
        inner: int = 128,
        context: int = 64,
        dropout: PerReplica | None = None,
        tied: bool = False,
    ) -> None:
        if min(width, heads, layers, inner, context) < 1 or width % (2 * heads):
            raise UserMistake(
                "TransformerLM needs sizes of at least 1, and a width that is a multiple of twice the heads; got width "
                f"{width}, heads {heads}, layers {layers}, inner {inner}, context {context}."
            )
        self.context, self._scale = context, width**0.5
        # rows of length 1, which are scaled to numbers of size 1: where weights are tied, scores have that size too
        initializer = partial(random_normal, scale=width**-0.5)
        self.embedding = Embedding(replicas, vocabulary_size, width, initializer=initializer)
        self.dropout = Dropout(replicas, 0.0 if dropout is None else dropout)
        self.layers = [
            TransformerLayer(replicas, width, heads, inner, dropout=dropout, rotary=True) for _ in range(layers)
        ]
        self.norm = LayerNorm(replicas, width)
        tied_weight = self.embedding.W if tied else None
        self.output = SoftmaxOutput(replicas, width, vocabulary_size, tied_weight=tied_weight)

    def forward(self, batch: Batch, carry: Carry = None, *, train: bool) -> tuple[Array, Carry]:
        h, carry = self._hidden_states(batch.x, carry, train)
        return self.output.forward(h, batch.y, train=train), carry

    def backward(self) -> None:
        dh = self.norm.backward(self.output.backward())
        for layer in reversed(self.layers):
            dh = layer.backward(dh)
        self.embedding.backward(self.dropout.backward(dh) * self._scale)

    def predict(self, batch: Batch, carry: Carry = None) -> tuple[Array, Carry]:
        h, carry = self._hidden_states(batch.x, carry, train=False)
        return self.output.scores(h), carry

    def _hidden_states(self, ids: Array, carry: Carry, train: bool) -> tuple[Array, Carry]:
        """Return the hidden states (R, T, B, F) after the last layer, and each layer's last keys and values."""
        pasts, ends = carry or [None] * len(self.layers), []
        h = self.dropout.forward(self.embedding.forward(ids, train=train) * self._scale, train=train)
        past_length = pasts[0][0].shape[1] if carry else 0
        mask = causal_mask(ids, ids.shape[1], past=past_length, context=self.context)
        for layer, past in zip(self.layers, pasts, strict=True):
            h, (keys, values) = layer.forward(h, mask=mask, past=past, train=train)
            first = max(0, keys.shape[1] - (self.context - 1))
            ends.append((keys[:, first:], values[:, first:]))
        return self.norm.forward(h, train=train), ends
