"""The constraint: what a candidate tells of itself, and how far one is over."""

from __future__ import annotations

import re

import numpy as np
import pytest

from models.mlp import MLP
from searchlab import SGD, Adam, Candidate, Choice, Float, Int, LeakyRelu, Relu, SizeLimit, Space, Trainer
from searchlab.errors import UserMistake
from searchlab.fusion.groups import build
from searchlab.space.constraints import Candidates
from tests.sweeps import spiral_sweep

POINT = {
    "model.hidden": 10,
    "model.dropout": 0.1,
    "optimizer": "SGD",
    "optimizer.SGD.lr": 0.5,
    "training.clip_norm": 1.0,
}
WEIGHTS = 2 * 10 + 10 + 10 * 3 + 3  # of a spiral network with 10 hidden units


def excess(constraint, point=POINT, **changes):
    sweep = spiral_sweep(constraint=constraint, **changes)
    return Candidates(sweep, sweep.data.training).excess(point)


def seen(point=POINT, **changes):
    """The candidate that a constraint is given."""
    found = []
    assert excess(lambda candidate: found.append(candidate) or 0, point, **changes) == 0.0
    return found[0]


def test_a_candidate_has_its_values_by_path_drawn_and_fixed():
    candidate = seen()
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


def test_a_part_of_a_part_has_its_path_whether_it_is_chosen_or_fixed():
    slope = Space(LeakyRelu, slope=Float(0.01, 0.3))
    chosen = seen(
        {**POINT, "model.activation": "LeakyRelu", "model.activation.LeakyRelu.slope": 0.1},
        model=Space(MLP, hidden=Int(5, 20), dropout=Float(0, 0.3), activation=Choice(Relu, slope)),
    )
    assert (chosen["model.activation"], chosen["model.activation.LeakyRelu.slope"]) == ("LeakyRelu", 0.1)
    fixed = seen(
        {**POINT, "model.activation.slope": 0.1},
        model=Space(MLP, hidden=Int(5, 20), dropout=Float(0, 0.3), activation=slope),
    )
    assert (fixed["model.activation"], fixed["model.activation.slope"]) == ("LeakyRelu", 0.1)


def test_weights_are_those_of_the_network_that_is_trained():
    sweep = spiral_sweep()
    table = sweep.data.training()
    for hidden in (5, 20):
        point = {**POINT, "model.hidden": hidden}
        trainer = build(sweep, [point], table, sweep.validation.split(table), 0, "cpu")
        assert seen(point).weights == trainer.parameters.count
    assert seen().weights == WEIGHTS


def test_a_structure_is_built_once_and_the_data_are_read_when_the_first_is(monkeypatch):
    built, read = [], []
    initial = MLP.__init__

    def counted(self, *arguments, **keywords):
        built.append(keywords["hidden"])
        initial(self, *arguments, **keywords)

    monkeypatch.setattr(MLP, "__init__", counted)
    sweep = spiral_sweep(constraint=lambda candidate: candidate["model.hidden"] > 10 and candidate.weights)
    candidates = Candidates(sweep, lambda: read.append(1) or sweep.data.training())
    assert candidates.excess(POINT) == 0.0
    assert (built, read) == ([], [])
    for hidden, dropout in [(15, 0.0), (15, 0.2), (20, 0.2), (15, 0.1)]:
        candidates.excess({**POINT, "model.hidden": hidden, "model.dropout": dropout})
    assert built == [15, 20]


def test_a_size_limit_counts_the_bytes_of_an_artifact():
    assert excess(SizeLimit(at_most=2 * WEIGHTS)) == 0.0
    assert excess(SizeLimit(at_most=2 * WEIGHTS - 10)) == 10.0
    assert excess(SizeLimit("1kB")) == 2 * WEIGHTS - 1000
    assert excess(SizeLimit(100, bytes=4)) == 4 * WEIGHTS - 100


@pytest.mark.parametrize(
    ("given", "limit"), [("200kB", 200_000), ("1.5 MB", 1_500_000), ("2GB", 2e9), ("800 B", 800), (1234, 1234)]
)
def test_an_amount_is_read_as_it_is_written(given, limit):
    assert SizeLimit(given).limit == limit


@pytest.mark.parametrize("given", ["200", "200 KiB", "-3kB", "kB", 2.5, None, True, "", "2 kB B"])
def test_what_is_no_amount_is_refused(given):
    with pytest.raises(UserMistake, match=r"^SizeLimit\(.*\) is no amount of bytes; write one as \"200kB\""):
        SizeLimit(given)


@pytest.mark.parametrize("given", [(0,), ("0kB",), (-5,), ("1kB", 0), ("1kB", 1.5)])
def test_a_limit_of_nothing_is_refused(given):
    with pytest.raises(UserMistake, match="needs a limit above 0 and whole bytes"):
        SizeLimit(*given)


def test_without_a_constraint_everything_is_feasible():
    assert excess(None) == 0.0


def test_any_number_does():
    for given, number in [(3, 3.0), (-2.5, -2.5), (np.float64(0.5), 0.5), (True, 1.0), (float("inf"), float("inf"))]:
        assert excess(lambda candidate, given=given: given) == number


def small(candidate):
    return candidate["model.hiden"]


@pytest.mark.parametrize(
    ("constraint", "told"),
    [
        (lambda candidate: None, "it returned None; it returns how far a candidate is over, a number"),
        (lambda candidate: float("nan"), "it returned nan; it returns"),
        (lambda candidate: "big", "it returned 'big'; it returns"),
        (small, "Sweep(constraint=small) failed for model=MLP, "),
        (small, "it raised KeyError: 'model.hiden'."),
        (lambda candidate: 1 / 0, "it raised ZeroDivisionError: division by zero."),
    ],
)
def test_a_constraint_that_fails_is_told_in_one_sentence(constraint, told):
    with pytest.raises(UserMistake, match=re.escape(told)) as raised:
        excess(constraint)
    assert "\n" not in str(raised.value)


class Refusing:
    """A model whose constructor will not have it."""

    def __init__(self, replicas, features, classes, *, hidden: int = 3) -> None:
        raise UserMistake("hidden is even.")


def test_a_network_that_cannot_be_built_is_left_to_its_trial_to_tell():
    model = Space(Refusing, hidden=Int(1, 20))
    assert excess(SizeLimit("1kB"), {k: v for k, v in POINT.items() if k != "model.dropout"}, model=model) == 0.0


@pytest.mark.parametrize("given", [3, "small", SizeLimit])
def test_what_cannot_be_called_with_a_candidate_is_refused(given):
    with pytest.raises(UserMistake, match=r"^Sweep\(constraint=\.\.\.\) takes a function of a candidate, got "):
        spiral_sweep(constraint=given)


def test_a_constraint_tells_two_sweeps_apart():
    plain, limited = spiral_sweep(), spiral_sweep(constraint=SizeLimit("200kB"))
    assert "constraint" not in plain.describe()
    assert limited.describe()["constraint"] == {"kind": "SizeLimit", "at_most": "200kB", "bytes": 2}
    assert spiral_sweep(constraint=small).describe()["constraint"] == "small"
    others = [spiral_sweep(constraint=SizeLimit("100kB")), spiral_sweep(constraint=small)]
    assert len({sweep.fingerprint() for sweep in [plain, limited, *others]}) == 4


def test_why_a_candidate_is_out_is_told_with_the_amount():
    sweep = spiral_sweep(constraint=SizeLimit("1kB"))
    assert Candidates(sweep, sweep.data.training).told(2500.0) == "over SizeLimit(at_most='1kB', bytes=2) by 2.5 kB"
    sweep = spiral_sweep(constraint=small)
    assert Candidates(sweep, sweep.data.training).told(0.25) == "over small by 0.25"


def test_a_fixed_optimizer_and_training_have_their_values_too():
    candidate = seen(
        {"model.hidden": 10, "model.dropout": 0.1, "optimizer.lr": 0.5},
        optimizer=Space(SGD, lr=Float(0.1, 1.0)),
        training=Space(Trainer, batch_size=16, clip_norm=None),
    )
    assert (candidate["optimizer"], candidate["optimizer.lr"], candidate["training.clip_norm"]) == ("SGD", 0.5, None)
    other = seen(
        {"model.hidden": 10, "model.dropout": 0.1, "optimizer": "Adam"},
        optimizer=Choice(Space(SGD), Space(Adam)),
        training=Space(Trainer),
    )
    assert other["optimizer"] == "Adam"
