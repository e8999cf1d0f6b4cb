"""The metrics of classes and of numbers against scikit-learn's, per replica, with weights and padding."""

import warnings

import numpy as np
import pytest
from sklearn import metrics as oracle

from searchlab.data import Batch
from searchlab.metrics import (
    F1,
    R2,
    AveragePrecision,
    BalancedAccuracy,
    LogLoss,
    MeanAbsoluteError,
    RocAuc,
    RootMeanSquaredError,
)
from searchlab.metrics.threshold import best_threshold, cross_fitted_decisions
from searchlab.nn.class_probabilities import positive_probability, softmax
from searchlab.testing.fixed_models import EchoModel

REPLICAS, ROWS, BATCH = 4, 200, 64


def label_case(classes, *, weighted, rare=False, seed=0):
    """Return scores (R, N, C), labels (R, N) and weights (R, N); scores are rounded, so that some are equal."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(classes, size=(REPLICAS, ROWS))
    if rare:
        labels = (generator.random((REPLICAS, ROWS)) < 0.07).astype(np.int64)
    scores = generator.standard_normal((REPLICAS, ROWS, classes)) + 0.8 * np.eye(classes)[labels]
    scores[..., 0] += 1.5 * rare
    weights = generator.random((REPLICAS, ROWS)) * 3.0 if weighted else np.ones((REPLICAS, ROWS))
    weights[0, 150:] = 0.0  # padding of a replica with fewer rows
    return scores.round(1), labels, weights


def measured(metric, x, y, weights):
    cuts = [slice(start, start + BATCH) for start in range(0, x.shape[1], BATCH)]
    return metric.measure(EchoModel(), [Batch(x[:, cut], y[:, cut], weights[:, cut]) for cut in cuts])


def expected(of_replica, x, y, weights):
    """Return the oracle's score of each replica, from the rows with a weight."""
    rows = weights > 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [of_replica(y[r][rows[r]], x[r][rows[r]], weights[r][rows[r]]) for r in range(len(x))]


def f1(average):
    return lambda y, s, w: oracle.f1_score(y, s.argmax(axis=1), average=average, sample_weight=w, zero_division=0)


def balanced(y, s, w):
    return oracle.balanced_accuracy_score(y, s.argmax(axis=1), sample_weight=w)


def log_loss(y, s, w):
    return oracle.log_loss(y, softmax(s), sample_weight=w, labels=range(s.shape[1]))


def roc_auc(y, s, w):
    if s.shape[1] == 2:
        return oracle.roc_auc_score(y, s[:, 1] - s[:, 0], sample_weight=w)
    return oracle.roc_auc_score(y, softmax(s), sample_weight=w, multi_class="ovr")


def average_precision(y, s, w):
    truth, scores = (y == 1, s[:, 1] - s[:, 0]) if s.shape[1] == 2 else (np.eye(s.shape[1])[y], softmax(s))
    return oracle.average_precision_score(truth, scores, sample_weight=w)


OF_CLASSES = [
    (F1("macro", 0.5), f1("macro"), 2),
    (F1("micro", 0.5), f1("micro"), 2),
    (F1("weighted", 0.5), f1("weighted"), 2),
    (F1(threshold=0.5), f1("binary"), 2),
    (F1(), f1("macro"), 5),
    (F1("micro"), f1("micro"), 5),
    (F1("weighted"), f1("weighted"), 5),
    (BalancedAccuracy(0.5), balanced, 2),
    (BalancedAccuracy(), balanced, 5),
    (LogLoss(), log_loss, 2),
    (LogLoss(), log_loss, 5),
    (RocAuc(), roc_auc, 2),
    (RocAuc(), roc_auc, 5),
    (AveragePrecision(), average_precision, 2),
    (AveragePrecision(), average_precision, 5),
]


@pytest.mark.parametrize("weighted", [False, True], ids=["rows", "weights"])
@pytest.mark.parametrize(
    ("metric", "of_replica", "classes"), OF_CLASSES, ids=lambda value: getattr(value, "__qualname__", repr(value)[:60])
)
def test_metrics_of_classes_agree_with_scikit_learn(metric, of_replica, classes, weighted):
    case = label_case(classes, weighted=weighted)
    case[0][..., 0] += 1e-6  # where scores are equal, argmax takes class 0, and a threshold of 0.5 class 1
    assert measured(metric, *case) == pytest.approx(expected(of_replica, *case), rel=1e-12)


@pytest.mark.parametrize("weighted", [False, True], ids=["rows", "weights"])
@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_metrics_of_numbers_agree_with_scikit_learn(weighted, offset):
    generator = np.random.default_rng(1)
    y = generator.standard_normal((REPLICAS, ROWS, 3)) + offset
    x = y + 0.5 * generator.standard_normal(y.shape)
    _, _, weights = label_case(2, weighted=weighted)
    for metric, function in (
        (MeanAbsoluteError(), oracle.mean_absolute_error),
        (R2(), oracle.r2_score),
        (RootMeanSquaredError(), lambda *a, **k: oracle.mean_squared_error(*a, **k) ** 0.5),
    ):
        found = expected(lambda t, p, w, f=function: f(t, p, sample_weight=w), x, y, weights)
        assert measured(metric, x, y, weights) == pytest.approx(found, rel=1e-8)


def test_r2_of_equal_targets_is_that_of_scikit_learn():
    y = np.ones((2, 4, 1))
    x = np.concatenate([y[:1], y[1:] * 2.0])
    assert measured(R2(), x, y, np.ones((2, 4))).tolist() == [1.0, 0.0]
    assert [oracle.r2_score(y[r], x[r]) for r in range(2)] == [1.0, 0.0]


@pytest.mark.parametrize(
    ("metric", "function", "value"),
    [
        (F1(threshold=0.5), f1("binary"), 0.0),
        (BalancedAccuracy(0.5), balanced, None),
        (AveragePrecision(), average_precision, 0.0),
        (LogLoss(), log_loss, None),
    ],
)
def test_a_fold_without_positive_rows_scores_as_in_scikit_learn(metric, function, value):
    scores, labels, weights = label_case(2, weighted=False)
    labels[:], scores[..., 0] = 0, scores[..., 0] + 1e-6
    found = measured(metric, scores, labels, weights)
    assert found == pytest.approx(expected(function, scores, labels, weights))
    assert value is None or found.tolist() == [value] * REPLICAS


def test_the_area_of_a_fold_without_positive_rows_is_not_a_number():
    scores, labels, weights = label_case(2, weighted=False)
    labels[2] = 0
    assert np.isnan(measured(RocAuc(), scores, labels, weights)).tolist() == [False, False, True, False]


@pytest.mark.parametrize("metric", [F1(), F1("macro"), BalancedAccuracy()], ids=repr)
@pytest.mark.parametrize("weighted", [False, True])
def test_no_threshold_is_better_than_the_best_one(metric, weighted):
    scores, labels, weights = (each[1] for each in label_case(2, weighted=weighted, rare=True))
    probabilities = positive_probability(scores)
    chosen = best_threshold(probabilities, labels, weights, metric.score)

    def score(threshold):
        fixed = metric.with_threshold(float(threshold))
        return measured(fixed, scores[None], labels[None], weights[None])[0]

    every = [score(t) for t in np.unique(np.concatenate([probabilities, [0.0, 1.0]]))[::2]]
    assert score(chosen) >= max(every) - 1e-9


def test_each_fifth_of_the_rows_is_judged_by_the_best_threshold_of_the_others():
    scores, labels, weights = (each[1] for each in label_case(2, weighted=True, rare=True))
    probabilities = positive_probability(scores)
    decided = cross_fitted_decisions(probabilities, labels, weights, F1().score)
    order = np.concatenate([np.flatnonzero(labels == c) for c in (0, 1)])  # dealt out in turn, class by class
    for part in range(5):
        own = order[part::5]
        others = np.setdiff1d(np.arange(ROWS), own)
        threshold = best_threshold(probabilities[others], labels[others], weights[others], F1().score)
        assert (decided[own] == (probabilities[own] >= threshold)).all()


def test_chance_has_no_better_score_by_the_best_threshold():
    """Scores that say nothing: the best threshold on the same rows would score 0.6 here."""
    generator = np.random.default_rng(0)
    scores = generator.standard_normal((200, 100, 2))
    labels = (np.arange(100) % 10 == 0).astype(np.int64)[None].repeat(200, axis=0)
    found = measured(BalancedAccuracy(), scores, labels, np.ones((200, 100)))
    optimistic = [
        BalancedAccuracy()
        .with_threshold(BalancedAccuracy().choose_threshold(EchoModel(), [batch]))
        .measure(EchoModel(), [batch])[0]
        for batch in (Batch(s[None], y[None]) for s, y in zip(scores, labels, strict=True))
    ]
    assert np.mean(found) == pytest.approx(0.5, abs=0.02)
    assert np.mean(optimistic) > 0.58


def test_a_network_that_is_never_sure_of_yes_is_measured_by_its_order():
    scores, labels, weights = label_case(2, weighted=False, rare=True)
    scores[..., 0] += 8.0  # no row is likely to be positive
    never = measured(F1(threshold=0.5), scores, labels, weights)
    assert (never == 0.0).all()
    assert (measured(F1(), scores, labels, weights) > 0.1).all()


def test_two_classes_and_more_take_their_own_arguments():
    scores, labels, weights = label_case(3, weighted=False)
    for wrong in (F1("binary"), F1(threshold=0.3), BalancedAccuracy(0.3)):
        with pytest.raises(ValueError, match="two classes"):
            measured(wrong, scores, labels, weights)
    for build in (lambda: F1("mean"), lambda: F1(threshold=1.5), lambda: BalancedAccuracy("good")):
        with pytest.raises(ValueError, match="takes"):
            build()
