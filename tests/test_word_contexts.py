"""Words with contexts: what a batch holds, and where contexts end."""

import numpy as np
import pytest

from searchlab import Blocked, ContextWindows, Digits, Text, UserMistake
from searchlab.data import EveryRow, TokenStream, Vocabulary, WordContexts
from searchlab.replicas import Replicas
from searchlab.testing import check_dataset

WORDS = 400


@pytest.fixture
def text(tmp_path):
    rng = np.random.default_rng(0)
    path = tmp_path / "text.txt"
    path.write_text(" ".join(rng.choice(list("abcdefghij"), WORDS)))
    return Text(path, window=2)


def contexts_of(words, max_window):
    return WordContexts(TokenStream(words, Vocabulary(tuple(map(str, range(10)))), 1), max_window)


def test_contract(text):
    check_dataset(ContextWindows(text, max_window=3))


def test_context_stops_at_a_held_out_block():
    data = contexts_of(np.arange(9), 2)
    split = Blocked(3).split(data)
    batch = next(data.scoring_batches(split.train[np.array([1])]))  # words 0 to 2 and 6 to 8
    assert batch.y[0, :6].tolist() == [0, 1, 2, 6, 7, 8]
    assert batch.x[0, :, 2].tolist() == [0, 1, -1, -1]
    assert batch.x[0, :, 3].tolist() == [-1, -1, 7, 8]
    assert (batch.y[0, 6:] == -1).all()


def test_a_word_alone_in_its_block_is_no_target():
    data = contexts_of(np.arange(3), 2)
    batch = next(data.scoring_batches(Blocked(3).split(data).held_out))
    assert (batch.y == -1).all()


def test_test_part_has_frequencies_of_training_part(text):
    data = ContextWindows(text)
    training, test = data.training(), data.testing()
    assert np.array_equal(test.frequencies, training.frequencies)
    assert test.frequencies.sum() == len(training)


def test_survivors_keep_their_frequencies(text):
    data = ContextWindows(text).training()
    split = Blocked(3).split(data)
    fitted = data.fitted(split)
    expected = fitted.frequencies[[2, 0]]
    fitted.select_replicas(np.array([2, 0]))
    assert np.array_equal(fitted.frequencies, expected)
    batch = next(fitted.training_batches(split[np.array([2, 0])], Replicas([1, 2]), 5))
    assert np.array_equal(batch.frequencies, expected)


def test_batches_are_shuffled_and_complete():
    data = contexts_of(np.arange(10), 1)
    batches = list(data.training_batches(EveryRow().split(data), Replicas([5]), 3))
    targets = np.concatenate([batch.y[0] for batch in batches])
    assert len(batches) == 3
    assert len(set(targets.tolist())) == 9
    assert targets.tolist() != sorted(targets.tolist())
    for batch in batches:
        assert (batch.x[0, 1] == np.where(batch.y[0] == 9, -1, batch.y[0] + 1)).all()


@pytest.mark.parametrize("arguments", [{"max_window": 0}, {"max_window": 2.5}, {"text": "novel.txt"}])
def test_wrong_arguments(text, arguments):
    with pytest.raises(UserMistake):
        ContextWindows(**{"text": text, **arguments})


def test_data_that_is_no_text():
    with pytest.raises(UserMistake, match="text"):
        ContextWindows(Digits()).training()
