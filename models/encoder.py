"""The encoder of a sequence-to-sequence model: recurrent layers over source sequences of unequal lengths."""

from __future__ import annotations

from searchlab.backend import Array
from searchlab.nn import (
    GRU,
    LSTM,
    Affine,
    Dropout,
    Embedding,
    Module,
    PerReplica,
    RecurrentLayer,
    Replicas,
    lecun_normal,
    random_normal,
    xp_of,
)

CELLS: dict[str, type[RecurrentLayer]] = {"lstm": LSTM, "gru": GRU}
States = list[tuple[Array, ...]]
"""The state of each recurrent layer: arrays (R, B, H)."""


class Encoder(Module):
    """Recurrent layers over source sequences, which all end together: padding comes first and leaves the state at 0.

    Args:
        replicas: The replicas, which draw the weights and the dropout masks.
        vocabulary_size: Number of source tokens.
        cell: "lstm" or "gru".
        embed: Size of the token vectors.
        hidden: Size H of the hidden states.
        layers: Number of recurrent layers.
        bidirectional: Whether each layer reads in both directions; an affine layer then brings 2H numbers to H.
        residual: Whether the input of each layer from the second on is added to its output.
        dropout: Dropout rate before each layer and after the last one; None for no dropout.
        reverse: Whether each source is read backward.
        pass_cell: Whether the cell states of an LSTM are among the last states too.
    """

    def __init__(
        self,
        replicas: Replicas,
        vocabulary_size: int,
        *,
        cell: str,
        embed: int,
        hidden: int,
        layers: int,
        bidirectional: bool,
        residual: bool,
        dropout: PerReplica | None,
        reverse: bool,
        pass_cell: bool,
    ) -> None:
        widths = [embed, *[hidden] * layers]
        self.hidden, self.residual, self.reverse = hidden, residual, reverse
        self.embedding = Embedding(replicas, vocabulary_size, embed, initializer=random_normal)
        self.cells = [CELLS[cell](replicas, width, hidden) for width in widths[:-1]]
        self.backward_cells = [CELLS[cell](replicas, width, hidden) for width in widths[:-1] if bidirectional]
        self.joins = [Affine(replicas, 2 * hidden, hidden, initializer=lecun_normal) for _ in self.backward_cells]
        self.num_ends = CELLS[cell].num_states if pass_cell else 1
        # one for each layer and each array of its last state
        self.end_joins = [
            [Affine(replicas, 2 * hidden, hidden, initializer=lecun_normal) for _ in range(self.num_ends)]
            for _ in self.backward_cells
        ]
        self.dropouts = [None if dropout is None else Dropout(replicas, dropout) for _ in widths]

    def forward(self, ids: Array, mask: Array | None, *, train: bool) -> tuple[Array, Array | None, States]:
        """Return the hidden states, which of them belong to tokens, and the last state of each layer.

        Args:
            ids: Source ids (R, T, B), padding last.
            mask: Which of them are tokens (R, T, B); None where all are.
            train: Whether a backward pass may follow.

        Returns:
            Hidden states (R, T, B, H) and their mask (R, T, B), in the order of reading with padding first; and the
            state of each layer after the last token.
        """
        self._order = None if mask is None else _reversal_behind_padding(mask)
        mask = None if mask is None else mask[:, ::-1]
        ids = ids[:, ::-1]  # backward: the padding comes first
        h = self.embedding.forward(ids if self.reverse else self._reversed(ids), train=train)
        h = self._apply_dropout(0, h, train)
        ends: States = []
        for layer, cell in enumerate(self.cells):
            y, end = cell.forward(h, train=train, mask=mask)
            if self.backward_cells:
                y, end = self._join(layer, y, end, h, mask)
            h = self._apply_dropout(layer + 1, y + h if self.residual and layer else y, train)
            ends.append(end[: self.num_ends])
        return h, mask, ends

    def backward(self, dh: Array, d_ends: States) -> None:
        """Set the gradients of all parameters.

        Args:
            dh: Gradient (R, T, B, H) of the hidden states.
            d_ends: Gradients (R, B, H) of the arrays of each layer's last state.
        """
        for layer in reversed(range(len(self.cells))):
            dropout = self.dropouts[layer + 1]
            dy = dropout.backward(dh) if dropout else dh
            if self.backward_cells:
                dx = self._join_backward(layer, dy, d_ends[layer])
            else:
                dx = _backward(self.cells[layer], dy, d_ends[layer])
            dh = dx + dy if self.residual and layer else dx
        self.embedding.backward(self.dropouts[0].backward(dh) if self.dropouts[0] else dh)

    def source_order(self, array: Array) -> Array:
        """Return an array (R, T, ...) in the order of reading as one in the order of the source, padding last."""
        return (array if self.reverse else self._reversed(array))[:, ::-1]

    def _join(
        self, layer: int, y: Array, end: tuple[Array, ...], h: Array, mask: Array | None
    ) -> tuple[Array, tuple[Array, ...]]:
        """Read the inputs h in the other direction too, and bring hidden states and ends to H numbers each."""
        xp, (y_backward, end_backward) = (
            xp_of(y),
            self.backward_cells[layer].forward(self._reversed(h), train=True, mask=mask),
        )
        joined = self.joins[layer].forward(xp.concatenate([y, self._reversed(y_backward)], axis=-1), train=True)
        pairs = zip(self.end_joins[layer], end, end_backward, strict=False)
        return joined, tuple(join.forward(xp.concatenate([a, b], axis=-1), train=True) for join, a, b in pairs)

    def _join_backward(self, layer: int, dy: Array, d_end: tuple[Array, ...]) -> Array:
        H = self.hidden
        both = self.joins[layer].backward(dy)
        d_ends = [join.backward(slope) for join, slope in zip(self.end_joins[layer], d_end, strict=True)]
        dx = _backward(self.cells[layer], both[..., :H], tuple(slope[..., :H] for slope in d_ends))
        slopes = tuple(slope[..., H:] for slope in d_ends)
        dx += self._reversed(_backward(self.backward_cells[layer], self._reversed(both[..., H:]), slopes))
        return dx

    def _reversed(self, array: Array) -> Array:
        """Return an array (R, T, B, ...) with the tokens of each sequence in reversed order, behind its padding."""
        if self._order is None:
            flipped: Array = array[:, ::-1]
            return flipped
        xp = xp_of(array)
        order = self._order.reshape(*self._order.shape, *[1] * (array.ndim - 3))
        reversed_: Array = xp.take_along_axis(array, order, axis=1)
        return reversed_

    def _apply_dropout(self, position: int, h: Array, train: bool) -> Array:
        dropout = self.dropouts[position]
        return dropout.forward(h, train=train) if dropout else h


def _reversal_behind_padding(mask: Array) -> Array:
    """Return the positions (R, T, B) that reverse sequences behind their padding; mask (R, T, B) has padding last."""
    xp, T = xp_of(mask), mask.shape[1]
    padding = T - mask.sum(axis=1, keepdims=True)  # (R, 1, B)
    positions = xp.arange(T)[:, None]  # (T, 1)
    order: Array = xp.where(positions < padding, positions, T - 1 - (positions - padding))
    return order


def _backward(cell: RecurrentLayer, dy: Array, d_end: tuple[Array, ...]) -> Array:
    """Return dx (R, T, B, I) of a cell; arrays of its last state that nothing has used have a gradient of 0."""
    xp = xp_of(dy)
    unused = [xp.zeros_like(d_end[0]) for _ in range(cell.num_states - len(d_end))]
    return cell.backward(dy, (*d_end, *unused))
