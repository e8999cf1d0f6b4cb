"""Search spaces: conditions, nested spaces, per-replica arguments, and messages for mistakes."""

from __future__ import annotations

import random
import re
from functools import partial

import numpy as np
import pytest

from models.mlp import MLP
from searchlab import SGD, Adam, Choice, Float, Int, Momentum, Relu, Sigmoid, Space, Tanh, Trainer
from searchlab.errors import UserMistake
from searchlab.nn import LeakyRelu, random_normal
from searchlab.replicas import PerReplica, Replicas
from searchlab.space.argument_types import per_replica_arguments


class Net:
    """A constructor with all kinds of arguments; `width` has no default."""

    def __init__(
        self,
        replicas,
        features,
        *,
        width: int,
        tied: bool = False,
        embed: int = 8,
        dropout: PerReplica = 0.0,
        clip: PerReplica | None = None,
        cell: object = None,
    ) -> None:
        self.arguments = (replicas, features, width, tied, embed, dropout, clip, cell)


MISTAKES = [
    (
        lambda: Space(Relu(None), width=1),
        r"takes a class or a function, got <.*: Space\(Relu, \.\.\.\)",
    ),
    (lambda: Space("Net", width=1), r"Space\(\.\.\.\) takes a class or a function, got 'Net'\."),
    (
        lambda: Space(Net, width=1, droput=0.1),
        r"no argument 'droput'; did you mean 'dropout'\? It has: width, tied, embed",
    ),
    (lambda: Space(Net, width=1, xyz=0.1), "no argument 'xyz'; it has: width, tied, embed, dropout, clip, cell"),
    (lambda: Space(Net, width=1, replicas=3), "no argument 'replicas'"),
    (lambda: Space(Net, embed=3), "Net needs width"),
    (lambda: Space(Net, width=Float(1, 9)), r"width .*whole numbers, got Float\(1 to 9\); use Int"),
    (lambda: Space(Net, width=Int(1, 2).when(tied=True)), "always needs width, .* only when tied is True"),
    (lambda: Space(Net, width=1, embed=Int(1, 2).when(tide=True)), "embed of Net .* tide is True, but 'tide'"),
    (lambda: Space(Net, width=1, tied=False, embed=Int(1, 2).when(tied=True)), "impossible: tied is False"),
    (
        lambda: Space(Net, width=Choice(1, 2), embed=Int(1, 2).when(width=(3, 4))),
        r"width is 3 or 4, .*impossible: width is 1 \| 2",
    ),
    (lambda: Space(Net, width=Int(1, 8), embed=Int(1, 2).when(width=9)), "impossible: width is 1 to 8"),
    (
        lambda: Space(Net, width=1, tied=Choice(True, False).when(embed=4), embed=Int(4, 8).when(tied=True)),
        "conditions of tied, embed in Net depend on each other",
    ),
    (lambda: Space(Net, width=1, embed=Int(1, 4).when(embed=2)), "conditions of embed in Net depend on each other"),
    (lambda: Float(2, 1), r"Float\(2, 1\) is an empty range"),
    (lambda: Float(1, 1), r"Float\(1, 1\) is an empty range"),
    (lambda: Int(5, 5), r"Int\(5, 5\) is an empty range"),
    (lambda: Float(0, 1, log=True), "low end above 0"),
    (lambda: Float(-1, 1, log=True), "low end above 0"),
    (lambda: Int(0, 8, log=True), "low end above 0"),
    (lambda: Float(0, 1, step=2), "step above 0 .* got 2"),
    (lambda: Float(0, 1, step=0), "step above 0"),
    (lambda: Int(1, 8, step=-1), "step above 0"),
    (lambda: Int(1, 8, log=True, step=2), "either log or step"),
    (lambda: Float(1, 8, log=True, step=1), "either log or step"),
    (lambda: Int(1.5, 8), "takes whole numbers; use Float"),
    (lambda: Float("a", 1), "takes finite numbers"),
    (lambda: Float(True, 2), "takes finite numbers"),
    (lambda: Float(0, float("inf")), "takes finite numbers"),
    (lambda: Float(float("nan"), 1), "takes finite numbers"),
    (lambda: Choice(), "at least one option"),
    (lambda: Choice(1, 2, 1), "an option twice"),
    (lambda: Choice(Choice(8, 16), 32), r"got the domain Choice\(8, 16\)"),
    (lambda: Choice(None, Float(0.1, 1.0)), "got the domain Float"),
    (lambda: Choice(Space(SGD), Space(SGD, lr=0.1)), "an option twice"),
    (lambda: Choice(1, 2).when(), "needs a sibling argument and its value"),
    (lambda: Float(0, 1).when(), "needs a sibling argument and its value"),
]


@pytest.mark.parametrize(("create", "message"), MISTAKES)
def test_mistake_is_reported_in_one_sentence(create, message):
    with pytest.raises(UserMistake, match=message) as raised:
        create()
    sentence = str(raised.value)
    assert sentence.endswith(".")
    assert "\n" not in sentence
    assert not re.search(r"\.\s+[A-Z]", sentence), "one sentence"


def scripted(values):
    """A suggest callback that returns these values by path, and the list of the paths it was called with."""
    suggested = []

    def suggest(path, domain):
        suggested.append(path)
        return values[path]

    return suggest, suggested


TIED = Space(
    Net, width=Int(1, 8), tied=Choice(True, False), embed=Choice(100, 200).when(tied=False), dropout=Float(0.1, 0.9)
)


def test_conditional_argument_is_suggested_when_its_condition_holds():
    suggest, suggested = scripted({"m.width": 3, "m.tied": False, "m.embed": 200, "m.dropout": 0.5})
    bound = TIED.bind(suggest, "m")
    assert suggested.count("m.embed") == 1
    assert bound.arguments == {"width": 3, "tied": False, "embed": 200, "dropout": 0.5}
    assert bound.build("replicas", 7).arguments == ("replicas", 7, 3, False, 200, 0.5, None, None)


def test_conditional_argument_keeps_its_default_when_its_condition_does_not_hold():
    suggest, suggested = scripted({"m.width": 3, "m.tied": True, "m.dropout": 0.5})
    bound = TIED.bind(suggest, "m")
    assert "m.embed" not in suggested
    assert "embed" not in bound.arguments
    assert bound.build("replicas", 7).arguments[4] == 8


def test_siblings_are_suggested_before_arguments_that_depend_on_them():
    space = Space(Net, embed=Int(1, 9).when(tied=True), tied=Choice(True, False).when(width=(2, 3)), width=Int(1, 4))
    suggest, suggested = scripted({"m.width": 2, "m.tied": True, "m.embed": 5})
    space.bind(suggest, "m")
    assert suggested == ["m.width", "m.tied", "m.embed"]
    suggest, suggested = scripted({"m.width": 1})
    space.bind(suggest, "m")  # a sibling that is not open has no value, so the condition does not hold
    assert suggested == ["m.width"]


def test_all_of_several_conditions_must_hold():
    space = Space(Net, width=Int(1, 4), tied=Choice(True, False), embed=Int(1, 9).when(tied=True).when(width=2))
    for width, tied, is_open in ((2, True, True), (2, False, False), (1, True, False)):
        suggest, suggested = scripted({"m.width": width, "m.tied": tied, "m.embed": 5})
        space.bind(suggest, "m")
        assert ("m.embed" in suggested) is is_open


def test_true_is_not_one():
    with pytest.raises(UserMistake, match="impossible"):
        Space(Net, width=1, tied=Choice(True, False), embed=Int(1, 9).when(tied=1))
    assert not Float(0, 2).contains(True)
    assert not Int(0, 2).contains(True)


def test_chosen_space_is_bound_under_its_label():
    space = Space(Net, width=1, cell=Choice(Space(Trial, depth=Int(1, 3)), Space(Other)))
    suggest, suggested = scripted({"m.cell": "Trial", "m.cell.Trial.depth": 2})
    cell = space.bind(suggest, "m").build(None, None).arguments[-1]()
    assert suggested == ["m.cell", "m.cell.Trial.depth"]
    assert (type(cell), cell.depth) == (Trial, 2)
    suggest, suggested = scripted({"m.cell": "Other"})
    assert type(space.bind(suggest, "m").build(None, None).arguments[-1]()) is Other
    assert suggested == ["m.cell"]


def test_nested_space_is_a_callable_like_a_class():
    """`activation=Relu` and `activation=Space(LeakyRelu, slope=...)` are both called with the replicas."""
    for activation, slope in ((Relu, None), (Space(LeakyRelu, slope=Float(0.1, 0.3)), 0.2)):
        suggest, _ = scripted({"m.activation.slope": slope})
        model = Space(MLP, activation=activation).bind(suggest, "m").build(Replicas([0]), 2, 3)
        assert slope is None or model.layers.layers[1].slope == pytest.approx([slope])
    assert per_replica_arguments(LeakyRelu) == {"slope"}
    assert per_replica_arguments(random_normal) == {"scale"}, "a function may be a constructor too"


def test_argument_that_accepts_int_among_other_types_rejects_float_range():
    with pytest.raises(UserMistake, match=r"hidden .*whole numbers"):
        Space(MLP, hidden=Float(1, 9))


def test_nested_space_is_bound_and_its_arguments_are_listed():
    space = Space(Net, width=1, cell=Space(Trial, depth=Int(1, 3)))
    suggest, _ = scripted({"m.cell.depth": 3})
    assert space.bind(suggest, "m").build(None, None).arguments[-1]().depth == 3
    assert [path for path, _, _ in space.iter_arguments("m")] == ["m.width", "m.cell", "m.cell.depth"]
    assert {path: value for path, value, _ in space.iter_arguments("m")}["m.cell"] == "Trial"


class Trial:
    def __init__(self, *, depth: int = 1) -> None:
        self.depth = depth


class Other:
    def __init__(self) -> None:
        pass


def test_condition_may_name_a_class():
    space = Space(MLP, activation=Choice(Relu, Sigmoid), dropout=Float(0.0, 0.5).when(activation=Relu))
    for name, is_open in (("Relu", True), ("Sigmoid", False)):
        suggest, suggested = scripted({"m.activation": name, "m.dropout": 0.1})
        assert space.bind(suggest, "m").arguments["activation"] is {"Relu": Relu, "Sigmoid": Sigmoid}[name]
        assert ("m.dropout" in suggested) is is_open


def test_iter_arguments_marks_per_replica_arguments():
    space = Space(Net, width=4, dropout=Float(0.0, 0.9), clip=Float(0.1, 1.0), embed=Int(1, 9), tied=True)
    marked = {path: per_replica for path, _, per_replica in space.iter_arguments("m")}
    expected = {"m.width": False, "m.dropout": True, "m.clip": True, "m.embed": False, "m.tied": False}
    assert marked == expected
    fixed = {path: value for path, value, _ in space.iter_arguments("m")}
    assert (fixed["m.width"], fixed["m.tied"]) == (4, True)
    assert isinstance(fixed["m.dropout"], Float)


def test_choice_between_a_number_and_none_is_structure():
    """A group stacks numbers by replica, and None is not a number."""
    space = Space(Net, width=1, clip=Choice(None, 1.0), dropout=Choice(0.0, 0.5))
    marked = {path: per_replica for path, _, per_replica in space.iter_arguments("m")}
    assert marked == {"m.width": False, "m.clip": False, "m.dropout": True}


def test_argument_that_a_condition_refers_to_is_structure():
    """All trials of a group have the same arguments: one that half of them lack could not be stacked."""
    space = Space(Net, width=1, dropout=Choice(0.0, 0.5), embed=Int(1, 9).when(dropout=0.5), clip=Float(0.1, 1.0))
    marked = {path: per_replica for path, _, per_replica in space.iter_arguments("m")}
    assert marked == {"m.width": False, "m.dropout": False, "m.embed": False, "m.clip": True}


@pytest.mark.parametrize(
    ("target", "names"),
    [
        (SGD, {"lr"}),
        (Momentum, {"lr", "momentum"}),
        (Adam, {"lr", "beta1", "beta2", "epsilon"}),
        (MLP, {"dropout"}),
        (Trainer, {"clip_norm", "l2"}),
        (Net, {"dropout", "clip"}),
    ],
)
def test_per_replica_arguments_are_read_from_the_signature(target, names):
    assert per_replica_arguments(target) == names


def test_domain_contains():
    assert Float(0, 1).contains(0)
    assert Float(0, 1).contains(1.0)
    assert not Float(0, 1).contains(1.01)
    assert not Int(1, 4).contains(2.0)
    assert Choice("a", None).contains(None)
    assert not Choice("a").contains("b")


def test_label_of_a_partial_function_has_all_its_arguments():
    one, other = (partial(random_normal, scale, fan_out=3) for scale in (0.1, 0.2))
    assert list(Choice(one, other).labels) == ["random_normal(0.1, fan_out=3)", "random_normal(0.2, fan_out=3)"]


def test_choices_are_equal_by_options_and_conditions():
    assert Choice(1, 2) == Choice(1, 2)
    assert hash(Choice(1, 2)) == hash(Choice(1, 2))
    assert Choice(1, 2) != Choice(1, 2).when(tied=True)
    assert Choice(1, 2) != Choice(2, 1)
    assert Float(0, 1) != Float(0, 1).when(tied=True)


def test_text_of_domains_and_spaces():
    assert str(Float(0.001, 1, log=True)) == "0.001 to 1, log"
    assert str(Int(5, 30, step=5)) == "5 to 30, step 5, whole"
    assert str(Choice(Relu, Tanh, None, 3)) == "Relu | Tanh | None | 3"
    assert repr(Space(SGD, lr=0.1)) == "Space(SGD, lr=0.1)"


def test_any_suggested_values_can_be_built():
    generator = random.Random(0)

    def suggest(path, domain):
        if isinstance(domain, Choice):
            return generator.choice(list(domain.labels))
        return generator.randint(domain.low, domain.high) if isinstance(domain, Int) else generator.uniform(0.1, 0.9)

    built = [TIED.bind(suggest, "m").build(None, None).arguments for _ in range(200)]
    assert {arguments[3] for arguments in built} == {True, False}
    assert {arguments[4] for arguments in built if arguments[3]} == {8}
    assert {arguments[4] for arguments in built if not arguments[3]} == {100, 200}
    assert all(1 <= arguments[2] <= 8 and np.isfinite(arguments[5]) for arguments in built)
