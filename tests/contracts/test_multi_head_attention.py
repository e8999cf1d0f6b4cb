"""Multi-head attention and the layers of a Transformer pass the contract of layers, and have the paper's values."""

from functools import partial

import numpy as np
import pytest

from searchlab.errors import UserMistake
from searchlab.nn import Layer, MultiHeadAttention, TransformerLayer, causal_mask
from searchlab.replicas import Replicas
from searchlab.testing import check_layer

WIDTH, HEADS, TARGETS = 8, 2, 3  # of the T time steps, the first TARGETS are queries and the others the source
LENGTHS = {"lengths": ((2, 4), (4, 1), (3, 3))}  # real places of the source of each replica and row


class AttentionToSelf(Layer):
    """Self-attention with a causal mask."""

    def __init__(self, replicas, context=None, **options):
        self.attention, self.context = MultiHeadAttention(replicas, WIDTH, HEADS, **options), context

    def forward(self, x, *, train):
        return self.attention.forward(x, mask=causal_mask(x, x.shape[1], context=self.context), train=train)[0]

    def backward(self, dy):
        dx, dsource = self.attention.backward(dy)
        assert dsource is None
        return dx


def source_mask(lengths, places):
    """Return which places of each source are real, (R, B, 1, 1, T_in)."""
    return (np.arange(places) < lengths[..., None])[:, :, None, None]


class AttentionToSource(Layer):
    """Attention of the first time steps to the others, of which each row has a different number of real ones."""

    def __init__(self, replicas, lengths):
        self.attention, self.lengths = MultiHeadAttention(replicas, WIDTH, HEADS), np.array(lengths)

    def forward(self, x, *, train):
        mask = source_mask(self.lengths, x.shape[1] - TARGETS)
        return self.attention.forward(x[:, :TARGETS], x[:, TARGETS:], mask=mask, train=train)[0]

    def backward(self, dy):
        return np.concatenate(self.attention.backward(dy), axis=1)


class Decoder(Layer):
    """A decoder's layer: causal self-attention, and attention to a source with padding."""

    def __init__(self, replicas, lengths, dropout=None):
        self.layer = TransformerLayer(replicas, WIDTH, HEADS, inner=5, dropout=dropout, attends_to_source=True)
        self.lengths = np.array(lengths)

    def forward(self, x, *, train):
        masks = {"mask": causal_mask(x, TARGETS), "source_mask": source_mask(self.lengths, x.shape[1] - TARGETS)}
        return self.layer.forward(x[:, :TARGETS], source=x[:, TARGETS:], **masks, train=train)[0]

    def backward(self, dy):
        return np.concatenate([self.layer.backward(dy), self.layer.source_gradient()], axis=1)


@pytest.mark.parametrize("options", [{}, {"rotary": True}, {"rotary": True, "context": 2}], ids=str)
def test_self_attention(options):
    check_layer(partial(AttentionToSelf, **options), WIDTH, leading=((5, 2), (1, 3)))


def test_attention_to_a_source():
    check_layer(AttentionToSource, WIDTH, leading=((TARGETS + 4, 2),), per_replica=LENGTHS)


@pytest.mark.parametrize("dropout", [{}, {"dropout": (0.0, 0.3, 0.6)}], ids=["plain", "dropout"])
def test_decoder_layer(dropout):
    check_layer(Decoder, WIDTH, leading=((TARGETS + 4, 2),), per_replica=LENGTHS | dropout)


def reference_attention(attention, x, source, allowed):
    """Return what one replica reads and its weights, one row, head and time step after the other.

    x is (T, B, F), the source (T_in, B, F), and allowed(b, t, s) whether time step t of row b may attend to place s.
    """
    layers = (attention.query, attention.key, attention.value)
    q, k, v = (each @ layer.W.value[0] + layer.b.value[0] for layer, each in zip(layers, (x, source, source)))  # noqa: B905
    D, read = WIDTH // HEADS, np.zeros_like(x)
    weights = np.zeros((x.shape[1], HEADS, len(x), len(source)))
    for b, head, t in np.ndindex(x.shape[1], HEADS, len(x)):
        part = slice(head * D, (head + 1) * D)
        places = [s for s in range(len(source)) if allowed(b, t, s)]
        scores = np.array([q[t, b, part] @ k[s, b, part] for s in places]) / np.sqrt(D)
        exponentials = np.exp(scores)
        weights[b, head, t, places] = exponentials / exponentials.sum()
        read[t, b, part] = weights[b, head, t] @ v[:, b, part]
    return read @ attention.output.W.value[0] + attention.output.b.value[0], weights


def attention_with_biases(**options):
    attention, generator = MultiHeadAttention(Replicas([4], dtype=np.float64), WIDTH, HEADS, **options), rng()
    for _, parameter in attention.named_parameters():
        parameter.value += 0.3 * generator.standard_normal(parameter.value.shape)
    return attention


def rng():
    return np.random.default_rng(0)


def test_values_are_those_of_the_paper():
    attention, (x, source) = attention_with_biases(), (rng().standard_normal((1, T, 2, WIDTH)) for T in (3, 4))
    lengths = np.array([[2, 4]])
    y, _ = attention.forward(x, source, mask=source_mask(lengths, 4), train=True)
    expected, weights = reference_attention(attention, x[0], source[0], lambda b, t, s: s < lengths[0, b])
    assert y[0] == pytest.approx(expected)
    assert attention.weights[0] == pytest.approx(weights)
    y, _ = attention.forward(x, mask=causal_mask(x, 3), train=True)
    expected, weights = reference_attention(attention, x[0], x[0], lambda b, t, s: s <= t)
    assert y[0] == pytest.approx(expected)
    assert attention.weights[0] == pytest.approx(weights)
    assert attention.weights.sum(axis=4) == pytest.approx(np.ones((1, 2, HEADS, 3)))


@pytest.mark.parametrize("rotary", [False, True])
def test_one_step_after_the_other_equals_all_at_once(rotary):
    """With the keys and values of the steps before, and with no more of them than the context holds."""
    attention, x = attention_with_biases(rotary=rotary), rng().standard_normal((1, 9, 2, WIDTH))
    for context in (None, 4):
        whole, _ = attention.forward(x, mask=causal_mask(x, 9, context=context), train=False)
        past = None
        for t in range(9):
            y, keys_values = attention.forward(x[:, t : t + 1], past=past, train=False)
            assert y == pytest.approx(whole[:, t : t + 1])
            past = keys_values if context is None else tuple(each[:, 1 - context :] for each in keys_values)


def test_a_known_source_is_not_read_again():
    attention, (x, source) = attention_with_biases(), (rng().standard_normal((1, T, 2, WIDTH)) for T in (3, 4))
    expected, keys_values = attention.forward(x, source, train=False)
    assert (attention.attend(x, keys_values, train=False) == expected).all()
    assert (attention.attend(x, attention.keys_values(source, train=False), train=False) == expected).all()


def test_what_is_masked_changes_nothing():
    """Padding of one row has no influence on it and on any other, whatever it holds."""
    attention, (x, source) = attention_with_biases(), (rng().standard_normal((1, T, 2, WIDTH)) for T in (3, 4))
    mask = source_mask(np.array([[2, 4]]), 4)
    y = attention.forward(x, source, mask=mask, train=False)[0]
    source[:, 2:, 0] = 1e6
    assert (attention.forward(x, source, mask=mask, train=False)[0] == y).all()
    whole = attention.forward(x, mask=causal_mask(x, 3), train=False)[0]
    x[:, 2] += 1.0
    assert (attention.forward(x, mask=causal_mask(x, 3), train=False)[0] == whole)[:, :2].all()


@pytest.mark.parametrize(
    ("steps", "past", "context", "expected"),
    [
        (3, 0, None, ["100", "110", "111"]),
        (2, 1, None, ["110", "111"]),
        (3, 0, 2, ["100", "110", "011"]),
        (2, 2, 1, ["0010", "0001"]),
        (1, 0, 5, ["1"]),
    ],
)
def test_causal_masks(steps, past, context, expected):
    mask = causal_mask(np.zeros(1), steps, past=past, context=context)
    assert ["".join(map(str, row)) for row in mask.astype(int)] == expected


@pytest.mark.parametrize(("width", "heads"), [(8, 3), (0, 1), (4, 0), (2, 4)])
def test_heads_that_do_not_divide_the_width_raise(width, heads):
    with pytest.raises(UserMistake, match=f"got {heads} and {width}"):
        MultiHeadAttention(Replicas([0]), width, heads)
    with pytest.raises(UserMistake, match="even number of features"):
        MultiHeadAttention(Replicas([0]), 6, 2, rotary=True)


def test_rotary_positions_with_a_source_raise():
    attention, x = MultiHeadAttention(Replicas([0]), WIDTH, HEADS, rotary=True), np.zeros((1, 2, 1, WIDTH), np.float32)
    with pytest.raises(ValueError, match="to x itself"):
        attention.forward(x, x, train=False)


def test_a_layer_without_its_source_raises():
    layer = TransformerLayer(Replicas([0]), WIDTH, HEADS, 5, attends_to_source=True)
    with pytest.raises(ValueError, match="needs a source"):
        layer.forward(np.zeros((1, 2, 1, WIDTH), np.float32), train=False)
    with pytest.raises(ValueError, match="no source"):
        layer.source_gradient()
    with pytest.raises(ValueError, match="no attention to a source"):
        TransformerLayer(Replicas([0]), WIDTH, HEADS, 5).source_keys_values(np.zeros((1, 2, 1, WIDTH), np.float32))
