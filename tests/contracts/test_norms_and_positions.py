"""Layer normalization and positions have the values of their papers."""

import numpy as np
import pytest

from searchlab.errors import UserMistake
from searchlab.nn import LayerNorm, PositionalEncoding, RotaryEncoding
from searchlab.replicas import Replicas
from searchlab.testing import check_layer


def test_layer_norm_has_the_values_of_the_paper():
    generator, layer = np.random.default_rng(0), LayerNorm(Replicas([0, 1], dtype=np.float64), 6, epsilon=0.1)
    for parameter in (layer.gamma, layer.beta):
        parameter.value[...] = generator.standard_normal(parameter.value.shape)
    x = generator.standard_normal((2, 3, 4, 6)) * 5.0 + 7.0
    y = layer.forward(x, train=True)
    for place in np.ndindex(2, 3, 4):
        row, r = x[place], place[0]
        normalized = (row - row.mean()) / np.sqrt(row.var() + 0.1)
        assert y[place] == pytest.approx(layer.gamma.value[r, 0] * normalized + layer.beta.value[r, 0])
    assert (layer.forward(x, train=False) == y).all(), "training and prediction are the same"


def test_layer_norm_of_a_row_does_not_depend_on_other_rows():
    layer, x = LayerNorm(Replicas([0]), 6), np.random.default_rng(0).standard_normal((1, 5, 6)).astype(np.float32)
    y = layer.forward(x, train=True)
    changed = x.copy()
    changed[:, 3:] = 1e3
    assert (layer.forward(changed, train=True)[:, :3] == y[:, :3]).all()


def test_layer_norm_of_a_single_feature_is_its_offset():
    check_layer(lambda replicas: LayerNorm(replicas, 1), 1)
    layer = LayerNorm(Replicas([0]), 1)
    layer.beta.value += 2.0
    assert (layer.forward(np.full((1, 3, 1), 5.0, np.float32), train=True) == 2.0).all()


@pytest.mark.parametrize("epsilon", [0.0, -1.0, np.nan, [1e-5, 0.0]])
def test_layer_norm_with_an_invalid_epsilon_raises(epsilon):
    with pytest.raises(UserMistake, match="LayerNorm needs a finite epsilon above 0"):
        LayerNorm(Replicas([0, 1]), 4, epsilon=epsilon)


def test_positional_encoding_has_the_values_of_the_paper():
    encoding = PositionalEncoding(Replicas([0, 1], dtype=np.float64), 6)
    y = encoding.forward(np.zeros((2, 70, 3, 6)), train=False)
    for t in (0, 1, 50, 69):
        for i in range(3):
            angle = t / 10_000 ** (2 * i / 6)
            assert y[:, t, :, 2 * i] == pytest.approx(np.full((2, 3), np.sin(angle)))
            assert y[:, t, :, 2 * i + 1] == pytest.approx(np.full((2, 3), np.cos(angle)))


def test_positions_may_start_anywhere_and_have_no_end():
    encoding = PositionalEncoding(Replicas([0]), 4)
    whole = encoding.forward(np.zeros((1, 300, 1, 4), np.float32), train=False)
    for start in (0, 7, 299):
        part = encoding.forward(np.zeros((1, 300 - start, 1, 4), np.float32), train=False, start=start)
        assert (part == whole[:, start:]).all()
    assert encoding.forward(np.zeros((1, 1, 1, 4), np.float32), train=False, start=1000).dtype == np.float32


def test_rotated_products_depend_on_distances_only():
    rotary, generator = RotaryEncoding(Replicas([0], dtype=np.float64), 8, heads=2), np.random.default_rng(0)
    query, key = generator.standard_normal((2, 8))
    sequence = np.tile(np.stack([query, key])[None, None], (1, 90, 1, 1))  # both at each of 90 positions
    rotated = rotary.forward(sequence)[0]
    for head in (slice(0, 4), slice(4, 8)):
        products = rotated[:, 0, head] @ rotated[:, 1, head].T  # (90, 90)
        for distance in (0, 1, 30):
            diagonal = np.diagonal(products, offset=distance)
            assert diagonal == pytest.approx(np.full(len(diagonal), diagonal[0]))
        assert abs(products[0, 0] - products[0, 1]) > 1e-3


def test_rotations_are_undone_by_their_gradient():
    rotary, x = RotaryEncoding(Replicas([0, 1]), 8, heads=2), np.random.default_rng(0).standard_normal((2, 5, 3, 8))
    x = x.astype(np.float32)
    rotated = rotary.forward(x, start=3)
    assert rotated.dtype == np.float32
    assert rotated[:, :, :, 4:6].tolist() == rotary.forward(np.roll(x, 4, axis=3), start=3)[:, :, :, :2].tolist()
    assert np.abs(rotated - x).max() > 0.1
    assert rotary.backward(rotated, start=3) == pytest.approx(x, abs=1e-5)


@pytest.mark.parametrize("build", [PositionalEncoding, RotaryEncoding])
@pytest.mark.parametrize("features", [0, 1, 5])
def test_an_odd_number_of_features_raises(build, features):
    with pytest.raises(UserMistake, match=f"{build.__name__} needs an even number .* got {features}"):
        build(Replicas([0]), features)
