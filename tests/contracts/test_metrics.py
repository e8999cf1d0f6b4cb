"""Every metric passes its contract, and the contract catches the ways a metric can be wrong."""

from dataclasses import dataclass

import numpy as np
import pytest

import searchlab.metrics as metrics
from searchlab.data import Batch
from searchlab.errors import UserMistake
from searchlab.metrics import Accuracy, RootMeanSquaredError
from searchlab.testing import check_metric
from searchlab.testing.metric import _Told

CASES = {Accuracy: True, RootMeanSquaredError: False}  # by whether it judges labels


@pytest.mark.parametrize("metric", CASES)
def test_contract(metric):
    check_metric(metric(), labels=CASES[metric])


@pytest.mark.parametrize("metric", CASES)
def test_metric_refuses_the_other_kind_of_targets(metric):
    with pytest.raises(UserMistake, match=f"{metric.__name__} (counts labels|compares numbers)"):
        check_metric(metric(), labels=not CASES[metric])


def test_rmse_by_hand():
    outputs, targets = np.array([[[1.0, 2.0], [0.0, 0.0]]]), np.array([[[0.0, 0.0], [0.0, 2.0]]])
    assert RootMeanSquaredError().measure(_Told(), [Batch(outputs, targets)]) == pytest.approx([1.5])
    weight = np.array([[True, False]])
    assert RootMeanSquaredError().measure(_Told(), [Batch(outputs, targets, weight)]) == pytest.approx([2.5**0.5])


def test_every_metric_has_a_case():
    kinds = [kind for kind in vars(metrics).values() if callable(getattr(kind, "measure", None))]
    assert set(kinds) - {metrics.Metric} == set(CASES)


def test_accuracy_counts_by_hand():
    scores = np.array([[[1, 2], [3, 0], [0, 1]], [[1, 0], [0, 1], [1, 0]]], dtype=np.float32)  # says 1 0 1 and 0 1 0
    labels = np.array([[1, 1, 1], [0, 1, 1]])
    assert Accuracy().measure(_Told(), [Batch(scores, labels)]).tolist() == pytest.approx([2 / 3, 2 / 3])
    weight = np.array([[True, False, False], [False, False, True]])
    assert Accuracy().measure(_Told(), [Batch(scores, labels, weight)]).tolist() == [1.0, 0.0]


def test_accuracy_is_nan_for_infinite_scores_and_for_no_rows():
    scores = np.ones((2, 3, 2), dtype=np.float32)
    scores[1, 0, 0] = np.inf
    with np.errstate(all="ignore"):
        found = Accuracy().measure(_Told(), [Batch(scores, np.zeros((2, 3), int))])
        none = Accuracy().measure(_Told(), [Batch(scores, np.zeros((2, 3), int), np.zeros((2, 3), bool))])
    assert found[0] == 1.0
    assert np.isnan(found[1])
    assert np.isnan(none).all()


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


@pytest.mark.parametrize("metric", BROKEN)
def test_contract_catches(metric):
    with pytest.raises(AssertionError, match=BROKEN[metric]):
        check_metric(metric())


def test_contract_catches_a_metric_without_a_name():
    with pytest.raises(AssertionError, match="a metric has a name"):
        check_metric(Sound(name=""))
