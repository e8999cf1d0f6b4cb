"""Text generation: it follows the model's distribution, and each replica writes by its own seed, fused as alone."""

import numpy as np
import pytest

from models.rnn_lm import RnnLM
from searchlab.errors import UserMistake
from searchlab.nn import Model, Parameter
from searchlab.nn.generation import generate
from searchlab.replicas import Replicas

PROBABILITIES = np.array([0.5, 0.2, 0.15, 0.1, 0.05])


class FixedScores(Model):
    """A model with the same scores (R, V) at each time step; its carry counts the calls."""

    def __init__(self, scores):
        self.scores, self.calls = Parameter(np.asarray(scores, dtype=np.float32)), []

    def forward(self, batch, carry=None, *, train):
        raise AssertionError("generation does not train")

    def backward(self):
        raise AssertionError("generation does not train")

    def predict(self, batch, carry=None):
        self.calls.append((batch.x[0, :, 0].tolist(), carry))
        R, T, B = batch.x.shape
        return np.broadcast_to(self.scores.value[:, None, None], (R, T, B, self.scores.value.shape[1])), len(self.calls)


def frequencies(model, count=4000, **options):
    """Return the relative frequency (R, V) of each word among the drawn ones."""
    drawn = generate(model, np.array([0]), count, **options)[:, 1:]
    return np.stack([np.bincount(row, minlength=len(PROBABILITIES)) for row in drawn]) / count


@pytest.fixture
def model():
    return FixedScores([np.log(PROBABILITIES), np.log(PROBABILITIES[::-1])])


def test_words_follow_the_models_probabilities(model):
    """With 4,000 draws the standard deviation of a frequency is at most 0.008; the tolerance is three times that."""
    assert frequencies(model) == pytest.approx(np.stack([PROBABILITIES, PROBABILITIES[::-1]]), abs=0.024)


@pytest.mark.parametrize("temperature", [0.5, 2.0])
def test_temperature_changes_the_distribution(model, temperature):
    expected = PROBABILITIES ** (1 / temperature)
    assert frequencies(model, temperature=temperature)[0] == pytest.approx(expected / expected.sum(), abs=0.024)


def test_top_k_draws_from_the_likeliest_words(model):
    expected = np.array([[0.5, 0.2, 0, 0, 0], [0, 0, 0, 0.2, 0.5]]) / 0.7
    assert frequencies(model, top_k=2) == pytest.approx(expected, abs=0.024)
    assert frequencies(model, top_k=9) == pytest.approx(frequencies(model))


@pytest.mark.parametrize("greedy", [{"temperature": 0.0}, {"top_k": 1}, {"temperature": 1e-300}])
def test_greedy_generation_takes_the_likeliest_word(model, greedy):
    assert generate(model, np.array([3, 3]), 5, **greedy).tolist() == [[3, 3] + [0] * 5, [3, 3] + [4] * 5]


@pytest.mark.parametrize("options", [{}, {"temperature": 0.0}, {"top_k": 4}, {"temperature": 1e-300}, {"top_k": 1}])
def test_skipped_ids_are_never_drawn(model, options):
    drawn = generate(model, np.array([0]), 500, skip_ids=(0, 4), **options)[:, 1:]
    assert set(np.unique(drawn)) <= {1, 2, 3}


def test_the_model_reads_the_prompt_at_once_and_then_word_by_word(model):
    ids = generate(model, np.array([[1, 2, 3], [4, 0, 1]]), 3)
    assert ids[:, :3].tolist() == [[1, 2, 3], [4, 0, 1]]
    assert model.calls == [([1, 2, 3], None), ([int(ids[0, 3])], 1), ([int(ids[0, 4])], 2)]
    assert generate(model, np.array([1]), 0).tolist() == [[1], [1]]


def test_nan_scores_stay_in_their_replica(model):
    finite = generate(model, np.array([0]), 50)
    with_nan = generate(FixedScores([np.log(PROBABILITIES), np.full(5, np.nan)]), np.array([0]), 50, skip_ids=(0,))
    assert with_nan[1, 1:].min() >= 1
    infinite = FixedScores([np.log(PROBABILITIES), [np.inf, np.nan, 0, 0, -np.inf]])
    assert (generate(infinite, np.array([0]), 50)[0] == finite[0]).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temperature": -0.1}, "temperature is finite and at least 0"),
        ({"temperature": np.nan}, "temperature is finite and at least 0"),
        ({"top_k": 0}, "at least 1 word; got 0"),
        ({"skip_ids": [5]}, r"5 ids 0 to 4; got \[5\]"),
        ({"skip_ids": [-1]}, r"got \[-1\]"),
        ({"skip_ids": range(5)}, "some, not all"),
        ({"prompt": np.empty(0, int)}, "at least 1 word"),
        ({"prompt": np.zeros((3, 1), int)}, "each of 2 networks; got 3"),
        ({"length": -1}, "0 or more"),
    ],
)
def test_invalid_arguments_raise(model, options, message):
    with pytest.raises(UserMistake, match=message):
        generate(model, **{"prompt": np.array([0]), "length": 2, **options})


@pytest.mark.parametrize("options", [{}, {"cell": "gru", "tied": True, "layers": 2, "dropout": 0.5}])
def test_fused_equals_alone_and_a_seed_repeats_its_text(options):
    """A text depends neither on dropout nor on other replicas, for words (V = 30) and for characters (V = 3)."""
    for vocabulary_size in (30, 3):
        arguments = dict(hidden=8, embed=6, **options)
        fused = RnnLM(Replicas([1, 2, 3]), vocabulary_size, **arguments)
        prompt = np.array([1, 0, 2])
        texts = generate(fused, prompt, 40, seed=[7, 8, 7])
        assert texts.shape == (3, 43)
        assert (texts == generate(fused, prompt, 40, seed=[7, 8, 7])).all()
        for row, (weights, seed) in enumerate([(1, 7), (2, 8), (3, 7)]):
            alone = generate(RnnLM(Replicas([weights]), vocabulary_size, **arguments), prompt, 40, seed=[seed])
            assert (alone[0] == texts[row]).all()
        single, pair = (RnnLM(Replicas(seeds), vocabulary_size, **arguments) for seeds in ([1], [1, 1]))
        pair_texts = generate(pair, prompt, 40, seed=5)
        assert (pair_texts[0] != pair_texts[1]).any(), "one number gives each replica a seed of its own"
        assert (pair_texts[:1] == generate(single, prompt, 40, seed=5)).all()
        assert (pair_texts != generate(pair, prompt, 40, seed=6)).any()


def test_the_carry_stands_for_the_text_so_far():
    """Greedy generation word by word with the carry equals reading the whole text again for each word."""
    model = RnnLM(Replicas([1], dtype=np.float64), 12, hidden=8, embed=6)
    text = generate(model, np.array([3, 1]), 10, temperature=0.0)
    for t in range(2, 12):
        assert text[0, t] == generate(model, text[:, :t], 1, temperature=0.0)[0, -1]
