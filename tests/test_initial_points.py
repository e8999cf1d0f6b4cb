"""Known configurations: those to try first, held against the space when the file is read."""

from __future__ import annotations

import re

import numpy as np
import pytest

from models.mlp import MLP
from searchlab import SGD, Adam, Choice, Float, Grid, Int, LeakyRelu, Relu, Space, Trainer
from searchlab.errors import UserMistake
from searchlab.space.initial_points import enqueued, fits, value_of
from tests.sweeps import spiral_sweep
from tests.test_samplers import INNER, Gate, Norm, deep_sweep

POINT = {
    "model.hidden": 10,
    "model.dropout": 0.1,
    "optimizer": "SGD",
    "optimizer.SGD.lr": 0.5,
    "training.clip_norm": 1.0,
}


def tried(*given, **changes):
    return enqueued(spiral_sweep(enqueue=list(given), **changes))


def test_options_go_by_name_or_as_they_are_and_what_is_left_out_is_left_open():
    found = tried(POINT, {"optimizer": Adam}, {})
    assert found == [POINT, {"optimizer": "Adam"}, {}]
    assert enqueued(spiral_sweep()) == []


def test_values_are_those_that_a_draw_would_give():
    found = tried({"model.hidden": np.int64(15), "model.dropout": 0, "training.clip_norm": np.float32(2)})[0]
    assert found == {"model.hidden": 15, "model.dropout": 0.0, "training.clip_norm": 2.0}
    assert [type(value) for value in found.values()] == [int, float, float]


def test_an_option_that_is_a_space_or_a_tuple_goes_by_what_it_is():
    model = Space(MLP, activation=Choice(Relu, Space(LeakyRelu, slope=Float(0.01, 0.3))), hidden=Choice((8, 4), 9))
    found = tried(
        {"model.activation": LeakyRelu, "model.activation.LeakyRelu.slope": 0.1, "model.hidden": [8, 4]},
        {"model.activation": Relu, "model.hidden": 9},
        model=model,
    )
    assert found[0] == {
        "model.activation": "LeakyRelu",
        "model.activation.LeakyRelu.slope": 0.1,
        "model.hidden": "(8, 4)",
    }
    assert found[1] == {"model.activation": "Relu", "model.hidden": 9}


MISTAKES = [
    (
        {"model.hiden": 10},
        "has 'model.hiden', which is not open in this sweep; did you mean 'model.hidden'?",
    ),
    (
        {"xyz": 10},
        "not open in this sweep; open are: model.hidden, model.dropout, optimizer, optimizer.SGD.lr",
    ),
    ({"model.hidden": 12}, "enqueue[0] has model.hidden=12, and model.hidden takes 5 to 20, step 5, whole."),
    ({"model.hidden": 25}, "has model.hidden=25, and"),
    ({"model.hidden": 10.0}, "has model.hidden=10.0, and"),
    ({"model.hidden": True}, "has model.hidden=True, and"),
    ({"model.dropout": 0.5}, "has model.dropout=0.5, and model.dropout takes 0 to 0.3."),
    ({"model.dropout": "0.1"}, "has model.dropout='0.1', and"),
    ({"model.dropout": float("nan")}, "has model.dropout=nan, and"),
    ({"optimizer": "RMSprop"}, "has optimizer='RMSprop', and optimizer takes SGD | Adam."),
    ({"optimizer": MLP}, "has optimizer=MLP, and optimizer takes SGD | Adam."),
    (
        {"optimizer.SGD.lr": 0.5},
        "enqueue[0] has optimizer.SGD.lr and leaves optimizer out, but optimizer.SGD.lr is open only when optimizer is "
        "SGD: give that too.",
    ),
    (
        {"optimizer": "Adam", "optimizer.SGD.lr": 0.5},
        "optimizer.SGD.lr, but optimizer.SGD.lr is open only when optimizer is SGD, and it is Adam there.",
    ),
    ({"training.batch_size": 20}, "enqueue[0] has training.batch_size=20, and this sweep fixes it to 10."),
    ("SGD", "enqueue[0] is 'SGD'; a configuration is a dict of values by path"),
]


@pytest.mark.parametrize(("given", "told"), MISTAKES)
def test_a_mistake_is_told_in_one_sentence_when_the_sweep_is_made(given, told):
    with pytest.raises(UserMistake, match=re.escape(told)):
        spiral_sweep(enqueue=[given])


def test_the_configuration_that_is_wrong_is_named_by_its_number():
    with pytest.raises(UserMistake, match=r"^enqueue\[1\] has model\.hidden=3, and"):
        spiral_sweep(enqueue=[POINT, {"model.hidden": 3}])


@pytest.mark.parametrize("given", ["SGD", POINT, 3, None])
def test_what_is_no_list_is_refused(given):
    with pytest.raises(UserMistake, match=r"^Sweep\(enqueue=\.\.\.\) takes a list of configurations, got "):
        spiral_sweep(enqueue=given)


def test_true_is_not_1():
    model = Space(MLP, hidden=Choice(1, 2), dropout=Choice(False, 0.1))
    assert tried({"model.hidden": 1, "model.dropout": False}, model=model)
    for wrong in ({"model.hidden": True}, {"model.dropout": 0}, {"model.dropout": 0.0}):
        with pytest.raises(UserMistake, match="and model"):
            tried(wrong, model=model)


def test_conditions_hold_at_every_depth():
    there = {"model": "Deep", "model.Deep.cell": "Cell", INNER: Gate, f"{INNER}.Gate.kind": "soft"}
    sweep = deep_sweep(
        enqueue=[
            {**there, f"{INNER}.Gate.slope": 2},
            {"model": "Deep", "model.Deep.cell": "Cell", INNER: None, "model.Deep.cell.Cell.gate": True},
            {"model": "Deep", "model.Deep.layers": 2, "model.Deep.cell": "Cell", "model.Deep.skip": True},
        ]
    )
    assert enqueued(sweep)[0] == {**there, INNER: "Gate", f"{INNER}.Gate.slope": 2}
    for wrong, told in [
        ({**there, f"{INNER}.Gate.kind": "hard", f"{INNER}.Gate.slope": 2}, "is open only when .*kind is soft, and"),
        ({**there, INNER: Norm}, r"open only when model\.Deep\.cell\.Cell\.inner is Gate, and it is Norm there"),
        ({"model": "Deep", "model.Deep.skip": True}, r"leaves model\.Deep\.layers out"),
        ({"model": "MLP", "model.Deep.layers": 1}, "open only when model is Deep, and it is MLP there"),
        (
            {"model": "Deep", "model.Deep.cell": "Cell", INNER: "Norm", "model.Deep.cell.Cell.gate": True},
            "only when .*inner is Gate or None, and it is Norm there",
        ),
    ]:
        with pytest.raises(UserMistake, match=told):
            deep_sweep(enqueue=[wrong])


def test_an_argument_that_set_has_fixed_may_stand_as_it_is():
    sweep = spiral_sweep(enqueue=[POINT])
    assert enqueued(sweep.with_values({"model.hidden": 10})) == [
        {k: v for k, v in POINT.items() if k != "model.hidden"}
    ]
    with pytest.raises(UserMistake, match=r"has model\.hidden=10, and this sweep fixes it to 15"):
        sweep.with_values({"model.hidden": 15})


def test_what_is_tried_first_tells_two_sweeps_apart_and_how_it_is_written_does_not():
    plain, first = spiral_sweep(), spiral_sweep(enqueue=[POINT, {"optimizer": "Adam"}])
    assert "enqueue" not in plain.describe()
    assert plain.fingerprint() != first.fingerprint()
    turned = spiral_sweep(enqueue=[dict(reversed(POINT.items())), {"optimizer": Adam}])
    assert turned.fingerprint() == first.fingerprint()


def test_an_earlier_point_fits_where_a_draw_could_have_given_it():
    sweep = spiral_sweep()
    assert fits(sweep, POINT)
    assert fits(sweep, {**POINT, "model.dropout": 0.3})
    assert not fits(sweep, {**POINT, "model.dropout": 0.31}), "outside"
    assert not fits(sweep, {**POINT, "model.hidden": 11}), "between two steps"
    assert not fits(sweep, {k: v for k, v in POINT.items() if k != "model.hidden"}), "an argument fewer"
    assert not fits(sweep, {**POINT, "model.layers": 2}), "an argument more"
    assert not fits(sweep, {**POINT, "optimizer": "Adam"}), "of another branch"
    assert not fits(sweep, {**POINT, "optimizer": "RMSprop"}), "an option that is gone"
    assert not fits(sweep.with_values({"model.hidden": 10}), POINT), "fixed now"
    nothing = spiral_sweep(model=Space(MLP), optimizer=Space(SGD), training=Space(Trainer))
    assert fits(nothing, {})


@pytest.mark.parametrize(
    ("domain", "given", "value"),
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
def test_a_value_of_a_domain_is_taken(domain, given, value):
    found = value_of(domain, given)
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("domain", "given"),
    [(Float(0, 1), 1.1), (Float(0, 1), None), (Float(0, 1, step=0.5), 0.4), (Int(1, 9), 2.0), (Choice(1, 2), "1")],
)
def test_a_value_outside_a_domain_is_not(domain, given):
    with pytest.raises(ValueError, match="is not in"):
        value_of(domain, given)


def test_what_tries_every_point_has_nothing_to_put_first():
    changes = {
        "model": Space(MLP, hidden=Choice(5, 9)),
        "optimizer": Space(SGD, lr=Choice(0.1, 0.5)),
        "training": Space(Trainer),
    }
    with pytest.raises(UserMistake, match="tries every point"):
        spiral_sweep(sampler=Grid(), enqueue=[{"model.hidden": 5}], trials=None, **changes)
