"""Groups: what may train fused, how values are stacked, and that fused trials equal each alone."""

import numpy as np
import pytest

from models.mlp import MLP
from searchlab import (
    SGD,
    TPE,
    Accuracy,
    Adam,
    Choice,
    Float,
    Int,
    KFold,
    Momentum,
    Random,
    Relu,
    Sigmoid,
    Space,
    Spiral,
    Sweep,
    Trainer,
)
from searchlab.errors import UserMistake
from searchlab.fusion.groups import LARGEST, build, group_size
from searchlab.space.structure import fuse, structural

SWEEP = Sweep(
    name="grouped",
    data=Spiral(points=21),
    validation=KFold(5),
    metric=Accuracy(),
    model=Space(MLP, hidden=Choice(6, 9), activation=Choice(Relu, Sigmoid), dropout=Float(0.0, 0.5).when(hidden=9)),
    optimizer=Choice(
        Space(SGD, lr=Float(0.01, 1.0, log=True)),
        Space(Momentum, lr=Float(0.001, 0.3, log=True), momentum=Float(0.5, 0.99)),
        Space(Adam, lr=Float(1e-4, 3e-2, log=True)),
    ),
    training=Space(Trainer, batch_size=Choice(7, 16), epochs=2, clip_norm=Float(0.1, 10.0, log=True)),
    trials=20,
)

SHARED = {"model.hidden": 9, "model.activation": "Relu", "optimizer": "Momentum", "training.batch_size": 7}
OPEN = ("model.dropout", "optimizer.Momentum.lr", "optimizer.Momentum.momentum", "training.clip_norm")
TRIALS = [SHARED | dict(zip(OPEN, values, strict=True)) for values in ((0.0, 0.1, 0.5, 1.0), (0.4, 0.01, 0.9, 0.1))]


def built(parameters, seed=0):
    table = SWEEP.data.training()
    return build(SWEEP, parameters, table, SWEEP.validation.split(table), seed, "cpu")


@pytest.mark.parametrize("optimizer", ["SGD", "Momentum", "Adam"])
@pytest.mark.parametrize(("batch_size", "activation"), [(7, "Relu"), (16, "Sigmoid")])
def test_two_trials_by_five_folds_equal_each_trial_alone(optimizer, batch_size, activation):
    lrs = {"SGD": (0.5, 0.02), "Momentum": (0.2, 0.005), "Adam": (0.02, 0.001)}[optimizer]
    trials = [
        TRIALS[t]
        | {"optimizer": optimizer, f"optimizer.{optimizer}.lr": lrs[t]}
        | {"training.batch_size": batch_size, "model.activation": activation}
        for t in range(2)
    ]
    fused, alone = built(trials), [built([trial]) for trial in trials]
    for _ in range(2):
        report, ones = fused.advance(), [one.advance() for one in alone]
        assert report.loss.tobytes() == np.concatenate([one.loss for one in ones]).tobytes()
        assert report.score.tobytes() == np.concatenate([one.score for one in ones]).tobytes()
    states = [one.state() for one in alone]
    for name, array in fused.state().items():
        assert array.tobytes() == np.concatenate([state[name] for state in states]).tobytes(), name


def test_values_are_stacked_trial_by_trial():
    trainer = built(TRIALS)
    assert trainer.replicas.count == 10
    assert trainer.optimizer.lr == pytest.approx([0.1] * 5 + [0.01] * 5)
    assert trainer.optimizer.momentum == pytest.approx([0.5] * 5 + [0.9] * 5)
    assert trainer.clip_norm == pytest.approx([1.0] * 5 + [0.1] * 5)
    assert (trainer.batch_size, trainer.epochs) == (7, 2)


def test_folds_of_all_trials_share_seeds_and_rows():
    trainer = built(TRIALS)
    assert (trainer.replicas.seeds[:5] == trainer.replicas.seeds[5:]).all()
    assert len(set(trainer.replicas.seeds)) == 5
    assert (trainer.split.train.index[:5] == trainer.split.train.index[5:]).all()
    first = built([TRIALS[0]]).parameters.values
    assert (trainer.parameters.values[:5] == first).all()  # and the same first weights: trials compare in pairs
    assert (trainer.parameters.values[5:] == first).all()
    assert not (built(TRIALS, seed=1).replicas.seeds == trainer.replicas.seeds).any()


def test_a_default_is_stacked_beside_a_value():
    """A trial that leaves a per-replica argument to its default trains beside one that does not."""
    given, left = SWEEP.settle(TRIALS[0]), SWEEP.settle(TRIALS[1])
    shortened = type(left)(left.model, type(left.optimizer)(Momentum, {"lr": 0.01}), left.training)
    assert fuse([given, shortened], 2).optimizer.arguments["momentum"].tolist() == [0.5, 0.5, 0.9, 0.9]


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        ("training.batch_size", 16, r"batch_size is structure and must be equal in a group; got \[7, 16\]"),
        ("model.hidden", 6, "hidden is structure"),
        ("model.activation", "Sigmoid", "activation is structure"),
        ("optimizer", "SGD", "Momentum cannot train in one group with another constructor"),
    ],
)
def test_different_structure_is_refused(path, value, told):
    other = TRIALS[1] | {path: value, "optimizer.SGD.lr": 0.1}
    with pytest.raises(UserMistake, match=told):
        built([TRIALS[0], other])


def test_structural_is_what_a_group_shares():
    assert structural(SWEEP, TRIALS[0]) == SHARED
    assert structural(SWEEP, TRIALS[0]) == structural(SWEEP, TRIALS[1])


def test_whatever_agrees_in_structure_can_be_fused():
    """Also where an argument may be a number or None."""
    sweep = Sweep(
        **{name: getattr(SWEEP, name) for name in ("name", "data", "validation", "metric", "optimizer", "trials")},
        model=Space(MLP, hidden=Int(4, 5)),
        training=Space(Trainer, batch_size=7, clip_norm=Choice(None, 1.0, 2.0)),
    )
    common = {"model.hidden": 4, "optimizer": "SGD", "optimizer.SGD.lr": 0.1}
    trials = [common | {"training.clip_norm": value} for value in (None, 1.0, 2.0, None)]
    for one in trials:
        alike = [other for other in trials if structural(sweep, other) == structural(sweep, one)]
        fused = fuse([sweep.settle(each) for each in alike], 1)
        clip = fused.training.arguments["clip_norm"]
        assert clip is None or list(clip) == [each["training.clip_norm"] for each in alike]


START_UP = TPE.start_up


@pytest.mark.parametrize(
    ("fuse", "trials", "begun", "workers", "size"),
    [
        ("auto", 40, 0, 2, 1),
        ("auto", 40, START_UP - 1, 2, 1),
        ("auto", 40, START_UP, 2, 4),
        ("auto", 1000, START_UP, 2, LARGEST),
        ("auto", 1000, START_UP, 400, 3),
        ("auto", 40, 38, 1, 2),
        ("auto", 40, 38, 2, 1),
        ("auto", 15, 12, 1, 1),
        ("auto", 40, 40, 2, 0),
        ("auto", 5, 5, 2, 0),
        ("auto", 40, 41, 2, 0),
        (1, 40, 0, 2, 1),
        (16, 40, 0, 2, 16),
        (16, 40, 30, 2, 10),
        (16, 40, 40, 2, 0),
        (16, 40, 45, 2, 0),
    ],
)
def test_group_size(fuse, trials, begun, workers, size):
    assert group_size(fuse, trials=trials, begun=begun, workers=workers, start_up=START_UP) == size


@pytest.mark.parametrize(
    ("fuse", "trials", "begun", "workers", "alike", "size"),
    [
        ("auto", 168, 0, 2, 7, 7),  # no start-up, no tenth: the points are known
        ("auto", 20, 0, 2, 20, 10),
        ("auto", 168, 0, 2, 60, LARGEST),
        ("auto", 168, 5, 2, 2, 2),  # what is left of this structure, and none of the next
        ("auto", 168, 164, 2, 4, 2),  # the end is shared out
        ("auto", 168, 167, 2, 1, 1),
        ("auto", 10, 8, 1, 7, 2),  # fewer trials than points
        ("auto", 168, 168, 2, 0, 0),
        (3, 168, 0, 2, 7, 3),
        (16, 168, 0, 2, 7, 7),
        (16, 10, 8, 2, 7, 2),
        (16, 168, 168, 2, 0, 0),
    ],
)
def test_group_size_of_points_known_beforehand(fuse, trials, begun, workers, alike, size):
    assert group_size(fuse, trials=trials, begun=begun, workers=workers, alike=alike) == size


def test_who_does_not_learn_needs_no_start_up():
    assert group_size("auto", trials=40, begun=0, workers=2, start_up=Random.start_up) == 4


@pytest.mark.parametrize("fuse", ["auto", 1, 3, 100])
@pytest.mark.parametrize("trials", [1, 7, 40, 333])
def test_groups_add_up_to_the_trials_asked_for(fuse, trials):
    begun = 0
    while size := group_size(fuse, trials=trials, begun=begun, workers=4, start_up=START_UP):
        begun += size
    assert begun == trials
