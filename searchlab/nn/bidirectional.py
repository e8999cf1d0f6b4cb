"""Two recurrent layers that read a sequence from opposite ends."""

from __future__ import annotations

from searchlab.backend import Array, xp_of
from searchlab.nn.module import Layer
from searchlab.nn.rnn import RecurrentLayer


class Bidirectional(Layer):
    """Two recurrent layers, one of which reads the sequence backward; their hidden states are concatenated.

    The input is (R, T, B, I), the output (R, T, B, H + H'). The layers read whole sequences, so there is no carry.

    Args:
        forward_layer: Reads from the first time step to the last; hidden size H.
        backward_layer: Reads from the last time step to the first; hidden size H'.

    Raises:
        ValueError: When both are the same layer, whose second pass would overwrite its first; they may share
            Parameters.

    Reference:
        Schuster and Paliwal (1997); Deep Learning from Scratch 2, chapter 8.

    Example:
        >>> import numpy as np
        >>> from searchlab.nn import Bidirectional, GRU, LSTM, Replicas
        >>> replicas = Replicas([1, 2])
        >>> layer = Bidirectional(LSTM(replicas, 3, 4), GRU(replicas, 3, 5))
        >>> layer.forward(np.ones((2, 6, 7, 3), np.float32), train=False).shape
        (2, 6, 7, 9)
    """

    def __init__(self, forward_layer: RecurrentLayer, backward_layer: RecurrentLayer) -> None:
        if forward_layer is backward_layer:
            raise ValueError("Bidirectional needs two layers, and got one layer twice; two layers may share Parameters")
        self.onward, self.backwards = forward_layer, backward_layer

    def forward(self, x: Array, *, train: bool) -> Array:
        h_forward, _ = self.onward.forward(x, train=train)
        h_backward, _ = self.backwards.forward(x[:, ::-1], train=train)
        y: Array = xp_of(x).concatenate([h_forward, h_backward[:, ::-1]], axis=-1)
        return y

    def backward(self, dy: Array) -> Array:
        H = self.onward.hidden_size
        dx = self.onward.backward(dy[..., :H])
        dx += self.backwards.backward(dy[:, ::-1, :, H:])[:, ::-1]
        return dx
