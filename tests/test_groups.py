"""Groups: which trials may train fused, how values are stacked, and that fused trials equal each trial alone."""

from dataclasses import replace

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
from searchlab.fusion.groups import MAX_GROUP_TRIALS, build_trainer, group_size
from searchlab.space.space import BoundConstructor
from searchlab.space.structure import fuse_configurations, structural_parameters

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


def build(parameters, seed=0):
    table = SWEEP.data.training()
    return build_trainer(SWEEP, parameters, table, SWEEP.validation.split(table), seed, "cpu")


@pytest.mark.parametrize("optimizer", ["SGD", "Momentum", "Adam"])
@pytest.mark.parametrize(("batch_size", "activation"), [(7, "Relu"), (16, "Sigmoid")])
def test_fused_trials_equal_each_trial_alone(optimizer, batch_size, activation):
    lrs = {"SGD": (0.5, 0.02), "Momentum": (0.2, 0.005), "Adam": (0.02, 0.001)}[optimizer]
    trials = [
        TRIALS[t]
        | {"optimizer": optimizer, f"optimizer.{optimizer}.lr": lrs[t]}
        | {"training.batch_size": batch_size, "model.activation": activation}
        for t in range(2)
    ]
    fused, alone = build(trials), [build([trial]) for trial in trials]
    for _ in range(2):
        report, ones = fused.advance(), [one.advance() for one in alone]
        assert report.loss.tobytes() == np.concatenate([one.loss for one in ones]).tobytes()
        assert report.score.tobytes() == np.concatenate([one.score for one in ones]).tobytes()
    states = [one.state() for one in alone]
    for name, array in fused.state().items():
        assert array.tobytes() == np.concatenate([state[name] for state in states]).tobytes(), name


def test_per_replica_values_are_stacked_trial_by_trial():
    trainer = build(TRIALS)
    assert trainer.replicas.count == 10
    assert trainer.optimizer.lr == pytest.approx([0.1] * 5 + [0.01] * 5)
    assert trainer.optimizer.momentum == pytest.approx([0.5] * 5 + [0.9] * 5)
    assert trainer.clip_norm == pytest.approx([1.0] * 5 + [0.1] * 5)
    assert (trainer.batch_size, trainer.epochs) == (7, 2)


def test_trials_share_seeds_and_rows_of_their_folds():
    trainer = build(TRIALS)
    assert (trainer.replicas.seeds[:5] == trainer.replicas.seeds[5:]).all()
    assert len(set(trainer.replicas.seeds)) == 5
    assert (trainer.split.train.index[:5] == trainer.split.train.index[5:]).all()
    first = build([TRIALS[0]]).parameters.values
    assert (trainer.parameters.values[:5] == first).all()  # equal initial weights, so that trials compare in pairs
    assert (trainer.parameters.values[5:] == first).all()
    assert not (build(TRIALS, seed=1).replicas.seeds == trainer.replicas.seeds).any()


def test_default_is_stacked_beside_a_value():
    """A trial with the default of a per-replica argument trains beside one with another value."""
    first, second = SWEEP.configuration(TRIALS[0]), SWEEP.configuration(TRIALS[1])
    with_default = replace(second, optimizer=BoundConstructor(Momentum, {"lr": 0.01}))
    assert fuse_configurations([first, with_default], 2).optimizer.arguments["momentum"].tolist() == [
        0.5,
        0.5,
        0.9,
        0.9,
    ]


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("training.batch_size", 16, r"batch_size is part of the structure .* got \[7, 16\]"),
        ("model.hidden", 6, "hidden is part of the structure"),
        ("model.activation", "Sigmoid", "activation is part of the structure"),
        ("optimizer", "SGD", "Momentum cannot train in one group with another constructor"),
    ],
)
def test_trials_of_different_structure_are_rejected(path, value, message):
    other = TRIALS[1] | {path: value, "optimizer.SGD.lr": 0.1}
    with pytest.raises(UserMistake, match=message):
        build([TRIALS[0], other])


def test_structural_parameters_are_those_a_group_shares():
    assert structural_parameters(SWEEP, TRIALS[0]) == SHARED
    assert structural_parameters(SWEEP, TRIALS[0]) == structural_parameters(SWEEP, TRIALS[1])


def test_trials_of_equal_structure_can_be_fused():
    """This holds also where an argument may be a number or None."""
    sweep = Sweep(
        **{name: getattr(SWEEP, name) for name in ("name", "data", "validation", "metric", "optimizer", "trials")},
        model=Space(MLP, hidden=Int(4, 5)),
        training=Space(Trainer, batch_size=7, clip_norm=Choice(None, 1.0, 2.0)),
    )
    common = {"model.hidden": 4, "optimizer": "SGD", "optimizer.SGD.lr": 0.1}
    trials = [common | {"training.clip_norm": value} for value in (None, 1.0, 2.0, None)]
    for one in trials:
        alike = [other for other in trials if structural_parameters(sweep, other) == structural_parameters(sweep, one)]
        fused = fuse_configurations([sweep.configuration(each) for each in alike], 1)
        clip = fused.training.arguments["clip_norm"]
        assert clip is None or list(clip) == [each["training.clip_norm"] for each in alike]


STARTUP_TRIALS = TPE.startup_trials


@pytest.mark.parametrize(
    ("fuse", "trials", "started", "workers", "size"),
    [
        ("auto", 40, 0, 2, 1),
        ("auto", 40, STARTUP_TRIALS - 1, 2, 1),
        ("auto", 40, STARTUP_TRIALS, 2, 4),
        ("auto", 1000, STARTUP_TRIALS, 2, MAX_GROUP_TRIALS),
        ("auto", 1000, STARTUP_TRIALS, 400, 3),
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
def test_group_size(fuse, trials, started, workers, size):
    assert group_size(fuse, trials=trials, started=started, workers=workers, startup_trials=STARTUP_TRIALS) == size


@pytest.mark.parametrize(
    ("fuse", "trials", "started", "workers", "same_structure", "size"),
    [
        ("auto", 168, 0, 2, 7, 7),  # no startup trials and no limit of a tenth, as the points are known
        ("auto", 20, 0, 2, 20, 10),
        ("auto", 168, 0, 2, 60, MAX_GROUP_TRIALS),
        ("auto", 168, 5, 2, 2, 2),  # the rest of this structure, and none of the next
        ("auto", 168, 164, 2, 4, 2),  # the last trials are shared among the workers
        ("auto", 168, 167, 2, 1, 1),
        ("auto", 10, 8, 1, 7, 2),  # fewer trials than points
        ("auto", 168, 168, 2, 0, 0),
        (3, 168, 0, 2, 7, 3),
        (16, 168, 0, 2, 7, 7),
        (16, 10, 8, 2, 7, 2),
        (16, 168, 168, 2, 0, 0),
    ],
)
def test_group_size_of_points_known_in_advance(fuse, trials, started, workers, same_structure, size):
    assert group_size(fuse, trials=trials, started=started, workers=workers, same_structure=same_structure) == size


def test_random_sampler_has_groups_from_the_first_trial():
    assert group_size("auto", trials=40, started=0, workers=2, startup_trials=Random.startup_trials) == 4


@pytest.mark.parametrize("fuse", ["auto", 1, 3, 100])
@pytest.mark.parametrize("trials", [1, 7, 40, 333])
def test_group_sizes_add_up_to_the_trials(fuse, trials):
    started = 0
    while size := group_size(fuse, trials=trials, started=started, workers=4, startup_trials=STARTUP_TRIALS):
        started += size
    assert started == trials
