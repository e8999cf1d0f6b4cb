"""Weights of classes: those of scikit-learn, of each replica's own rows, in the loss of training steps alone."""

from functools import partial

import numpy as np
import pytest
from sklearn.utils.class_weight import compute_class_weight

from models.mlp import MLP
from searchlab import F1, SGD, Arrays, Choice, Float, KFold, Space, StratifiedKFold, Sweep, Trainer
from searchlab.data import Examples
from searchlab.data.class_weight import class_weights
from searchlab.errors import UserMistake
from searchlab.metrics import Accuracy, RootMeanSquaredError
from searchlab.nn import (
    AbsoluteError,
    Huber,
    Loss,
    MeanSquaredError,
    SigmoidCrossEntropy,
    SoftmaxCrossEntropy,
)
from searchlab.optim import Adam
from searchlab.replicas import Replicas, fold_seeds
from searchlab.testing.gradients import assert_gradient
from searchlab.testing.replica_rows import replicas_for

LOSSES = [SoftmaxCrossEntropy, partial(SoftmaxCrossEntropy, smoothing=0.1), SigmoidCrossEntropy, MeanSquaredError]
LOSSES += [AbsoluteError, Huber]


def rare_data(rows=120, share=0.2, seed=0):
    generator = np.random.default_rng(seed)
    y = (generator.random(rows) < share).astype(np.int64)
    x = (generator.standard_normal((rows, 3)) + y[:, None]).astype(np.float32)
    return Examples(x, y, 2, target_names=("no", "yes"))


def trainer(data, rows, class_weight, *, folds=4, metric=None, **model):
    split = KFold(folds).split(data)[np.array(rows) % folds]
    seeds = np.array(fold_seeds(0, folds), np.uint64)[np.array(rows) % folds].tolist()
    parts = metric or Accuracy(), partial(MLP, hidden=4, **model), partial(Adam, lr=0.01)
    return Trainer(Replicas(seeds), data, split, *parts, class_weight=class_weight)


def test_balanced_weights_are_those_of_scikit_learn_in_each_fold():
    data = rare_data()
    split = KFold(4).split(data)
    found = class_weights("balanced", data, split)
    for fold in range(4):
        labels = data.y[split.train.index[fold, : split.train.counts[fold]]]
        assert found[fold] == pytest.approx(compute_class_weight("balanced", classes=np.arange(2), y=labels))
    assert len({tuple(weights) for weights in found.tolist()}) > 1, "folds have unequal shares"


def test_a_class_without_training_rows_has_weight_0():
    data = Examples(np.ones((4, 1), np.float32), np.array([0, 0, 1, 2]), outputs=3)
    split = StratifiedKFold(2).split(Examples(np.ones((4, 1), np.float32), np.array([0, 0, 1, 1]), outputs=2))
    weights = class_weights("balanced", data, split)
    for fold in range(2):
        labels = data.y[split.train.index[fold, : split.train.counts[fold]]]
        expected = compute_class_weight("balanced", classes=np.unique(labels), y=labels)
        assert weights[fold][np.unique(labels)] == pytest.approx(expected)
        assert weights[fold].astype(bool).sum() == len(expected)


@pytest.mark.parametrize("given", [{"yes": 3.0}, {1: 3.0}, [1.0, 3.0], {"no": 1, "yes": 3}])
def test_weights_are_given_by_name_by_number_or_for_every_class(given):
    data = rare_data()
    assert class_weights(given, data, KFold(2).split(data)).tolist() == [[1.0, 3.0]] * 2


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"maybe": 2.0}, "'maybe', and the classes are 'no', 'yes'"),
        ([1.0], "1 weight, and there are 2 classes"),
        ("equal", "'balanced'"),
        ({"yes": -1.0}, "at least 0"),
        ([0.0, 0.0], "at least 0"),
    ],
)
def test_weights_that_fit_no_class_are_a_user_mistake(given, message):
    data = rare_data()
    with pytest.raises(UserMistake, match=message):
        class_weights(given, data, KFold(2).split(data))


def test_numbers_to_predict_have_no_classes():
    data = Examples(np.ones((8, 2), np.float32), np.arange(8.0, dtype=np.float32)[:, None], 1)
    with pytest.raises(UserMistake, match="needs classes"):
        trainer(data, [0], "balanced", metric=RootMeanSquaredError(), loss=MeanSquaredError)


@pytest.mark.parametrize("loss", LOSSES)
def test_a_weight_of_2_counts_a_row_twice(loss):
    """The loss is the sum over rows, divided by their number without the repeated ones."""
    replicas = replicas_for((0, 1, 2), np.float64)
    generator = np.random.default_rng(1)
    outputs, labels = generator.standard_normal((3, 6, 4)), generator.integers(4, size=(3, 6))
    labels[:, 0] = 2
    weights = np.ones((3, 4))
    weights[1, 2] = 2.0  # of replica 1 alone
    weighted, plain = loss(replicas), loss(replicas)
    weighted.class_weight = weights
    found, gradient = weighted.forward(outputs, labels), weighted.backward().copy()
    again = np.flatnonzero(labels[1] == 2)
    repeated = plain.forward(*(np.concatenate([each, each[:, again]], axis=1) for each in (outputs, labels)))
    assert found[1] == pytest.approx(repeated[1] * (6 + len(again)) / 6)
    assert found[[0, 2]] == pytest.approx(plain.forward(outputs, labels)[[0, 2]])
    assert_gradient(lambda: weighted.forward(outputs, labels), outputs, gradient, "the gradient of the outputs")


@pytest.mark.parametrize("loss", LOSSES)
def test_weights_of_1_change_no_bit(loss):
    generator = np.random.default_rng(1)
    outputs = generator.standard_normal((3, 6, 4)).astype(np.float32)
    labels = generator.integers(4, size=(3, 6))
    plain, weighted = loss(replicas_for((0, 1, 2))), loss(replicas_for((0, 1, 2)))
    weighted.class_weight = np.ones((3, 4), np.float32)
    assert (plain.forward(outputs, labels) == weighted.forward(outputs, labels)).all()
    assert (plain.backward() == weighted.backward()).all()


@pytest.mark.parametrize("rows", [(0,), (3,), (1, 2)])
def test_fused_equals_alone_and_survivors_continue(rows):
    data = rare_data()
    together, alone = trainer(data, range(4), "balanced"), trainer(data, rows, "balanced")
    reduced = trainer(data, range(4), "balanced")
    for epoch in range(3):
        if epoch == 1:
            reduced.select_replicas(np.array(rows))
        reports = [each.advance() for each in (together, alone, reduced)]
    state = alone.state()
    for name, array in together.state().items():
        assert (array[list(rows)] == state[name]).all(), name
        assert (reduced.state()[name] == state[name]).all(), name
    assert (reports[0].loss[list(rows)] == reports[1].loss).all()


def test_resumed_equals_uninterrupted():
    data = rare_data()
    first, second, third = (trainer(data, [0, 1], "balanced") for _ in range(3))
    first.advance()
    second.advance()
    third.restore(1, second.state())
    assert (first.advance().loss == third.advance().loss).all()


def test_the_loss_on_held_out_rows_is_not_weighted():
    data, never = rare_data(), {"no": 1.0, "yes": 0.0}
    weighted, plain = trainer(data, [0], never), trainer(data, [0], None)
    weighted.parameters.restore(plain.parameters.state())
    weighted.advance()
    plain.parameters.restore(weighted.parameters.state())
    rows = plain.split.held_out
    batch = next(iter(data.scoring_batches(rows)))
    for each in (weighted, plain):
        each.model.forward(batch, train=False)
    assert (weighted.model.forward(batch, train=False)[0] == plain.model.forward(batch, train=False)[0]).all()
    assert all(loss.class_weight is None for loss in weighted._weighted_losses)


class OwnLoss(Loss):
    def forward(self, outputs, targets):
        self._outputs = outputs
        return outputs.mean(axis=(1, 2))

    def backward(self):
        return self._outputs * 0.0


def test_a_loss_that_takes_no_weights_is_a_user_mistake():
    with pytest.raises(UserMistake, match="OwnLoss takes none"):
        trainer(rare_data(), [0], "balanced", loss=OwnLoss)


def test_balanced_weights_find_a_rare_class():
    data = rare_data(2000, share=0.07)
    metric = F1(threshold=0.5)
    weighted, plain = (trainer(data, range(4), weight, metric=metric) for weight in ("balanced", None))
    found, missed = weighted.advance(), plain.advance()
    assert found.score.mean() > missed.score.mean() + 0.1


def test_weights_are_searched(tmp_path):
    generator = np.random.default_rng(0)
    y = (generator.random(200) < 0.2).astype(np.int64)
    sweep = Sweep(
        name="weights",
        data=Arrays(generator.standard_normal((200, 3)) + y[:, None], y),
        validation=StratifiedKFold(2),
        metric=F1(),
        model=Space(MLP, hidden=4),
        optimizer=Space(SGD, lr=Float(0.1, 1.0)),
        training=Space(Trainer, epochs=2, class_weight=Choice(None, "balanced")),
        trials=6,
    )
    result = sweep.run(home=tmp_path, engine="local", tracking=None, progress=False)
    assert {trial.parameters["training.class_weight"] for trial in result.trials} == {None, "balanced"}
    assert result.winner.test_score is not None
