"""Sequence to sequence: a recurrent encoder reads a source, and a recurrent decoder writes the target."""

from __future__ import annotations

from typing import ClassVar, Literal

from models.encoder import CELLS, Encoder, States
from searchlab.backend import Array, to_host
from searchlab.data import Batch
from searchlab.errors import UserMistake
from searchlab.nn import (
    Attention,
    Carry,
    Decoded,
    Dropout,
    Embedding,
    Model,
    PerReplica,
    Replicas,
    SoftmaxOutput,
    beam_search,
    lecun_normal,
    random_normal,
    xp_of,
)


class Seq2Seq(Model):
    """A recurrent encoder and a recurrent decoder, which begins in the encoder's last state.

    The hidden state of a decoder that begins with an encoder's last one is followed by a cell state of 0, unless
    `pass_cell`. Padding of a source is never seen. Attention and the peeky connections go to the output layer beside
    the last decoder layer's hidden state.

    Args:
        replicas: The replicas, which draw the weights and the dropout masks.
        source_size: Number of source tokens.
        target_size: Number V of target tokens; ids 0 and 1 end and begin a target.
        cell: "lstm" (default) or "gru".
        embed: Size of the token vectors; default 16.
        hidden: Size H of the hidden states; default 128.
        layers: Number of recurrent layers of the encoder, and of the decoder; default 1.
        reverse: Whether sources are read backward; default False.
        peeky: Whether the encoder's last hidden state joins the inputs of the decoder and of the output layer at every
            time step; default False.
        attention: "dot", "scaled", "general" or "additive" attention over the encoder's hidden states; default None.
        bidirectional: Whether the encoder reads in both directions; default False.
        residual: Whether the input of each layer from the second on is added to its output; default False.
        pass_cell: Whether the decoder begins with the encoder's last cell state too; default False.
        dropout: Dropout rate before and after each recurrent layer, in [0, 1); default None, no dropout.
        tied: Whether the output layer uses the vectors of the target tokens; default False. It needs `embed` equal to
            `hidden`, and neither `peeky` nor `attention`.

    Attributes:
        attention: The attention layer, whose `weights` are those of the latest pass; None without attention.

    Raises:
        UserMistake: When the cell or the attention is not known, a size is below 1, or weights cannot be tied.

    Reference:
        Sutskever, Vinyals and Le (2014); Cho et al. (2014) for `peeky`; Deep Learning from Scratch 2, chapters 7 and 8.

    Example:
        >>> from models.seq2seq import Seq2Seq
        >>> from searchlab.data import Addition, EveryRow
        >>> from searchlab.nn import Replicas
        >>> table, replicas = Addition(rows=100).training(), Replicas([1, 2])
        >>> batch = next(table.training_batches(EveryRow().split(table)[[0, 0]], replicas, batch_size=8))
        >>> model = Seq2Seq(replicas, *table.sizes, hidden=32, attention="dot")
        >>> model.forward(batch, train=False)[0].shape, model.decode(batch).ids.shape
        ((2,), (2, 10, 8))
    """

    is_recurrent: ClassVar[bool] = True

    def __init__(
        self,
        replicas: Replicas,
        source_size: int,
        target_size: int,
        *,
        cell: Literal["lstm", "gru"] = "lstm",
        embed: int = 16,
        hidden: int = 128,
        layers: int = 1,
        reverse: bool = False,
        peeky: bool = False,
        attention: Literal["dot", "scaled", "general", "additive"] | None = None,
        bidirectional: bool = False,
        residual: bool = False,
        pass_cell: bool = False,
        dropout: PerReplica | None = None,
        tied: bool = False,
    ) -> None:
        if cell not in CELLS:
            raise UserMistake(f"Seq2Seq needs a cell of {', '.join(CELLS)}; got {cell!r}.")
        if min(layers, hidden, embed) < 1:
            raise UserMistake(
                f"Seq2Seq needs sizes of at least 1; got layers {layers}, hidden {hidden}, embed {embed}."
            )
        if tied and (peeky or attention or embed != hidden):
            raise UserMistake("Seq2Seq(tied=True) needs embed equal to hidden, and neither peeky nor attention.")
        self.peeky, self.residual, self.hidden = peeky, residual, hidden
        self.encoder = Encoder(
            replicas,
            source_size,
            cell=cell,
            embed=embed,
            hidden=hidden,
            layers=layers,
            bidirectional=bidirectional,
            residual=residual,
            dropout=dropout,
            reverse=reverse,
            pass_cell=pass_cell,
        )
        self.embedding = Embedding(replicas, target_size, embed, initializer=random_normal)
        widths = [embed + peeky * hidden, *[hidden] * layers]
        self.cells = [CELLS[cell](replicas, width, hidden) for width in widths[:-1]]
        self.dropouts = [None if dropout is None else Dropout(replicas, dropout) for _ in widths]
        self.attention = Attention(replicas, hidden, score=attention) if attention else None
        self.output = SoftmaxOutput(
            replicas,
            hidden * (1 + peeky + bool(attention)),
            target_size,
            initializer=lecun_normal,
            tied_weight=self.embedding.W if tied else None,
        )

    def forward(self, batch: Batch, carry: Carry = None, *, train: bool) -> tuple[Array, Carry]:
        return self.output.forward(self._features(batch, train), batch.y, train=train), None

    def predict(self, batch: Batch, carry: Carry = None) -> tuple[Array, Carry]:
        return self.output.scores(self._features(batch, train=False)), None

    def backward(self) -> None:
        dfeatures, H, xp = self.output.backward(), self.hidden, xp_of(self._h_end)
        dh, d_states = dfeatures[..., -H:], xp.zeros(self._states_shape, dtype=dfeatures.dtype)
        d_peeked = dfeatures[..., :H].sum(axis=1) if self.peeky else 0.0  # (R, B, H)
        if self.attention:
            dqueries, d_states = self.attention.backward(dfeatures[..., -2 * H : -H])
            dh = dh + dqueries
        d_ends: States = []
        for layer in reversed(range(len(self.cells))):
            dropout = self.dropouts[layer + 1]
            dy = dropout.backward(dh) if dropout else dh
            dx = self.cells[layer].backward(dy)
            d_ends.insert(0, self.cells[layer].start_gradients()[: self.encoder.num_ends])
            dh = dx + dy if self.residual and layer else dx
        if self.peeky:
            d_peeked = d_peeked + dh[..., :H].sum(axis=1)
            d_ends[-1] = (d_ends[-1][0] + d_peeked, *d_ends[-1][1:])
            dh = dh[..., H:]
        self.embedding.backward(self.dropouts[0].backward(dh) if self.dropouts[0] else dh)
        self.encoder.backward(d_states, d_ends)

    def decode(self, batch: Batch, *, beam: int = 1, length_penalty: float = 0.0) -> Decoded:
        """Return the target sequences that the model writes for the sources of a batch.

        Args:
            batch: Sources (R, T, B), and `max_length`.
            beam: Number of hypotheses of the beam search; default 1, greedy decoding.
            length_penalty: Exponent of the length by which log probabilities are divided; default 0.
        """
        h, mask, ends = self.encoder.forward(batch.x, batch.source_mask, train=False)
        xp, fixed = xp_of(h), [h, ends[-1][0][:, None]]  # time-major, (R, ..., B, H)
        memory, h_end = (xp.repeat(array, beam, axis=2) for array in fixed)
        mask = None if mask is None else xp.repeat(mask, beam, axis=2)
        starts = [xp.repeat(array, beam, axis=1) for end in ends for array in self._start(end)]
        count = self.cells[0].num_states

        def step(tokens: Array, state: tuple[Array, ...]) -> tuple[Array, tuple[Array, ...]]:
            states = [state[i : i + count] for i in range(0, len(state), count)]
            features, new = self._advance(tokens[:, None], states, memory, mask, h_end[:, 0], train=False)
            return self.output.scores(features)[:, 0], tuple(array for each in new for array in each)

        max_length = batch.max_length or 1
        return beam_search(step, tuple(starts), max_length=max_length, beam=beam, length_penalty=length_penalty)

    def attention_maps(self, batch: Batch) -> Array | None:
        """Return how much each target token attends to each source token, (R, B, T_out, T_in), on the host.

        The source is in its own order, with padding last; the decoder reads the right targets. None without attention.
        """
        if self.attention is None:
            return None
        self._features(batch, train=False)
        weights = self.attention.weights.transpose(0, 3, 1, 2)  # (R, T_in, B, T_out)
        return to_host(self.encoder.source_order(weights).transpose(0, 2, 3, 1))

    def _features(self, batch: Batch, train: bool) -> Array:
        """Return what the output layer reads (R, T_out, B, W): the encoder's last state, contexts, hidden states."""
        if batch.decoder_inputs is None:
            raise UserMistake("Seq2Seq needs pairs of sequences, such as Pairs or Addition.")
        h, mask, ends = self.encoder.forward(batch.x, batch.source_mask, train=train)
        self._h_end, self._states_shape = ends[-1][0], h.shape
        starts = [self._start(end) for end in ends]
        return self._advance(batch.decoder_inputs, starts, h, mask, self._h_end, train=train)[0]

    def _advance(
        self, ids: Array, states: States, memory: Array, mask: Array | None, h_end: Array, *, train: bool
    ) -> tuple[Array, States]:
        """Return the output layer's inputs (R, T, B, W) for decoder inputs (R, T, B), and the states after them."""
        xp = xp_of(memory)
        x = self._apply_dropout(0, self.embedding.forward(ids, train=train), train)
        peeked = xp.broadcast_to(h_end[:, None], (*ids.shape, self.hidden))
        x = xp.concatenate([peeked, x], axis=-1) if self.peeky else x
        ends: States = []
        for layer, cell in enumerate(self.cells):
            y, end = cell.forward(x, states[layer], train=train)
            x = self._apply_dropout(layer + 1, y + x if self.residual and layer else y, train)
            ends.append(end)
        parts = [peeked] if self.peeky else []
        if self.attention:
            parts.append(self.attention.forward(x, memory, mask, train=train))
        return (xp.concatenate([*parts, x], axis=-1) if parts else x), ends

    def _start(self, end: tuple[Array, ...]) -> tuple[Array, ...]:
        """Return the state in which a decoder layer begins: the encoder's; a cell state that is not passed is 0."""
        missing = self.cells[0].num_states - len(end)
        return (*end, *[xp_of(end[0]).zeros_like(end[0]) for _ in range(missing)])

    def _apply_dropout(self, position: int, h: Array, train: bool) -> Array:
        dropout = self.dropouts[position]
        return dropout.forward(h, train=train) if dropout else h
