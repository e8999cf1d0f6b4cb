"""A layer of a Transformer: attention and a feed-forward network with normalization and residual connections."""

from __future__ import annotations

from searchlab.backend import Array
from searchlab.nn.activations import Relu
from searchlab.nn.affine import Affine
from searchlab.nn.dropout import Dropout
from searchlab.nn.initializers import he_normal, lecun_normal
from searchlab.nn.layer_norm import LayerNorm
from searchlab.nn.module import Module, Sequential
from searchlab.nn.multi_head_attention import KeysValues, MultiHeadAttention
from searchlab.replicas import PerReplica, Replicas


class TransformerLayer(Module):
    """A pre-norm layer of an encoder or a decoder: x + attention(norm(x)), then x + feed_forward(norm(x)).

    The feed-forward network is two affine layers with a rectified linear unit between them. A decoder that reads a
    source has a second attention in between, to the source. Dropout acts on what is added to x.

    Args:
        replicas: The replicas, which draw the weights and the dropout masks.
        width: Size F of each vector.
        heads: Number of heads, which divides the width.
        inner: Width of the feed-forward network's hidden layer.
        dropout: Dropout rate, in [0, 1); default None, no dropout.
        attends_to_source: Whether there is an attention to a source; default False.
        rotary: Whether self-attention rotates queries and keys by their positions; default False.

    Attributes:
        attention: The self-attention.
        source_attention: The attention to the source; None where there is none.

    Raises:
        UserMistake: When the heads do not divide the width.

    Reference:
        Vaswani et al. (2017); for the normalization before each part, Xiong et al. (2020).

    Example:
        >>> import numpy as np
        >>> from searchlab.nn import Replicas, TransformerLayer
        >>> layer = TransformerLayer(Replicas([1, 2]), width=8, heads=2, inner=16)
        >>> y, _ = layer.forward(np.ones((2, 5, 3, 8), np.float32), train=False)
        >>> y.shape
        (2, 5, 3, 8)
    """

    def __init__(
        self,
        replicas: Replicas,
        width: int,
        heads: int,
        inner: int,
        *,
        dropout: PerReplica | None = None,
        attends_to_source: bool = False,
        rotary: bool = False,
    ) -> None:
        self.norm = LayerNorm(replicas, width)
        self.attention = MultiHeadAttention(replicas, width, heads, rotary=rotary)
        self.source_norm = LayerNorm(replicas, width) if attends_to_source else None
        self.source_attention = MultiHeadAttention(replicas, width, heads) if attends_to_source else None
        self.feed_forward = Sequential(
            LayerNorm(replicas, width),
            Affine(replicas, width, inner, initializer=he_normal),
            Relu(replicas),
            Affine(replicas, inner, width, initializer=lecun_normal),
        )
        self._dsource: Array | None = None
        self.dropouts = [Dropout(replicas, 0.0 if dropout is None else dropout) for _ in range(3)]

    def forward(
        self,
        x: Array,
        *,
        mask: Array | None = None,
        past: KeysValues | None = None,
        source: Array | KeysValues | None = None,
        source_mask: Array | None = None,
        train: bool,
    ) -> tuple[Array, KeysValues]:
        """Return the vectors after this layer, and the keys and values of the self-attention, with the past's.

        Args:
            x: Vectors (R, T, B, F).
            mask: Which positions each may attend to, as in `MultiHeadAttention.forward`; default None, all.
            past: The keys and values of the positions before, which count as constants; default None.
            source: Vectors (R, T_in, B, F) that `source_attention` reads, or their keys and values; default None.
            source_mask: Which places of the source may be attended to; default None, all.
            train: Whether this is a training step, where dropout is in use.
        """
        read, keys_values = self.attention.forward(self.norm.forward(x, train=train), past=past, mask=mask, train=train)
        x = x + self.dropouts[0].forward(read, train=train)
        if self.source_attention is not None and self.source_norm is not None:
            x = x + self._read_source(self.source_norm.forward(x, train=train), source, source_mask, train)
        added = self.feed_forward.forward(x, train=train)
        return x + self.dropouts[2].forward(added, train=train), keys_values

    def source_keys_values(self, source: Array) -> KeysValues:
        """Return the keys and values of a source (R, T_in, B, F), by which `forward` need not read it again.

        Raises:
            ValueError: When the layer has no attention to a source.
        """
        if self.source_attention is None:
            raise ValueError("this layer has no attention to a source")
        return self.source_attention.keys_values(source, train=False)

    def backward(self, dy: Array) -> Array:
        """Set the gradients of the weights, and return dx (R, T, B, F), from dy (R, T, B, F)."""
        dx = dy + self.feed_forward.backward(self.dropouts[2].backward(dy))
        if self.source_attention is not None and self.source_norm is not None:
            dnormalized, self._dsource = self.source_attention.backward(self.dropouts[1].backward(dx))
            dx = dx + self.source_norm.backward(dnormalized)
        dnormalized, _ = self.attention.backward(self.dropouts[0].backward(dx))
        dx = dx + self.norm.backward(dnormalized)
        return dx

    def source_gradient(self) -> Array:
        """Return the gradient (R, T_in, B, F) by the source, from the latest backward pass.

        Raises:
            ValueError: When the layer has read no source.
        """
        if self._dsource is None:
            raise ValueError("this layer has read no source")
        return self._dsource

    def _read_source(
        self, x: Array, source: Array | KeysValues | None, source_mask: Array | None, train: bool
    ) -> Array:
        if self.source_attention is None or source is None:
            raise ValueError("a layer with an attention to a source needs a source")
        if isinstance(source, tuple):
            read = self.source_attention.attend(x, source, mask=source_mask, train=train)
        else:
            read, _ = self.source_attention.forward(x, source, mask=source_mask, train=train)
        return self.dropouts[1].forward(read, train=train)
