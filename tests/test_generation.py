"""Texts that models write: by the shares they say, seeded, each replica its own and the same alone."""

import numpy as np
import pytest

from models.rnn_lm import RnnLM
from searchlab.errors import UserMistake
from searchlab.nn import Model, Parameter
from searchlab.nn.generation import sample
from searchlab.replicas import Replicas

SHARES = np.array([0.5, 0.2, 0.15, 0.1, 0.05])


class Says(Model):
    """Scores (R, V) whatever came before; its carry counts the words it was given."""

    def __init__(self, scores):
        self.scores, self.given = Parameter(np.asarray(scores, dtype=np.float32)), []

    def forward(self, batch, carry=None, *, train):
        raise AssertionError("nothing is trained here")

    def backward(self):
        raise AssertionError("nothing is trained here")

    def predict(self, batch, carry=None):
        self.given.append((batch.x[0, :, 0].tolist(), carry))
        R, T, B = batch.x.shape
        return np.broadcast_to(self.scores.value[:, None, None], (R, T, B, self.scores.value.shape[1])), len(self.given)


def shares_of(model, count=4000, **options):
    """How often (R, V) each word is drawn."""
    drawn = sample(model, np.array([0]), count, **options)[:, 1:]
    return np.stack([np.bincount(row, minlength=len(SHARES)) for row in drawn]) / count


@pytest.fixture
def fair():
    return Says([np.log(SHARES), np.log(SHARES[::-1])])


def test_words_come_as_often_as_the_model_says(fair):
    """Four thousand draws: no share is out by more than 0.008, one standard deviation, three times over."""
    assert shares_of(fair) == pytest.approx(np.stack([SHARES, SHARES[::-1]]), abs=0.024)


@pytest.mark.parametrize("temperature", [0.5, 2.0])
def test_temperature_sharpens_and_flattens(fair, temperature):
    expected = SHARES ** (1 / temperature)
    assert shares_of(fair, temperature=temperature)[0] == pytest.approx(expected / expected.sum(), abs=0.024)


def test_top_k_keeps_the_likeliest_in_their_shares(fair):
    expected = np.array([[0.5, 0.2, 0, 0, 0], [0, 0, 0, 0.2, 0.5]]) / 0.7
    assert shares_of(fair, top_k=2) == pytest.approx(expected, abs=0.024)
    assert shares_of(fair, top_k=9) == pytest.approx(shares_of(fair))


@pytest.mark.parametrize("greedy", [{"temperature": 0.0}, {"top_k": 1}, {"temperature": 1e-300}])
def test_greedy_is_the_likeliest_always(fair, greedy):
    assert sample(fair, np.array([3, 3]), 5, **greedy).tolist() == [[3, 3] + [0] * 5, [3, 3] + [4] * 5]


@pytest.mark.parametrize("options", [{}, {"temperature": 0.0}, {"top_k": 4}, {"temperature": 1e-300}, {"top_k": 1}])
def test_what_is_skipped_never_comes(fair, options):
    drawn = sample(fair, np.array([0]), 500, skip=(0, 4), **options)[:, 1:]
    assert set(np.unique(drawn)) <= {1, 2, 3}


def test_the_start_is_fed_at_once_and_then_word_by_word(fair):
    ids = sample(fair, np.array([[1, 2, 3], [4, 0, 1]]), 3)
    assert ids[:, :3].tolist() == [[1, 2, 3], [4, 0, 1]]
    assert fair.given == [([1, 2, 3], None), ([int(ids[0, 3])], 1), ([int(ids[0, 4])], 2)]
    assert sample(fair, np.array([1]), 0).tolist() == [[1], [1]]


def test_a_replica_that_says_nothing_finite_harms_no_other(fair):
    well = sample(fair, np.array([0]), 50)
    sick = sample(Says([np.log(SHARES), np.full(5, np.nan)]), np.array([0]), 50, skip=(0,))
    assert sick[1, 1:].min() >= 1
    assert (sample(Says([np.log(SHARES), [np.inf, np.nan, 0, 0, -np.inf]]), np.array([0]), 50)[0] == well[0]).all()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"temperature": -0.1}, "temperature is 0"),
        ({"temperature": np.nan}, "temperature is 0"),
        ({"top_k": 0}, "at least 1 word; got 0"),
        ({"skip": [5]}, r"of 5 words, 0 to 4.*got \[5\]"),
        ({"skip": [-1]}, r"got \[-1\]"),
        ({"skip": range(5)}, "not all"),
        ({"start": np.empty(0, int)}, "at least 1 word"),
        ({"start": np.zeros((3, 1), int)}, "each of 2 networks; got 3"),
        ({"length": -1}, "0 or more"),
    ],
)
def test_what_cannot_be_drawn_by_is_told(fair, options, told):
    with pytest.raises(UserMistake, match=told):
        sample(fair, **{"start": np.array([0]), "length": 2, **options})


@pytest.mark.parametrize("options", [{}, {"cell": "gru", "tied": True, "layers": 2, "dropout": 0.5}])
def test_fused_as_alone_and_the_same_with_the_same_seed(options):
    """What a dropout or another replica does in training is nothing to a text; words (V 30) or characters (V 3)."""
    for words in (30, 3):
        build = dict(hidden=8, embed=6, **options)
        together = RnnLM(Replicas([1, 2, 3]), words, **build)
        start = np.array([1, 0, 2])
        texts = sample(together, start, 40, seed=[7, 8, 7])
        assert texts.shape == (3, 43)
        assert (texts == sample(together, start, 40, seed=[7, 8, 7])).all()
        for row, (weights, seed) in enumerate([(1, 7), (2, 8), (3, 7)]):
            alone = sample(RnnLM(Replicas([weights]), words, **build), start, 40, seed=[seed])
            assert (alone[0] == texts[row]).all()
        twins = sample(RnnLM(Replicas([1, 1]), words, **build), start, 40, seed=5)
        assert (twins[0] != twins[1]).any(), "one number gives each replica a seed of its own"
        assert (twins[:1] == sample(RnnLM(Replicas([1]), words, **build), start, 40, seed=5)).all()
        assert (twins != sample(RnnLM(Replicas([1, 1]), words, **build), start, 40, seed=6)).any()


def test_a_text_goes_on_from_all_that_came_before():
    """Word by word with the carry, greedily, is as if each time the whole text were read anew."""
    model = RnnLM(Replicas([1], dtype=np.float64), 12, hidden=8, embed=6)
    text = sample(model, np.array([3, 1]), 10, temperature=0.0)
    for at in range(2, 12):
        assert text[0, at] == sample(model, text[:, :at], 1, temperature=0.0)[0, -1]
