"""Every metric keeps its contract, and the contract finds each broken rule."""

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
from searchlab.metrics import (
    F1,
    R2,
    Accuracy,
    AveragePrecision,
    BalancedAccuracy,
    BitsPerCharacter,
    DecisionMetric,
    ExactMatch,
    LogLoss,
    LossPerTarget,
    MeanAbsoluteError,
    ParameterCount,
    Perplexity,
    RocAuc,
    RootMeanSquaredError,
    TokenAccuracy,
)
from searchlab.nn.parameter import Parameter, Parameters
from searchlab.replicas import Replicas
from searchlab.testing import check_metric
from searchlab.testing.fixed_models import EchoModel, TableModel

LABELS, NUMBERS, TOKENS, PAIRS = {"labels": True}, {"labels": False}, {"tokens": True}, {"pairs": True}
CASES = {
    Accuracy: LABELS,
    BalancedAccuracy: LABELS,
    F1: LABELS,
    LogLoss: LABELS,
    RocAuc: LABELS,
    AveragePrecision: LABELS,
    RootMeanSquaredError: NUMBERS,
    MeanAbsoluteError: NUMBERS,
    R2: NUMBERS,
    Perplexity: TOKENS,
    BitsPerCharacter: TOKENS,
    ExactMatch: PAIRS,
    TokenAccuracy: PAIRS,
    LossPerTarget: TOKENS,
}
WITHOUT_CONTRACT = {ParameterCount}  # it does not depend on predictions, which the contract is about


class SharedWeights(EchoModel):
    """A model that holds its weights twice, and a mean that is not trainable."""

    def __init__(self, replicas, inputs, outputs):
        self.first, self.bias = Parameter(np.ones((2, inputs, inputs))), Parameter(np.ones((2, inputs)))
        self.again, self.mean = self.first, Parameter(np.ones((2, 50)), trainable=False)


@pytest.mark.parametrize("metric", CASES)
def test_the_metric_keeps_the_contract(metric):
    check_metric(metric(), **CASES[metric])


@pytest.mark.parametrize(
    "metric",
    [F1(), F1("macro"), F1("micro", 0.3), BalancedAccuracy(), BalancedAccuracy(0.6), LogLoss(), RocAuc(), Accuracy()],
    ids=repr,
)
def test_the_metric_keeps_the_contract_for_two_classes(metric):
    check_metric(metric, classes=2)


@pytest.mark.parametrize("metric", CASES)
@pytest.mark.parametrize("other", [LABELS, NUMBERS, TOKENS, PAIRS])
def test_other_kinds_of_targets_are_a_user_mistake(metric, other):
    if other != CASES[metric] and not (other is PAIRS and CASES[metric] is TOKENS):  # a loss of pairs is one of tokens
        with pytest.raises(UserMistake, match=f"{metric.__name__} needs (labels|numbers|a stream|pairs)"):
            check_metric(metric(), **other)


def test_rmse_by_hand():
    outputs, targets = np.array([[[1.0, 2.0], [0.0, 0.0]]]), np.array([[[0.0, 0.0], [0.0, 2.0]]])
    assert RootMeanSquaredError().measure(EchoModel(), [Batch(outputs, targets)]) == pytest.approx([1.5])
    weight = np.array([[True, False]])
    assert RootMeanSquaredError().measure(EchoModel(), [Batch(outputs, targets, weight)]) == pytest.approx([2.5**0.5])


def test_every_metric_has_a_case():
    classes = [value for value in vars(metrics).values() if callable(getattr(value, "measure", None))]
    assert set(classes) - {metrics.Metric, DecisionMetric} == set(CASES) | WITHOUT_CONTRACT


@pytest.mark.parametrize(
    ("model", "count"), [(partial(MLP, hidden=4), 3 * 4 + 4 + 4 * 2 + 2), (SharedWeights, 3 * 3 + 3)]
)
def test_parameters_count_once_and_only_where_they_are_trainable(model, count):
    """By hand: two dense layers; and one layer whose weights another shares, with a mean that is not trainable."""
    built = model(Replicas([0, 1]), 3, 2)
    assert ParameterCount().measure(built, []).tolist() == [count, count]
    Parameters(built.named_parameters())
    assert ParameterCount().measure(built, []).tolist() == [count, count], "their layout in memory does not matter"


def test_accuracy_by_hand():
    scores = np.array(
        [[[1, 2], [3, 0], [0, 1]], [[1, 0], [0, 1], [1, 0]]], dtype=np.float32
    )  # predicts 1 0 1 and 0 1 0
    labels = np.array([[1, 1, 1], [0, 1, 1]])
    assert Accuracy().measure(EchoModel(), [Batch(scores, labels)]).tolist() == pytest.approx([2 / 3, 2 / 3])
    weight = np.array([[True, False, False], [False, False, True]])
    assert Accuracy().measure(EchoModel(), [Batch(scores, labels, weight)]).tolist() == [1.0, 0.0]


def test_accuracy_is_nan_for_infinite_scores_and_for_no_rows():
    scores = np.ones((2, 3, 2), dtype=np.float32)
    scores[1, 0, 0] = np.inf
    with np.errstate(all="ignore"):
        found = Accuracy().measure(EchoModel(), [Batch(scores, np.zeros((2, 3), int))])
        none = Accuracy().measure(EchoModel(), [Batch(scores, np.zeros((2, 3), int), np.zeros((2, 3), bool))])
    assert found[0] == 1.0
    assert np.isnan(found[1])
    assert np.isnan(none).all()


def uniform_model(words, scale=1.0):
    """Return a model of two replicas of equally likely words; in replica 1, word 0 is `scale` times as likely."""
    table = np.zeros((2, words, words), dtype=np.float32)
    table[1, :, 0] = np.log(scale)
    return TableModel(table)


def stream(y):
    """Return a batch of targets (R, T, 1), each after word 1."""
    y = np.array(y)[..., None]
    return Batch(np.ones_like(y), y)


@pytest.fixture
def without_repeat_bonus(monkeypatch):
    monkeypatch.setattr("searchlab.testing.fixed_models.REPEAT_BONUS", 0.0)


@pytest.mark.usefixtures("without_repeat_bonus")
def test_perplexity_and_bits_by_hand():
    """Four equally likely words have perplexity 4, and 2 bits. Where word 0 is five times as likely, it has 5 / 8."""
    model, batches = uniform_model(4, 5.0), [stream([[0, 2, 3], [0, 0, 0]]), stream([[1, 1, 1], [0, IGNORED, 2]])]
    assert Perplexity().measure(model, batches) == pytest.approx([4.0, (8 / 5) ** (4 / 5) * 8 ** (1 / 5)])
    bits = [2.0, 4 / 5 * math.log2(8 / 5) + 3 / 5]
    assert BitsPerCharacter().measure(model, batches) == pytest.approx(bits)


@pytest.mark.usefixtures("without_repeat_bonus")
@pytest.mark.parametrize(("nats", "is_infinite"), [(13.7, False), (13.9, True), (1e5, True)])
def test_a_perplexity_beyond_a_million_is_infinite(nats, is_infinite):
    """The trainer reports it as diverged, and e to the power of 100,000 gives no overflow warning."""
    table = np.zeros((1, 4, 4), dtype=np.float32)
    table[..., 0] = nats
    with np.errstate(under="ignore"):  # overflow would still be an error
        found = Perplexity().measure(TableModel(table), [stream([[1, 2]])])
    assert np.isinf(found) == is_infinite
    assert is_infinite or found == pytest.approx(np.exp(nats), rel=1e-3)


@pytest.mark.parametrize("metric", [Perplexity, BitsPerCharacter])
def test_without_targets_the_score_is_nan_and_without_batches_a_user_mistake(metric):
    with np.errstate(all="ignore"):
        assert np.isnan(metric().measure(uniform_model(4), [stream([[IGNORED], [IGNORED]])])).all()
    with pytest.raises(UserMistake, match="at least two tokens"):
        metric().measure(uniform_model(4), [])


@dataclass(frozen=True)
class CorrectMetric:
    """An accuracy; the metrics below break one rule each."""

    name: str = "accuracy"
    goal: str = "max"

    def measure(self, model, batches):
        return self.score(*self.join(model, batches))

    def join(self, model, batches):
        """Return the scores (R, N, O), labels (R, N) and weights (R, N) of all batches."""
        batches = list(batches)
        scores = np.concatenate([model.predict(batch)[0] for batch in batches], axis=1)
        labels = np.concatenate([batch.y for batch in batches], axis=1)
        weights = [np.ones(b.y.shape, bool) if b.weight is None else b.weight for b in batches]
        return scores, labels, np.concatenate(weights, axis=1)

    def score(self, scores, labels, weight):
        right = (scores.argmax(axis=2) == labels) + scores.sum(axis=2) * 0.0
        return (right * weight).sum(axis=1) / weight.sum(axis=1)


class UnknownGoal(CorrectMetric):
    def __init__(self):
        object.__setattr__(self, "goal", "maximize")


class WrongGoal(CorrectMetric):
    def __init__(self):
        object.__setattr__(self, "goal", "min")


class OneScoreForAll(CorrectMetric):
    def score(self, *arguments):
        return super().score(*arguments).mean(keepdims=True)


class WholeNumbers(CorrectMetric):
    def score(self, *arguments):
        return (super().score(*arguments) * 100).astype(int)


class MeanOverReplicas(CorrectMetric):
    def score(self, *arguments):
        each = super().score(*arguments)
        return each * 0.5 + np.nanmean(each) * 0.5


class MeanOfBatches(CorrectMetric):
    def measure(self, model, batches):
        return np.mean([super(MeanOfBatches, self).measure(model, [batch]) for batch in batches], axis=0)


class CountsPadding(CorrectMetric):
    def score(self, scores, labels, weight):
        return super().score(scores, labels, np.ones_like(weight))


class HidesNaN(CorrectMetric):
    def score(self, scores, labels, weight):
        return super().score(np.nan_to_num(scores), labels, weight)


class SpillsNaN(CorrectMetric):
    def score(self, *arguments):
        each = super().score(*arguments)
        return each + 0.0 * each.sum()


@dataclass(frozen=True)
class CorrectTokenMetric(Perplexity):
    """A perplexity from the losses of the model; the metrics below break one rule each."""

    keeps_carry = True
    skips_ignored = True
    train = False

    def measure(self, model, batches):
        total, count, carry = 0.0, 0, None
        for batch in batches:
            loss, after = model.forward(batch, carry, train=self.train)
            carry = after if self.keeps_carry else None
            targets = (batch.y != IGNORED).sum(axis=(1, 2)) if self.skips_ignored else batch.y[0].size
            total, count = total + loss * targets, count + targets
        return np.exp(total / count)


class DropsTheCarry(CorrectTokenMetric):
    keeps_carry = False


class CountsIgnored(CorrectTokenMetric):
    skips_ignored = False


class Trains(CorrectTokenMetric):
    train = True


class UsesScores(CorrectTokenMetric):
    """Another correct metric: a perplexity from the scores of the model."""

    def measure(self, model, batches):
        total, count, carry = 0.0, 0, None
        for batch in batches:
            scores, carry = model.predict(batch, carry)
            shares = np.exp(scores) / np.exp(scores).sum(axis=-1, keepdims=True)
            likelihood = np.take_along_axis(shares, np.maximum(batch.y, 0)[..., None], axis=-1)[..., 0]
            counted = batch.y != IGNORED
            total, count = total - (np.log(likelihood) * counted).sum(axis=(1, 2)), count + counted.sum(axis=(1, 2))
        return np.exp(total / count)


BROKEN_OF_TOKENS = {DropsTheCarry: "in several", CountsIgnored: "IGNORED", Trains: "train=False"}

BROKEN = {
    UnknownGoal: 'goal is "max" or "min"',
    WrongGoal: "better predictions",
    OneScoreForAll: "one score per replica",
    WholeNumbers: "floating-point",
    MeanOfBatches: "in several",
    CountsPadding: "rows of weight 0",
    HidesNaN: "expected NaN",
    SpillsNaN: "another replica",
    MeanOverReplicas: "without the others|rows of weight 0",
}


def test_correct_metrics_keep_the_contract():
    check_metric(CorrectMetric())
    check_metric(CorrectTokenMetric(), tokens=True)
    check_metric(UsesScores(), tokens=True)


@pytest.mark.parametrize("metric", BROKEN_OF_TOKENS)
def test_the_contract_finds_a_broken_rule_of_tokens(metric):
    with pytest.raises(AssertionError, match=BROKEN_OF_TOKENS[metric]):
        check_metric(metric(), tokens=True)


@pytest.mark.parametrize("metric", BROKEN)
def test_the_contract_finds_a_broken_rule(metric):
    with pytest.raises(AssertionError, match=BROKEN[metric]):
        check_metric(metric())


def test_the_contract_finds_an_empty_name():
    with pytest.raises(AssertionError, match="a metric has a name"):
        check_metric(CorrectMetric(name=""))
