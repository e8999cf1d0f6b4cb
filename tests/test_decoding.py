"""Greedy decoding and beam search against straightforward searches of the same model."""

from itertools import pairwise, product

import numpy as np
import pytest

from searchlab.data.batch import IGNORED
from searchlab.data.sequence_pairs import END_ID, START_ID
from searchlab.errors import UserMistake
from searchlab.nn import beam_search

R, B, V, LENGTH = 2, 3, 4, 4


class MarkovDecoder:
    """A decoder whose scores depend on the token before, the time step and the row; its state counts the steps."""

    def __init__(self, seed=0, ends=True):
        self.table = np.random.default_rng(seed).standard_normal((R, B, LENGTH, V, V)) * 2.0
        if not ends:
            self.table[..., END_ID] = -np.inf

    def step(self, tokens, state):
        (steps,) = state  # (R, N, 2): the time step, and the row
        t, row = steps[..., 0].astype(int), steps[..., 1].astype(int)
        scores = self.table[np.arange(R)[:, None], row, t, tokens]
        return scores, (steps + np.array([1.0, 0.0]),)

    def start(self, beam):
        rows = np.repeat(np.arange(B), beam)
        return (np.broadcast_to(np.stack([np.zeros(B * beam), rows], axis=-1), (R, B * beam, 2)).copy(),)

    def log_probability(self, r, b, sequence):
        total, before = 0.0, START_ID
        for t, token in enumerate(sequence):
            scores = self.table[r, b, t, before]
            total += scores[token] - np.log(np.exp(scores).sum())
            before = token
        return total

    def sequences(self):
        """Return all sequences that end, or have the full length."""
        for length in range(1, LENGTH + 1):
            for tokens in product(range(1, V), repeat=length - 1):
                yield (*tokens, END_ID)
        yield from product(range(1, V), repeat=LENGTH)


def decode(decoder, beam, **options):
    return beam_search(decoder.step, decoder.start(beam), max_length=LENGTH, beam=beam, **options)


def written(decoded, r, b):
    ids = decoded.ids[r, :, b]
    return tuple(ids[ids != IGNORED].tolist())


@pytest.mark.parametrize("seed", range(5))
def test_a_beam_of_one_is_greedy(seed):
    decoder = MarkovDecoder(seed)
    decoded = decode(decoder, 1)
    for r, b in product(range(R), range(B)):
        sequence, before = [], START_ID
        while len(sequence) < LENGTH and before != END_ID:
            before = int(decoder.table[r, b, len(sequence), before].argmax())
            sequence.append(before)
        assert written(decoded, r, b) == tuple(sequence)
        assert decoded.log_probabilities[r, b] == pytest.approx(decoder.log_probability(r, b, sequence))


@pytest.mark.parametrize("length_penalty", [0.0, 1.0])
@pytest.mark.parametrize("seed", range(5))
def test_a_beam_that_keeps_all_hypotheses_finds_the_best_sequence(seed, length_penalty):
    decoder = MarkovDecoder(seed)
    decoded = decode(decoder, V**LENGTH, length_penalty=length_penalty)
    for r, b in product(range(R), range(B)):
        best = max(decoder.sequences(), key=lambda s: decoder.log_probability(r, b, s) / len(s) ** length_penalty)
        assert written(decoded, r, b) == best
        assert decoded.log_probabilities[r, b] == pytest.approx(decoder.log_probability(r, b, best))


@pytest.mark.parametrize("seed", range(5))
def test_a_wider_beam_is_never_worse_at_fixed_length(seed):
    decoder = MarkovDecoder(seed, ends=False)
    with np.errstate(all="ignore"):
        found = [decode(decoder, beam).log_probabilities for beam in (1, 2, 4, 16, 64)]
    for narrow, wide in pairwise(found):
        assert (wide >= narrow - 1e-12).all()


def test_nothing_follows_an_end_mark_and_the_width_is_the_limit():
    decoded = decode(MarkovDecoder(), 2)
    assert decoded.ids.shape == (R, LENGTH, B)
    is_end = decoded.ids == END_ID
    after = is_end.cumsum(axis=1) - is_end > 0
    assert after.any()
    assert (decoded.ids[after] == IGNORED).all()


@pytest.mark.parametrize("beam", [1, 3])
def test_nan_stays_in_its_replica(beam):
    decoder, expected = MarkovDecoder(), decode(MarkovDecoder(), beam)
    decoder.table[0] = np.nan
    with np.errstate(all="ignore"):
        decoded = decode(decoder, beam)
    assert np.isnan(decoded.log_probabilities[0]).all()
    assert (decoded.ids[1] == expected.ids[1]).all()
    assert (decoded.log_probabilities[1] == expected.log_probabilities[1]).all()


def test_a_beam_has_a_hypothesis():
    with pytest.raises(UserMistake, match="a beam has at least 1 hypothesis, got 0"):
        decode(MarkovDecoder(), 0)
