"""Two recurrent layers that read a sequence from either end."""

from __future__ import annotations

from searchlab.backend import Array, xp_of
from searchlab.nn.module import Layer
from searchlab.nn.rnn import Recurrent


class Bidirectional(Layer):
    """What two layers say of each moment, the second reading backwards: (R, T, B, I) to (R, T, B, H + H').

    Schuster and Paliwal 1997; Deep Learning from Scratch 2, chapter 8. It reads whole sequences, so that there is no
    carry. Raises ValueError for one layer given twice, whose second pass would overwrite its first.
    """

    def __init__(self, forward_layer: Recurrent, backward_layer: Recurrent) -> None:
        if forward_layer is backward_layer:
            raise ValueError("Bidirectional takes two layers, and was given one twice; they may share Parameters")
        self.onward, self.backwards = forward_layer, backward_layer

    def forward(self, x: Array, *, train: bool) -> Array:
        ahead, _ = self.onward.forward(x, train=train)
        behind, _ = self.backwards.forward(x[:, ::-1], train=train)
        y: Array = xp_of(x).concatenate([ahead, behind[:, ::-1]], axis=-1)
        return y

    def backward(self, dy: Array) -> Array:
        H = self.onward.hidden
        dx = self.onward.backward(dy[..., :H])
        dx += self.backwards.backward(dy[:, ::-1, :, H:])[:, ::-1]
        return dx
