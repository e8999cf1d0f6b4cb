"""word2vec: the contract of a model, and the values of its losses."""

from functools import partial

import numpy as np
import pytest

from models.word2vec import Cbow, SkipGram
from searchlab import SGD, Adam, LossPerTarget, UserMistake
from searchlab.data import Batch, Blocked, EveryRow, TokenStream, Vocabulary, WordContexts
from searchlab.nn import NegativeSampling, Parameters, Replicas
from searchlab.nn.noise_distribution import NoiseDistribution
from searchlab.testing import check_model
from searchlab.training import Trainer

V, MODELS = 12, (Cbow, SkipGram)
LETTERS = Vocabulary(tuple("abcdefghijkl"))


def letters(count=200, max_window=4):
    return WordContexts(TokenStream(np.random.default_rng(0).integers(0, V, count), LETTERS, 3), max_window)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("arguments", [{}, {"negatives": None}, {"window": 1, "negatives": 2}, {"sparse": False}])
def test_contract(model, arguments):
    check_model(partial(model, dimensions=5, **{"window": 2, **arguments}), letters())


@pytest.mark.parametrize("model", MODELS)
def test_contract_with_dropped_words(model):
    thresholds = {"subsample": (0.01, 0.05, 0.2)}
    check_model(partial(model, dimensions=5, window=2), letters(), per_replica=thresholds)


def sigmoid(z):
    return 1.0 / (1.0 + np.exp(-z))


class FixedNoise:
    """Random words that are known beforehand, (K, B) for each hidden state."""

    def __init__(self, words):
        self.words = words

    def draw(self, frequencies, count, *, train):
        return np.resize(self.words, (1, count))


def sampled_loss(h, u, target, negatives):
    others = [word for word in negatives if word != target]
    return -np.log(sigmoid(h @ u[target])) - sum(np.log(sigmoid(-h @ u[word])) for word in others)


def build(model, contexts, targets, noise, **arguments):
    """A model of one replica with large weights and fixed random words, and a batch."""
    built = model(Replicas([3], dtype=np.float64), V, dimensions=4, **arguments)
    Parameters(built.named_parameters()).values *= 100.0
    built.output.noise = FixedNoise(noise)
    return built, Batch(contexts[None], targets[None], frequencies=np.ones((1, V), int))


def test_cbow_loss():
    contexts = np.array([[1, -1], [2, 3], [4, 5], [6, -1]])  # (2 W, B)
    targets, negatives = np.array([7, 8]), np.array([[0, 1], [7, 2]])  # (K, B); the first target is drawn
    model, batch = build(Cbow, contexts, targets, negatives, window=2, negatives=2)
    v, u = model.word_vectors()[0], model.output.W.value[0]
    first = sampled_loss(v[[1, 2, 4, 6]].mean(axis=0), u, 7, [0, 7])
    second = sampled_loss(v[[3, 5]].mean(axis=0), u, 8, [1, 2])
    np.testing.assert_allclose(model.forward(batch, train=True)[0], [(first + second) / 2], rtol=1e-12)


def test_skip_gram_loss_is_the_sum_over_the_context():
    contexts, targets = np.array([[1, -1], [2, 3]]), np.array([7, 8])
    negatives = np.array([[[0, 4]], [[5, 6]]])  # (P, K, B)
    model, batch = build(SkipGram, contexts, targets, negatives, window=1, negatives=1)
    v, u = model.word_vectors()[0], model.output.W.value[0]
    first = sampled_loss(v[7], u, 1, [0]) + sampled_loss(v[7], u, 2, [5])
    second = sampled_loss(v[8], u, 3, [6])
    np.testing.assert_allclose(model.forward(batch, train=True)[0], [(first + second) / 2], rtol=1e-12)


def test_full_softmax_loss():
    contexts, targets = np.array([[1, -1], [2, 3]]), np.array([7, 8])
    for model, expected in ((Cbow, 2), (SkipGram, 3)):  # a sum of so many cross entropies, of 2 targets
        built, batch = build(model, contexts, targets, None, window=1, negatives=None)
        built.output.W.value[...] = 0.0
        np.testing.assert_allclose(built.forward(batch, train=True)[0], [expected * np.log(V) / 2], rtol=1e-12)


def test_targets_without_context_do_not_count():
    contexts, targets = np.array([[-1, 4], [-1, 5]]), np.array([7, 8])
    model, batch = build(Cbow, contexts, targets, np.array([[1, 2]]), window=1, negatives=1)
    v, u = model.word_vectors()[0], model.output.W.value[0]
    np.testing.assert_allclose(
        model.forward(batch, train=True)[0], [sampled_loss(v[[4, 5]].mean(axis=0), u, 8, [2])], rtol=1e-12
    )


def test_noise_follows_counts_to_the_power_of_three_quarters():
    counts = np.array([[0, 1, 16, 81, 0], [5, 5, 0, 0, 0]])
    drawn = NoiseDistribution(Replicas([1, 2])).draw(counts, 60_000, train=True)
    shares = np.stack([np.bincount(row, minlength=5) / drawn.shape[1] for row in drawn])
    np.testing.assert_allclose(shares, [[0, 1 / 36, 8 / 36, 27 / 36, 0], [0.5, 0.5, 0, 0, 0]], atol=0.01)


def test_noise_fused_equals_alone():
    counts = np.random.default_rng(0).integers(0, 50, (3, 40))
    together = NoiseDistribution(Replicas([1, 2, 3])).draw(counts, 1000, train=True)
    for r, seed in enumerate((1, 2, 3)):
        assert (NoiseDistribution(Replicas([seed])).draw(counts[r : r + 1], 1000, train=True) == together[r]).all()


def test_all_trials_are_scored_with_the_same_random_words():
    data = letters()
    batch = next(data.scoring_batches(EveryRow().split(data).train))
    losses = []
    for seed, negatives in ((1, 1), (2, 8)):
        model = Cbow(Replicas([seed]), V, dimensions=5, window=2, negatives=negatives)
        for parameter in (model.embedding.W, model.output.W):
            parameter.value[...] = np.random.default_rng(0).standard_normal(parameter.value.shape)
        losses += [model.forward(batch, train=False)[0].tolist() for _ in range(2)]
    assert losses == [losses[0]] * 4


def test_subsampling_drops_as_many_as_the_formula_says():
    model = Cbow(Replicas([1, 2]), 3, dimensions=2, window=1, subsample=[0.1, 0.025])
    frequencies, words = np.array([[90, 9, 1]]), np.zeros((2, 2, 5000), int)
    batch = Batch(words, np.ones((2, 5000), int), frequencies=frequencies)
    contexts, targets = model._drop_frequent(batch.x, batch.y, batch)
    kept = [(contexts >= 0).mean(axis=(1, 2)), (targets >= 0).mean(axis=1)]
    np.testing.assert_allclose(kept[0], np.sqrt([0.1 / 0.9, 0.025 / 0.9]), atol=0.02)
    np.testing.assert_allclose(kept[1], [1.0, np.sqrt(0.025 / 0.09)], atol=0.02)


@pytest.mark.parametrize("arguments", [{"dimensions": 0}, {"window": 0}, {"negatives": 0}, {"subsample": 0.0}])
@pytest.mark.parametrize("model", MODELS)
def test_wrong_arguments(model, arguments):
    with pytest.raises(UserMistake):
        model(Replicas([0]), V, **arguments)


def test_data_with_smaller_windows_or_without_contexts():
    batch = next(letters().training_batches(EveryRow().split(letters()), Replicas([0]), 5))
    with pytest.raises(UserMistake, match="max_window=5"):
        Cbow(Replicas([0]), V, window=5).forward(batch, train=True)
    with pytest.raises(UserMistake, match="ContextWindows"):
        Cbow(Replicas([0]), V).forward(Batch(batch.x, batch.y), train=True)


def trainer_of(model, optimizer, seeds=(1, 2, 3)):
    data = letters()
    split = Blocked(3).split(data)[np.arange(len(seeds))]
    model = partial(model, dimensions=5, window=2)
    return Trainer(Replicas(seeds), data, split, LossPerTarget(), model, optimizer, batch_size=10, clip_norm=1.0)


@pytest.mark.parametrize("model", MODELS)
def test_survivors_and_resumed_trainers_go_on(model):
    full, reduced, resumed = (trainer_of(model, partial(Adam, lr=0.01)) for _ in range(3))
    full.advance(), reduced.advance()
    resumed.restore(full.epoch, full.state())
    reduced.select_replicas(np.array([2, 0]))
    expected, again, rest = full.advance(), resumed.advance(), reduced.advance()
    assert again.loss.tolist() == expected.loss.tolist()
    assert again.score.tolist() == expected.score.tolist()
    assert rest.loss.tolist() == expected.loss[[2, 0]].tolist()
    assert rest.score.tolist() == expected.score[[2, 0]].tolist()


def test_training_lowers_the_held_out_loss_and_a_huge_rate_is_told():
    learning = trainer_of(Cbow, partial(SGD, lr=1.0))
    reports = [learning.advance() for _ in range(5)]
    assert (reports[-1].loss < reports[0].loss).all()
    assert not any(any(report.failures) for report in reports)
    diverging = trainer_of(Cbow, partial(SGD, lr=[1.0, 1e30, 1.0]))
    diverging.clip_norm = None
    failures = [diverging.advance().failures for _ in range(3)][-1]
    assert [bool(failure) for failure in failures] == [False, True, False]


def test_negative_sampling_reads_no_row_of_a_draw_that_hits():
    output = NegativeSampling(Replicas([1]), 2, 4, negatives=2)
    output.noise = FixedNoise(np.array([3, 1]))
    h, one = np.ones((1, 1, 2), np.float32), np.ones((1, 1, 1), np.float32)
    output.forward(h, np.array([[[3]]]), one, np.ones((1, 4)), train=True)
    output.backward()
    assert [part.rows.tolist() for part in output.W.touched()] == [[1, 3]]
