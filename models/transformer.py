"""A Transformer from sequence to sequence: an encoder reads a source, and a decoder writes the target by attention."""

from __future__ import annotations

from functools import partial

from searchlab.backend import Array, to_host, xp_of
from searchlab.data import Batch
from searchlab.errors import UserMistake
from searchlab.nn import (
    Carry,
    Dropout,
    Embedding,
    LayerNorm,
    Model,
    Module,
    PerReplica,
    PositionalEncoding,
    Replicas,
    SoftmaxOutput,
    TransformerLayer,
    causal_mask,
    random_normal,
)
from searchlab.nn.decoding import Decoded, DecoderState, beam_search


class Transformer(Model):
    """An encoder and a decoder of pre-norm layers: the decoder attends to what it has written and to the whole source.

    Sinusoidal positions are added to the token vectors of both. Padding of a source is attended to by no position.

    Args:
        replicas: The replicas, which draw the weights and the dropout masks.
        source_size: Number of source tokens.
        target_size: Number V of target tokens; ids 0 and 1 end and begin a target.
        width: Size F of the vectors, even; default 64.
        heads: Number of heads of each attention, which divides the width; default 4.
        layers: Number of layers of the encoder, and of the decoder; default 2.
        inner: Width of each feed-forward network's hidden layer; default 128.
        dropout: Dropout rate of the token vectors and of what each part of a layer adds, in [0, 1); default None, no
            dropout.

    Raises:
        UserMistake: When a size is below 1, the width is odd, or the heads do not divide it; in `forward`, when the
            data is not pairs of sequences.

    Reference:
        Vaswani et al. (2017); for the normalization before each part, Xiong et al. (2020).

    Example:
        >>> from models.transformer import Transformer
        >>> from searchlab.data import Addition, EveryRow
        >>> from searchlab.nn import Replicas
        >>> table, replicas = Addition(rows=100).training(), Replicas([1, 2])
        >>> batch = next(table.training_batches(EveryRow().split(table)[[0, 0]], replicas, batch_size=8))
        >>> model = Transformer(replicas, *table.sizes, width=32)
        >>> model.forward(batch, train=False)[0].shape, model.decode(batch).ids.shape
        ((2,), (2, 10, 8))
    """

    def __init__(
        self,
        replicas: Replicas,
        source_size: int,
        target_size: int,
        *,
        width: int = 64,
        heads: int = 4,
        layers: int = 2,
        inner: int = 128,
        dropout: PerReplica | None = None,
    ) -> None:
        if min(width, heads, layers, inner) < 1 or width % heads or width % 2:
            raise UserMistake(
                "Transformer needs sizes of at least 1, and an even width that the heads divide; got width "
                f"{width}, heads {heads}, layers {layers}, inner {inner}."
            )
        self.source_inputs = _TokenVectors(replicas, source_size, width, dropout)
        self.target_inputs = _TokenVectors(replicas, target_size, width, dropout)
        sizes = replicas, width, heads, inner
        self.encoder = [TransformerLayer(*sizes, dropout=dropout) for _ in range(layers)]
        self.encoder_norm = LayerNorm(replicas, width)
        self.decoder = [TransformerLayer(*sizes, dropout=dropout, attends_to_source=True) for _ in range(layers)]
        self.decoder_norm = LayerNorm(replicas, width)
        self.output = SoftmaxOutput(replicas, width, target_size)

    def forward(self, batch: Batch, carry: Carry = None, *, train: bool) -> tuple[Array, Carry]:
        return self.output.forward(self._hidden_states(batch, train), batch.y, train=train), None

    def predict(self, batch: Batch, carry: Carry = None) -> tuple[Array, Carry]:
        return self.output.scores(self._hidden_states(batch, train=False)), None

    def backward(self) -> None:
        dh = self.decoder_norm.backward(self.output.backward())
        for layer in reversed(self.decoder):
            dh = layer.backward(dh)
        self.target_inputs.backward(dh)
        dsource = self.decoder[0].source_gradient()
        for layer in self.decoder[1:]:
            dsource = dsource + layer.source_gradient()
        dh = self.encoder_norm.backward(dsource)
        for layer in reversed(self.encoder):
            dh = layer.backward(dh)
        self.source_inputs.backward(dh)

    def decode(self, batch: Batch, *, beam: int = 1, length_penalty: float = 0.0) -> Decoded:
        """Return the target sequences that the model writes for the sources of a batch.

        The keys and values of the source and of the tokens written so far are kept: each token is read once.

        Args:
            batch: Sources (R, T, B), and `max_length`.
            beam: Number of hypotheses of the beam search; default 1, greedy decoding.
            length_penalty: Exponent of the length by which log probabilities are divided; default 0.
        """
        source, mask = self._encode(batch, train=False)
        xp = xp_of(source)
        source, mask = xp.repeat(source, beam, axis=2), None if mask is None else xp.repeat(mask, beam, axis=1)
        known = [layer.source_keys_values(source) for layer in self.decoder]
        empty = source[:, :0].swapaxes(1, 2)  # (R, B beam, 0, F)

        def step(tokens: Array, state: DecoderState) -> tuple[Array, DecoderState]:
            pasts = [each.swapaxes(1, 2) for each in state]  # keys and values (R, t, N, F) of each layer in turn
            h, new = self.target_inputs.forward(tokens[:, None], train=False, start=pasts[0].shape[1]), []
            for layer, keys_values, *past in zip(self.decoder, known, pasts[::2], pasts[1::2], strict=True):
                h, kept = layer.forward(h, past=(past[0], past[1]), source=keys_values, source_mask=mask, train=False)
                new += [each.swapaxes(1, 2) for each in kept]
            return self.output.scores(self.decoder_norm.forward(h, train=False))[:, 0], tuple(new)

        state = (empty,) * (2 * len(self.decoder))
        return beam_search(step, state, max_length=batch.max_length or 1, beam=beam, length_penalty=length_penalty)

    def attention_maps(self, batch: Batch) -> Array:
        """Return how much each target token attends to each source token, per head of the last decoder layer.

        The decoder reads the right targets.

        Returns:
            Weights (R, B, heads, T_out, T_in), on the host; the source is in its own order, with padding last.
        """
        self._hidden_states(batch, train=False)
        attention = self.decoder[-1].source_attention
        if attention is None:
            raise ValueError("a decoder's layer attends to its source")
        return to_host(attention.weights)

    def _encode(self, batch: Batch, train: bool) -> tuple[Array, Array | None]:
        """Return the encoded source (R, T_in, B, F), and which places may be attended to (R, B, 1, 1, T_in)."""
        mask = None if batch.source_mask is None else batch.source_mask.swapaxes(1, 2)[:, :, None, None]
        h = self.source_inputs.forward(batch.x, train=train)
        for layer in self.encoder:
            h, _ = layer.forward(h, mask=mask, train=train)
        return self.encoder_norm.forward(h, train=train), mask

    def _hidden_states(self, batch: Batch, train: bool) -> Array:
        """Return the hidden states (R, T_out, B, F) after the last decoder layer, where it reads the right targets."""
        if batch.decoder_inputs is None:
            raise UserMistake("Transformer needs pairs of sequences, such as Pairs or Addition.")
        source, source_mask = self._encode(batch, train)
        h = self.target_inputs.forward(batch.decoder_inputs, train=train)
        mask = causal_mask(h, h.shape[1])
        for layer in self.decoder:
            h, _ = layer.forward(h, mask=mask, source=source, source_mask=source_mask, train=train)
        return self.decoder_norm.forward(h, train=train)


class _TokenVectors(Module):
    """Vectors of tokens plus their positions."""

    def __init__(self, replicas: Replicas, vocabulary_size: int, width: int, dropout: PerReplica | None) -> None:
        # rows of length 1, which are scaled to numbers of size 1 like those of the positions
        initializer, self._scale = partial(random_normal, scale=width**-0.5), width**0.5
        self.embedding = Embedding(replicas, vocabulary_size, width, initializer=initializer)
        self.positions = PositionalEncoding(replicas, width)
        self.dropout = Dropout(replicas, 0.0 if dropout is None else dropout)

    def forward(self, ids: Array, *, train: bool, start: int = 0) -> Array:
        """Return vectors (R, T, B, F) of ids (R, T, B), the first of which is at position `start`."""
        vectors = self.embedding.forward(ids, train=train) * self._scale
        return self.dropout.forward(self.positions.forward(vectors, train=train, start=start), train=train)

    def backward(self, dy: Array) -> None:
        """Set the gradient of the embedding, from dy (R, T, B, F)."""
        self.embedding.backward(self.positions.backward(self.dropout.backward(dy)) * self._scale)
