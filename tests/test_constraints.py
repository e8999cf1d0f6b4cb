"""The constraint: what a candidate contains, and by how much it violates the constraint."""

from __future__ import annotations

import re
from functools import wraps

import numpy as np
import pytest

from models.mlp import MLP
from searchlab import SGD, Adam, Candidate, Choice, Float, Int, LeakyRelu, Relu, SizeLimit, Space, Trainer
from searchlab.errors import UserMistake
from searchlab.fusion.groups import build_trainer
from searchlab.space.constraints import ConstraintChecker
from tests.sweeps import spiral_sweep

POINT = {
    "model.hidden": 10,
    "model.dropout": 0.1,
    "optimizer": "SGD",
    "optimizer.SGD.lr": 0.5,
    "training.clip_norm": 1.0,
}
WEIGHT_COUNT = 2 * 10 + 10 + 10 * 3 + 3  # of a spiral network with 10 hidden units


def violation(constraint, point=POINT, **changes):
    sweep = spiral_sweep(constraint=constraint, **changes)
    return ConstraintChecker(sweep, sweep.data.training).violation(point)


def candidate_of(point=POINT, **changes):
    """Return the candidate that a constraint receives."""
    received = []
    assert violation(lambda candidate: received.append(candidate) or 0, point, **changes) == 0.0
    return received[0]


def test_candidate_has_open_and_fixed_values_by_path():
    candidate = candidate_of()
    assert {path: candidate[path] for path in POINT} == POINT
    assert (candidate["training.batch_size"], candidate["training.epochs"]) == (10, 3)
    assert (candidate["model"], candidate.get("optimizer.Adam.lr"), candidate.get("model.layers", 1)) == (
        "MLP",
        None,
        1,
    )
    assert "optimizer.Adam.lr" not in candidate
    assert isinstance(candidate, Candidate)
    assert len(candidate) == len(dict(candidate)) == len(POINT) + 4


def test_candidate_has_arguments_of_nested_spaces():
    slope = Space(LeakyRelu, slope=Float(0.01, 0.3))
    chosen = candidate_of(
        {**POINT, "model.activation": "LeakyRelu", "model.activation.LeakyRelu.slope": 0.1},
        model=Space(MLP, hidden=Int(5, 20), dropout=Float(0, 0.3), activation=Choice(Relu, slope)),
    )
    assert (chosen["model.activation"], chosen["model.activation.LeakyRelu.slope"]) == ("LeakyRelu", 0.1)
    fixed = candidate_of(
        {**POINT, "model.activation.slope": 0.1},
        model=Space(MLP, hidden=Int(5, 20), dropout=Float(0, 0.3), activation=slope),
    )
    assert (fixed["model.activation"], fixed["model.activation.slope"]) == ("LeakyRelu", 0.1)


def test_weight_count_is_that_of_the_trained_network():
    sweep = spiral_sweep()
    table = sweep.data.training()
    for hidden in (5, 20):
        point = {**POINT, "model.hidden": hidden}
        trainer = build_trainer(sweep, [point], table, sweep.validation.split(table), 0, "cpu")
        assert candidate_of(point).weight_count == trainer.parameters.count
    assert candidate_of().weight_count == WEIGHT_COUNT


def test_each_structure_is_built_once_and_rows_are_loaded_with_the_first(monkeypatch):
    built_widths, loads = [], []
    original = MLP.__init__

    @wraps(original)  # the signature says which hyperparameters there are
    def counted(self, *arguments, **keywords):
        built_widths.append(keywords["hidden"])
        original(self, *arguments, **keywords)

    monkeypatch.setattr(MLP, "__init__", counted)
    sweep = spiral_sweep(constraint=lambda candidate: candidate["model.hidden"] > 10 and candidate.weight_count)
    checker = ConstraintChecker(sweep, lambda: loads.append(1) or sweep.data.training())
    assert checker.violation(POINT) == 0.0
    assert (built_widths, loads) == ([], [])
    for hidden, dropout in [(15, 0.0), (15, 0.2), (20, 0.2), (15, 0.1)]:
        checker.violation({**POINT, "model.hidden": hidden, "model.dropout": dropout})
    assert (built_widths, loads) == ([15, 20], [1, 1])


def test_size_limit_counts_bytes_of_weights():
    assert violation(SizeLimit(at_most=2 * WEIGHT_COUNT)) == 0.0
    assert violation(SizeLimit(at_most=2 * WEIGHT_COUNT - 10)) == 10.0
    assert violation(SizeLimit("1kB")) == 2 * WEIGHT_COUNT - 1000
    assert violation(SizeLimit(100, bytes=4)) == 4 * WEIGHT_COUNT - 100


@pytest.mark.parametrize(
    ("given", "limit"), [("200kB", 200_000), ("1.5 MB", 1_500_000), ("2GB", 2e9), ("800 B", 800), (1234, 1234)]
)
def test_size_limit_parses_sizes(given, limit):
    assert SizeLimit(given).limit_bytes == limit


@pytest.mark.parametrize("given", ["200", "200 KiB", "-3kB", "kB", 2.5, None, True, "", "2 kB B"])
def test_size_limit_rejects_text_that_is_not_a_size(given):
    with pytest.raises(UserMistake, match=r"SizeLimit\(.*\) is not a size in bytes"):
        SizeLimit(given)


@pytest.mark.parametrize("given", [(0,), ("0kB",), (-5,), ("1kB", 0), ("1kB", 1.5)])
def test_size_limit_rejects_sizes_that_are_not_above_zero(given):
    with pytest.raises(UserMistake, match="needs a size above 0 and a whole number of bytes"):
        SizeLimit(*given)


def test_every_point_is_feasible_without_a_constraint():
    assert violation(None) == 0.0


def test_constraint_may_return_any_number():
    for given, number in [(3, 3.0), (-2.5, -2.5), (np.float64(0.5), 0.5), (True, 1.0), (float("inf"), float("inf"))]:
        assert violation(lambda candidate, given=given: given) == number


def small(candidate):
    return candidate["model.hiden"]


@pytest.mark.parametrize(
    ("constraint", "message"),
    [
        (lambda candidate: None, "it returned None; it returns a number"),
        (lambda candidate: float("nan"), "it returned nan; it returns"),
        (lambda candidate: "big", "it returned 'big'; it returns"),
        (small, "Sweep(constraint=small) failed for model=MLP, "),
        (small, "it raised KeyError: 'model.hiden'."),
        (lambda candidate: 1 / 0, "it raised ZeroDivisionError: division by zero."),
    ],
)
def test_failing_constraint_is_reported_in_one_line(constraint, message):
    with pytest.raises(UserMistake, match=re.escape(message)) as raised:
        violation(constraint)
    assert "\n" not in str(raised.value)


class Unbuildable:
    """A model whose constructor raises an exception."""

    def __init__(self, replicas, features, classes, *, hidden: int = 3) -> None:
        raise UserMistake("hidden is even.")


def test_point_is_feasible_where_its_network_cannot_be_built():
    model = Space(Unbuildable, hidden=Int(1, 20))
    assert violation(SizeLimit("1kB"), {k: v for k, v in POINT.items() if k != "model.dropout"}, model=model) == 0.0


@pytest.mark.parametrize("value", [3, "small", SizeLimit])
def test_constraint_must_be_callable(value):
    with pytest.raises(UserMistake, match=r"^Sweep\(constraint=\.\.\.\) takes a function of a candidate, got "):
        spiral_sweep(constraint=value)


def test_fingerprint_depends_on_the_constraint():
    without, limited = spiral_sweep(), spiral_sweep(constraint=SizeLimit("200kB"))
    assert "constraint" not in without.describe()
    assert limited.describe()["constraint"] == {"kind": "SizeLimit", "at_most": "200kB", "bytes": 2}
    assert spiral_sweep(constraint=small).describe()["constraint"] == "small"
    others = [spiral_sweep(constraint=SizeLimit("100kB")), spiral_sweep(constraint=small)]
    assert len({sweep.fingerprint() for sweep in [without, limited, *others]}) == 4


@pytest.mark.parametrize(
    ("constraint", "violation", "message"),
    [(SizeLimit("1kB"), 2500.0, r"SizeLimit\(at_most='1kB', bytes=2\) by 2\.5 kB"), (small, 0.25, r"small by 0\.25")],
)
def test_violation_message_has_the_amount(constraint, violation, message):
    sweep = spiral_sweep(constraint=constraint)
    assert re.search(message, ConstraintChecker(sweep, sweep.data.training).violation_message(violation))


def test_candidate_has_values_of_optimizer_and_training():
    candidate = candidate_of(
        {"model.hidden": 10, "model.dropout": 0.1, "optimizer.lr": 0.5},
        optimizer=Space(SGD, lr=Float(0.1, 1.0)),
        training=Space(Trainer, batch_size=16, clip_norm=None),
    )
    assert (candidate["optimizer"], candidate["optimizer.lr"], candidate["training.clip_norm"]) == ("SGD", 0.5, None)
    other = candidate_of(
        {"model.hidden": 10, "model.dropout": 0.1, "optimizer": "Adam"},
        optimizer=Choice(Space(SGD), Space(Adam)),
        training=Space(Trainer),
    )
    assert other["optimizer"] == "Adam"
