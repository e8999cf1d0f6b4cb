"""Every metric passes its contract, and the contract catches the ways a metric can be wrong."""

import math
from dataclasses import dataclass
from functools import partial

import numpy as np
import pytest

import searchlab.metrics as metrics
from models.mlp import MLP
from searchlab.data import Batch
from searchlab.data.batch import IGNORED
from searchlab.errors import UserMistake
from searchlab.metrics import Accuracy, BitsPerCharacter, ParameterCount, Perplexity, RootMeanSquaredError
from searchlab.nn.parameter import Parameter, Parameters
from searchlab.replicas import Replicas
from searchlab.testing import check_metric
from searchlab.testing.told import Foretold, Told

LABELS, NUMBERS, TOKENS = {"labels": True}, {"labels": False}, {"tokens": True}
CASES = {Accuracy: LABELS, RootMeanSquaredError: NUMBERS, Perplexity: TOKENS, BitsPerCharacter: TOKENS}
OF_THE_NETWORK = {ParameterCount}  # they judge no predictions, which is what the contract asks about


class Tied(Told):
    """Holds its weights twice, and a mean that is not learned."""

    def __init__(self, replicas, inputs, outputs):
        self.first, self.bias = Parameter(np.ones((2, inputs, inputs))), Parameter(np.ones((2, inputs)))
        self.again, self.mean = self.first, Parameter(np.ones((2, 50)), learned=False)


@pytest.mark.parametrize("metric", CASES)
def test_contract(metric):
    check_metric(metric(), **CASES[metric])


@pytest.mark.parametrize("metric", CASES)
@pytest.mark.parametrize("other", [LABELS, NUMBERS, TOKENS])
def test_metric_refuses_the_other_kinds_of_targets(metric, other):
    if other != CASES[metric]:
        with pytest.raises(UserMistake, match=f"{metric.__name__} (counts labels|compares numbers|judges what)"):
            check_metric(metric(), **other)


def test_rmse_by_hand():
    outputs, targets = np.array([[[1.0, 2.0], [0.0, 0.0]]]), np.array([[[0.0, 0.0], [0.0, 2.0]]])
    assert RootMeanSquaredError().measure(Told(), [Batch(outputs, targets)]) == pytest.approx([1.5])
    weight = np.array([[True, False]])
    assert RootMeanSquaredError().measure(Told(), [Batch(outputs, targets, weight)]) == pytest.approx([2.5**0.5])


def test_every_metric_has_a_case():
    kinds = [kind for kind in vars(metrics).values() if callable(getattr(kind, "measure", None))]
    assert set(kinds) - {metrics.Metric} == set(CASES) | OF_THE_NETWORK


@pytest.mark.parametrize(("model", "count"), [(partial(MLP, hidden=4), 3 * 4 + 4 + 4 * 2 + 2), (Tied, 3 * 3 + 3)])
def test_weights_are_counted_once_and_only_where_they_are_learned(model, count):
    """By hand: two dense layers; and one whose weights another shares, with a running mean that nobody learns."""
    built = model(Replicas([0, 1]), 3, 2)
    assert ParameterCount().measure(built, []).tolist() == [count, count]
    Parameters(built.parameters())
    assert ParameterCount().measure(built, []).tolist() == [count, count], "laid out side by side they are no more"


def test_accuracy_counts_by_hand():
    scores = np.array([[[1, 2], [3, 0], [0, 1]], [[1, 0], [0, 1], [1, 0]]], dtype=np.float32)  # says 1 0 1 and 0 1 0
    labels = np.array([[1, 1, 1], [0, 1, 1]])
    assert Accuracy().measure(Told(), [Batch(scores, labels)]).tolist() == pytest.approx([2 / 3, 2 / 3])
    weight = np.array([[True, False, False], [False, False, True]])
    assert Accuracy().measure(Told(), [Batch(scores, labels, weight)]).tolist() == [1.0, 0.0]


def test_accuracy_is_nan_for_infinite_scores_and_for_no_rows():
    scores = np.ones((2, 3, 2), dtype=np.float32)
    scores[1, 0, 0] = np.inf
    with np.errstate(all="ignore"):
        found = Accuracy().measure(Told(), [Batch(scores, np.zeros((2, 3), int))])
        none = Accuracy().measure(Told(), [Batch(scores, np.zeros((2, 3), int), np.zeros((2, 3), bool))])
    assert found[0] == 1.0
    assert np.isnan(found[1])
    assert np.isnan(none).all()


def even(words, scale=1.0):
    """A model (2, V, V) that gives each word but word 0 the score 0, and that one `scale` times more in replica 1."""
    table = np.zeros((2, words, words), dtype=np.float32)
    table[1, :, 0] = np.log(scale)
    return Foretold(table)


def stream(y):
    """Targets (R, T, 1), each after word 1."""
    y = np.array(y)[..., None]
    return Batch(np.ones_like(y), y)


@pytest.fixture
def forgetful(monkeypatch):
    monkeypatch.setattr("searchlab.testing.told.REMEMBERED", 0.0)


@pytest.mark.usefixtures("forgetful")
def test_perplexity_and_bits_by_hand():
    """Four words: all alike they are a perplexity of 4, and 2 bits. With word 0 five times as likely it has 5 / 8."""
    model, batches = even(4, 5.0), [stream([[0, 2, 3], [0, 0, 0]]), stream([[1, 1, 1], [0, IGNORED, 2]])]
    assert Perplexity().measure(model, batches) == pytest.approx([4.0, (8 / 5) ** (4 / 5) * 8 ** (1 / 5)])
    bits = [2.0, 4 / 5 * math.log2(8 / 5) + 3 / 5]
    assert BitsPerCharacter().measure(model, batches) == pytest.approx(bits)


@pytest.mark.usefixtures("forgetful")
@pytest.mark.parametrize(("nats", "infinite"), [(13.7, False), (13.9, True), (1e5, True)])
def test_a_perplexity_beyond_a_million_is_infinite(nats, infinite):
    """The trainer calls that diverged; e to 100,000 is no warning either."""
    table = np.zeros((1, 4, 4), dtype=np.float32)
    table[..., 0] = nats
    with np.errstate(under="ignore"):  # overflow would still be an error
        found = Perplexity().measure(Foretold(table), [stream([[1, 2]])])
    assert np.isinf(found) == infinite
    assert infinite or found == pytest.approx(np.exp(nats), rel=1e-3)


@pytest.mark.parametrize("metric", [Perplexity, BitsPerCharacter])
def test_of_no_targets_there_is_no_perplexity(metric):
    with np.errstate(all="ignore"):
        assert np.isnan(metric().measure(even(4), [stream([[IGNORED], [IGNORED]])])).all()
    with pytest.raises(UserMistake, match="at least two tokens"):
        metric().measure(even(4), [])


@dataclass(frozen=True)
class Sound:
    """The broken metrics below differ from it in one respect."""

    name: str = "share right"
    goal: str = "max"

    def measure(self, model, batches):
        return self.judge(*self.gather(model, batches))

    def gather(self, model, batches):
        """All scores (R, N, O), labels and weights (R, N) of the batches."""
        batches = list(batches)
        scores = np.concatenate([model.predict(batch)[0] for batch in batches], axis=1)
        labels = np.concatenate([batch.y for batch in batches], axis=1)
        weights = [np.ones(b.y.shape, bool) if b.weight is None else b.weight for b in batches]
        return scores, labels, np.concatenate(weights, axis=1)

    def judge(self, scores, labels, weight):
        right = (scores.argmax(axis=2) == labels) + scores.sum(axis=2) * 0.0
        return (right * weight).sum(axis=1) / weight.sum(axis=1)


class OtherGoal(Sound):
    def __init__(self):
        object.__setattr__(self, "goal", "maximize")


class WrongGoal(Sound):
    def __init__(self):
        object.__setattr__(self, "goal", "min")


class OneForAll(Sound):
    def judge(self, *given):
        return super().judge(*given).mean(keepdims=True)


class WholeNumbers(Sound):
    def judge(self, *given):
        return (super().judge(*given) * 100).astype(int)


class MeanOverReplicas(Sound):
    def judge(self, *given):
        each = super().judge(*given)
        return each * 0.5 + np.nanmean(each) * 0.5


class MeanOfBatches(Sound):
    def measure(self, model, batches):
        return np.mean([super(MeanOfBatches, self).measure(model, [batch]) for batch in batches], axis=0)


class CountsPadding(Sound):
    def judge(self, scores, labels, weight):
        return super().judge(scores, labels, np.ones_like(weight))


class HidesNaN(Sound):
    def judge(self, scores, labels, weight):
        return super().judge(np.nan_to_num(scores), labels, weight)


class SpillsNaN(Sound):
    def judge(self, *given):
        each = super().judge(*given)
        return each + 0.0 * each.sum()


@dataclass(frozen=True)
class SoundOfTokens(Perplexity):
    """Asks for losses; the broken ones below are like it."""

    carries = True
    counts = True
    train = False

    def measure(self, model, batches):
        total, count, carry = 0.0, 0, None
        for batch in batches:
            loss, after = model.forward(batch, carry, train=self.train)
            carry = after if self.carries else None
            number = (batch.y != IGNORED).sum(axis=(1, 2)) if self.counts else batch.y[0].size
            total, count = total + loss * number, count + number
        return np.exp(total / count)


class ForgetsTheCarry(SoundOfTokens):
    carries = False


class CountsIgnored(SoundOfTokens):
    counts = False


class Trains(SoundOfTokens):
    train = True


class AsksForScores(SoundOfTokens):
    """Sound too."""

    def measure(self, model, batches):
        total, count, carry = 0.0, 0, None
        for batch in batches:
            scores, carry = model.predict(batch, carry)
            shares = np.exp(scores) / np.exp(scores).sum(axis=-1, keepdims=True)
            at_label = np.take_along_axis(shares, np.maximum(batch.y, 0)[..., None], axis=-1)[..., 0]
            counted = batch.y != IGNORED
            total, count = total - (np.log(at_label) * counted).sum(axis=(1, 2)), count + counted.sum(axis=(1, 2))
        return np.exp(total / count)


BROKEN_OF_TOKENS = {ForgetsTheCarry: "in several", CountsIgnored: "IGNORED", Trains: "train=False"}

BROKEN = {
    OtherGoal: 'goal is "max" or "min"',
    WrongGoal: "predictions made better",
    OneForAll: "one score per replica",
    WholeNumbers: "floating-point",
    MeanOfBatches: "in several",
    CountsPadding: "rows of weight 0",
    HidesNaN: "NaN is due",
    SpillsNaN: "another replica",
    MeanOverReplicas: "without the others|rows of weight 0",
}


def test_the_sound_twin_of_the_broken_metrics_passes():
    check_metric(Sound())
    check_metric(SoundOfTokens(), tokens=True)
    check_metric(AsksForScores(), tokens=True)


@pytest.mark.parametrize("metric", BROKEN_OF_TOKENS)
def test_contract_catches_of_a_stream(metric):
    with pytest.raises(AssertionError, match=BROKEN_OF_TOKENS[metric]):
        check_metric(metric(), tokens=True)


@pytest.mark.parametrize("metric", BROKEN)
def test_contract_catches(metric):
    with pytest.raises(AssertionError, match=BROKEN[metric]):
        check_metric(metric())


def test_contract_catches_a_metric_without_a_name():
    with pytest.raises(AssertionError, match="a metric has a name"):
        check_metric(Sound(name=""))
