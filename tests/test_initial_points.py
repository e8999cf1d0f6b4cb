"""Points to try first: validated and converted when the sweep is created."""

from __future__ import annotations

import re

import numpy as np
import pytest

from models.mlp import MLP
from searchlab import SGD, Adam, Choice, Float, Grid, Int, LeakyRelu, Relu, Space, Trainer
from searchlab.errors import UserMistake
from searchlab.space.initial_points import enqueued_points, is_valid_point, to_domain_value
from tests.sweeps import spiral_sweep
from tests.test_samplers import INNER, Gate, Norm, deep_sweep

POINT = {
    "model.hidden": 10,
    "model.dropout": 0.1,
    "optimizer": "SGD",
    "optimizer.SGD.lr": 0.5,
    "training.clip_norm": 1.0,
}


def enqueue(*points, **changes):
    """Return the points that the sweep enqueues, by path with labels."""
    return enqueued_points(spiral_sweep(enqueue=list(points), **changes))


def test_options_may_be_given_by_label_and_arguments_may_be_left_out():
    normalized = enqueue(POINT, {"optimizer": Adam}, {})
    assert normalized == [POINT, {"optimizer": "Adam"}, {}]
    assert enqueued_points(spiral_sweep()) == []


def test_values_are_converted_to_those_a_sampler_would_suggest():
    normalized = enqueue({"model.hidden": np.int64(15), "model.dropout": 0, "training.clip_norm": np.float32(2)})[0]
    assert normalized == {"model.hidden": 15, "model.dropout": 0.0, "training.clip_norm": 2.0}
    assert [type(value) for value in normalized.values()] == [int, float, float]


def test_space_is_given_by_its_constructor_and_tuple_as_a_list():
    model = Space(MLP, activation=Choice(Relu, Space(LeakyRelu, slope=Float(0.01, 0.3))), hidden=Choice((8, 4), 9))
    normalized = enqueue(
        {"model.activation": LeakyRelu, "model.activation.LeakyRelu.slope": 0.1, "model.hidden": [8, 4]},
        {"model.activation": Relu, "model.hidden": 9},
        model=model,
    )
    assert normalized[0] == {
        "model.activation": "LeakyRelu",
        "model.activation.LeakyRelu.slope": 0.1,
        "model.hidden": "(8, 4)",
    }
    assert normalized[1] == {"model.activation": "Relu", "model.hidden": 9}


MISTAKES = [
    ({"model.hiden": 10}, "'model.hiden', which is not open in this sweep; did you mean 'model.hidden'?"),
    ({"xyz": 10}, "open are: model.hidden, model.dropout, optimizer, optimizer.SGD.lr"),
    ({"model.hidden": 12}, "enqueue[0] has model.hidden=12, and model.hidden takes 5 to 20, step 5"),
    ({"model.hidden": 25}, "has model.hidden=25, and"),
    ({"model.hidden": 10.0}, "has model.hidden=10.0, and"),
    ({"model.hidden": True}, "has model.hidden=True, and"),
    ({"model.dropout": 0.5}, "model.dropout takes 0 to 0.3"),
    ({"model.dropout": "0.1"}, "has model.dropout='0.1', and"),
    ({"model.dropout": float("nan")}, "has model.dropout=nan, and"),
    ({"optimizer": "RMSprop"}, "optimizer takes SGD | Adam"),
    ({"optimizer": MLP}, "has optimizer=MLP, and"),
    ({"optimizer.SGD.lr": 0.5}, "optimizer.SGD.lr is open only when optimizer is SGD; add optimizer"),
    (
        {"optimizer": "Adam", "optimizer.SGD.lr": 0.5},
        "optimizer.SGD.lr is open only when optimizer is SGD, and this point has Adam",
    ),
    ({"training.batch_size": 20}, "enqueue[0] has training.batch_size=20, and this sweep fixes it to 10"),
    ("SGD", "enqueue[0] is 'SGD'; a point is a dict of values by path"),
]


@pytest.mark.parametrize(("point", "message"), MISTAKES)
def test_invalid_point_is_rejected_when_the_sweep_is_created(point, message):
    with pytest.raises(UserMistake, match=re.escape(message)):
        spiral_sweep(enqueue=[point])


def test_message_has_the_number_of_the_invalid_point():
    with pytest.raises(UserMistake, match=r"^enqueue\[1\] has model\.hidden=3, and"):
        spiral_sweep(enqueue=[POINT, {"model.hidden": 3}])


@pytest.mark.parametrize("value", ["SGD", POINT, 3, None])
def test_enqueue_takes_a_list(value):
    with pytest.raises(UserMistake, match=r"Sweep\(enqueue=\.\.\.\) takes a list of points, got "):
        spiral_sweep(enqueue=value)


class AnyFlag(MLP):
    """A network with an argument that takes values of any type."""

    def __init__(self, replicas, features, outputs, *, hidden=1, flag=False):
        super().__init__(replicas, features, outputs, hidden=hidden)


def test_true_is_not_one():
    model = Space(AnyFlag, hidden=Choice(1, 2), flag=Choice(False, 0.1))
    assert enqueue({"model.hidden": 1, "model.flag": False}, model=model)
    for wrong in ({"model.hidden": True}, {"model.flag": 0}, {"model.flag": 0.0}):
        with pytest.raises(UserMistake, match="and model"):
            enqueue(wrong, model=model)


def test_conditions_are_checked_at_every_depth():
    inner = {"model": "Deep", "model.Deep.cell": "Cell", INNER: Gate, f"{INNER}.Gate.kind": "soft"}
    sweep = deep_sweep(
        enqueue=[
            {**inner, f"{INNER}.Gate.slope": 2},
            {"model": "Deep", "model.Deep.cell": "Cell", INNER: None, "model.Deep.cell.Cell.gate": True},
            {"model": "Deep", "model.Deep.layers": 2, "model.Deep.cell": "Cell", "model.Deep.skip": True},
        ]
    )
    assert enqueued_points(sweep)[0] == {**inner, INNER: "Gate", f"{INNER}.Gate.slope": 2}
    for wrong, message in [
        ({**inner, f"{INNER}.Gate.kind": "hard", f"{INNER}.Gate.slope": 2}, "open only when .*kind is soft"),
        ({**inner, INNER: Norm}, r"open only when model\.Deep\.cell\.Cell\.inner is Gate, .* has Norm"),
        ({"model": "Deep", "model.Deep.skip": True}, r"without model\.Deep\.layers"),
        ({"model": "MLP", "model.Deep.layers": 1}, "open only when model is Deep, .* has MLP"),
        (
            {"model": "Deep", "model.Deep.cell": "Cell", INNER: "Norm", "model.Deep.cell.Cell.gate": True},
            "only when .*inner is Gate or None, .* has Norm",
        ),
    ]:
        with pytest.raises(UserMistake, match=message):
            deep_sweep(enqueue=[wrong])


def test_fixed_argument_may_be_given_with_its_fixed_value():
    sweep = spiral_sweep(enqueue=[POINT])
    assert enqueued_points(sweep.with_values({"model.hidden": 10})) == [
        {k: v for k, v in POINT.items() if k != "model.hidden"}
    ]
    with pytest.raises(UserMistake, match=r"has model\.hidden=10, and this sweep fixes it to 15"):
        sweep.with_values({"model.hidden": 15})


def test_fingerprint_depends_on_enqueued_points_and_not_on_their_notation():
    without, sweep = spiral_sweep(), spiral_sweep(enqueue=[POINT, {"optimizer": "Adam"}])
    assert "enqueue" not in without.describe()
    assert without.fingerprint() != sweep.fingerprint()
    reordered = spiral_sweep(enqueue=[dict(reversed(POINT.items())), {"optimizer": Adam}])
    assert reordered.fingerprint() == sweep.fingerprint()


def test_is_valid_point():
    sweep = spiral_sweep()
    assert is_valid_point(sweep, POINT)
    assert is_valid_point(sweep, {**POINT, "model.dropout": 0.3})
    assert not is_valid_point(sweep, {**POINT, "model.dropout": 0.31}), "outside the range"
    assert not is_valid_point(sweep, {**POINT, "model.hidden": 11}), "between two steps"
    assert not is_valid_point(sweep, {k: v for k, v in POINT.items() if k != "model.hidden"}), "an argument fewer"
    assert not is_valid_point(sweep, {**POINT, "model.layers": 2}), "an argument more"
    assert not is_valid_point(sweep, {**POINT, "optimizer": "Adam"}), "of another option"
    assert not is_valid_point(sweep, {**POINT, "optimizer": "RMSprop"}), "not an option"
    assert not is_valid_point(sweep.with_values({"model.hidden": 10}), POINT), "fixed in this sweep"
    fixed = spiral_sweep(model=Space(MLP), optimizer=Space(SGD), training=Space(Trainer))
    assert is_valid_point(fixed, {})


@pytest.mark.parametrize(
    ("domain", "value", "converted"),
    [
        (Float(0, 1), 1, 1.0),
        (Float(0.1, 0.5, step=0.1), 0.1 + 0.2, 0.1 + 0.2),
        (Float(1e-5, 1, log=True), 1e-5, 1e-5),
        (Int(1, 9, step=4), 5, 5),
        (Int(1, 9, log=True), 2, 2),
        (Choice(None, True, 2.5), None, None),
        (Choice(None, True, 2.5), 2.5, 2.5),
        (Choice(SGD, Adam), "Adam", "Adam"),
        (Choice(SGD, Adam), Adam, "Adam"),
    ],
)
def test_to_domain_value(domain, value, converted):
    result = to_domain_value(domain, value)
    assert (result, type(result)) == (converted, type(converted))


@pytest.mark.parametrize(
    ("domain", "value"),
    [(Float(0, 1), 1.1), (Float(0, 1), None), (Float(0, 1, step=0.5), 0.4), (Int(1, 9), 2.0), (Choice(1, 2), "1")],
)
def test_to_domain_value_raises_for_a_value_outside_the_domain(domain, value):
    with pytest.raises(ValueError, match="is not in"):
        to_domain_value(domain, value)


def test_enqueue_is_rejected_with_a_sampler_that_tries_every_point():
    changes = {
        "model": Space(MLP, hidden=Choice(5, 9)),
        "optimizer": Space(SGD, lr=Choice(0.1, 0.5)),
        "training": Space(Trainer),
    }
    with pytest.raises(UserMistake, match="tries every point"):
        spiral_sweep(sampler=Grid(), enqueue=[{"model.hidden": 5}], trials=None, **changes)
