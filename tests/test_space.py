"""Search spaces: drawn as conditions say, walked in full, and every mistake told in one sentence with what would do."""

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
from searchlab.space.space import per_replica_of


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
        self.given = (replicas, features, width, tied, embed, dropout, clip, cell)


MISTAKES = [
    (
        lambda: Space(Net, width=1, droput=0.1),
        "no argument 'droput'; did you mean 'dropout'? It has: width, tied, embed",
    ),
    (lambda: Space(Net, width=1, xyz=0.1), "no argument 'xyz'; it has: width, tied, embed, dropout, clip, cell"),
    (lambda: Space(Net, width=1, replicas=3), "no argument 'replicas'; "),
    (lambda: Space(Net, embed=3), "Net needs width: give a value or leave it open"),
    (lambda: Space(Net, width=Float(1, 9)), "width is a whole number and Float(1 to 9) gives fractions; use Int"),
    (lambda: Space(Net, width=Int(1, 2).when(tied=True)), "always needs width, so it cannot be open only when tied"),
    (
        lambda: Space(Net, width=1, embed=Int(1, 2).when(tide=True)),
        "embed of Net is open only when tide is True, but 'tide' is not given; given are: width, embed",
    ),
    (
        lambda: Space(Net, width=1, tied=False, embed=Int(1, 2).when(tied=True)),
        "only when tied is True, which it never is: tied is False",
    ),
    (
        lambda: Space(Net, width=Choice(1, 2), embed=Int(1, 2).when(width=(3, 4))),
        "only when width is 3 or 4, which it never is: width is 1 | 2",
    ),
    (lambda: Space(Net, width=Int(1, 8), embed=Int(1, 2).when(width=9)), "which it never is: width is 1 to 8, whole"),
    (
        lambda: Space(Net, width=1, tied=Choice(True, False).when(embed=4), embed=Int(4, 8).when(tied=True)),
        "the conditions of tied, embed in Net wait for each other",
    ),
    (lambda: Space(Net, width=1, embed=Int(1, 4).when(embed=2)), "the conditions of embed in Net wait for each other"),
    (lambda: Float(2, 1), "Float(2, 1) is an empty range"),
    (lambda: Float(1, 1), "Float(1, 1) is an empty range"),
    (lambda: Int(5, 5), "Int(5, 5) is an empty range"),
    (lambda: Float(0, 1, log=True), "needs a low end above 0"),
    (lambda: Float(-1, 1, log=True), "needs a low end above 0"),
    (lambda: Int(0, 8, log=True), "needs a low end above 0"),
    (lambda: Float(0, 1, step=2), "step above 0 and no larger than the range, got 2"),
    (lambda: Float(0, 1, step=0), "step above 0"),
    (lambda: Int(1, 8, step=-1), "step above 0"),
    (lambda: Int(1, 8, log=True, step=2), "takes log or step, not both"),
    (lambda: Float(1, 8, log=True, step=1), "takes log or step, not both"),
    (lambda: Int(1.5, 8), "takes whole numbers; Float takes the others"),
    (lambda: Float("a", 1), "takes finite numbers"),
    (lambda: Float(True, 2), "takes finite numbers"),
    (lambda: Float(0, float("inf")), "takes finite numbers"),
    (lambda: Float(float("nan"), 1), "takes finite numbers"),
    (lambda: Choice(), "needs at least one option"),
    (lambda: Choice(1, 2, 1), "has an option twice"),
    (lambda: Choice(Choice(8, 16), 32), "chooses between values and spaces, and Choice(8, 16) is neither"),
    (lambda: Choice(None, Float(0.1, 1.0)), "chooses between values and spaces"),
    (lambda: Choice(Space(SGD), Space(SGD, lr=0.1)), "has an option twice"),
    (lambda: Choice(1, 2).when(), "needs the name and value of a sibling"),
    (lambda: Float(0, 1).when(), "needs the name and value of a sibling"),
]


@pytest.mark.parametrize(("make", "told"), MISTAKES)
def test_mistakes_are_told_in_one_sentence(make, told):
    with pytest.raises(UserMistake) as raised:
        make()
    sentence = str(raised.value)
    assert told in sentence
    assert sentence.endswith(".")
    assert "\n" not in sentence
    assert not re.search(r"\.\s+[A-Z]", sentence), "one sentence"


def answer(values):
    """Whoever asks gets these values by path; what was asked for is kept in order."""
    asked = []

    def ask(path, domain):
        asked.append(path)
        return values[path]

    return ask, asked


TIED = Space(
    Net, width=Int(1, 8), tied=Choice(True, False), embed=Choice(100, 200).when(tied=False), dropout=Float(0.1, 0.9)
)


def test_an_argument_is_asked_for_when_its_condition_holds():
    ask, asked = answer({"m.width": 3, "m.tied": False, "m.embed": 200, "m.dropout": 0.5})
    drawn = TIED.draw(ask, "m")
    assert asked.count("m.embed") == 1
    assert drawn.arguments == {"width": 3, "tied": False, "embed": 200, "dropout": 0.5}
    assert drawn.build("replicas", 7).given == ("replicas", 7, 3, False, 200, 0.5, None, None)


def test_an_argument_keeps_its_default_when_its_condition_does_not_hold():
    ask, asked = answer({"m.width": 3, "m.tied": True, "m.dropout": 0.5})
    drawn = TIED.draw(ask, "m")
    assert "m.embed" not in asked
    assert "embed" not in drawn.arguments
    assert drawn.build("replicas", 7).given[4] == 8


def test_siblings_are_asked_for_before_what_hangs_on_them():
    space = Space(Net, embed=Int(1, 9).when(tied=True), tied=Choice(True, False).when(width=(2, 3)), width=Int(1, 4))
    ask, asked = answer({"m.width": 2, "m.tied": True, "m.embed": 5})
    space.draw(ask, "m")
    assert asked == ["m.width", "m.tied", "m.embed"]
    ask, asked = answer({"m.width": 1})
    space.draw(ask, "m")  # a sibling that is itself closed has no value to meet
    assert asked == ["m.width"]


def test_all_of_several_conditions_must_hold():
    space = Space(Net, width=Int(1, 4), tied=Choice(True, False), embed=Int(1, 9).when(tied=True).when(width=2))
    for width, tied, is_open in ((2, True, True), (2, False, False), (1, True, False)):
        ask, asked = answer({"m.width": width, "m.tied": tied, "m.embed": 5})
        space.draw(ask, "m")
        assert ("m.embed" in asked) is is_open


def test_true_is_not_one():
    with pytest.raises(UserMistake, match="which it never is"):
        Space(Net, width=1, tied=Choice(True, False), embed=Int(1, 9).when(tied=1))
    assert not Float(0, 2).contains(True)
    assert not Int(0, 2).contains(True)


def test_a_chosen_space_is_drawn_in_turn():
    space = Space(Net, width=1, cell=Choice(Space(Trial, depth=Int(1, 3)), Space(Other)))
    ask, asked = answer({"m.cell": "Trial", "m.cell.Trial.depth": 2})
    cell = space.draw(ask, "m").build(None, None).given[-1]()
    assert asked == ["m.cell", "m.cell.Trial.depth"]
    assert (type(cell), cell.depth) == (Trial, 2)
    ask, asked = answer({"m.cell": "Other"})
    assert type(space.draw(ask, "m").build(None, None).given[-1]()) is Other
    assert asked == ["m.cell"]


def test_a_part_comes_as_something_to_call_whether_a_space_or_a_class():
    """So `activation=Relu` and `activation=Space(LeakyRelu, slope=...)` are called alike, with the replicas."""
    for activation, slope in ((Relu, None), (Space(LeakyRelu, slope=Float(0.1, 0.3)), 0.2)):
        ask, _ = answer({"m.activation.slope": slope})
        model = Space(MLP, activation=activation).draw(ask, "m").build(Replicas([0]), 2, 3)
        assert slope is None or model.layers.layers[1].slope == pytest.approx([slope])
    assert per_replica_of(LeakyRelu) == {"slope"}
    assert per_replica_of(random_normal) == {"scale"}, "a function is as good a constructor as a class"


def test_an_argument_of_whole_numbers_among_other_types_takes_no_fractions():
    with pytest.raises(UserMistake, match="hidden is a whole number"):
        Space(MLP, hidden=Float(1, 9))


def test_a_nested_space_is_drawn_and_walked():
    space = Space(Net, width=1, cell=Space(Trial, depth=Int(1, 3)))
    ask, _ = answer({"m.cell.depth": 3})
    assert space.draw(ask, "m").build(None, None).given[-1]().depth == 3
    assert [path for path, _, _ in space.walk("m")] == ["m.width", "m.cell", "m.cell.depth"]
    assert {path: value for path, value, _ in space.walk("m")}["m.cell"] == "Trial"


class Trial:
    def __init__(self, *, depth: int = 1) -> None:
        self.depth = depth


class Other:
    def __init__(self) -> None:
        pass


def test_conditions_may_name_classes():
    space = Space(MLP, activation=Choice(Relu, Sigmoid), dropout=Float(0.0, 0.5).when(activation=Relu))
    for name, is_open in (("Relu", True), ("Sigmoid", False)):
        ask, asked = answer({"m.activation": name, "m.dropout": 0.1})
        assert space.draw(ask, "m").arguments["activation"] is {"Relu": Relu, "Sigmoid": Sigmoid}[name]
        assert ("m.dropout" in asked) is is_open


def test_walk_marks_what_may_differ_between_replicas():
    space = Space(Net, width=4, dropout=Float(0.0, 0.9), clip=Float(0.1, 1.0), embed=Int(1, 9), tied=True)
    marked = {path: per_replica for path, _, per_replica in space.walk("m")}
    expected = {"m.width": False, "m.dropout": True, "m.clip": True, "m.embed": False, "m.tied": False}
    assert marked == expected
    fixed = {path: value for path, value, _ in space.walk("m")}
    assert (fixed["m.width"], fixed["m.tied"]) == (4, True)
    assert isinstance(fixed["m.dropout"], Float)


def test_a_choice_between_a_number_and_none_is_structure():
    """A group stacks numbers replica by replica; None among them would be an argument that half the group lacks."""
    space = Space(Net, width=1, clip=Choice(None, 1.0), dropout=Choice(0.0, 0.5))
    marked = {path: per_replica for path, _, per_replica in space.walk("m")}
    assert marked == {"m.width": False, "m.clip": False, "m.dropout": True}


def test_what_opens_a_sibling_is_structure():
    """Of a group, all have the same arguments: one that half of them lack could not be stacked."""
    space = Space(Net, width=1, dropout=Choice(0.0, 0.5), embed=Int(1, 9).when(dropout=0.5), clip=Float(0.1, 1.0))
    marked = {path: per_replica for path, _, per_replica in space.walk("m")}
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
def test_the_signature_says_what_may_differ(target, names):
    assert per_replica_of(target) == names


def test_domains_know_what_they_contain():
    assert Float(0, 1).contains(0)
    assert Float(0, 1).contains(1.0)
    assert not Float(0, 1).contains(1.01)
    assert not Int(1, 4).contains(2.0)
    assert Choice("a", None).contains(None)
    assert not Choice("a").contains("b")


def test_a_partial_function_goes_by_all_its_arguments():
    one, other = (partial(random_normal, scale, n_out=3) for scale in (0.1, 0.2))
    assert list(Choice(one, other).labels) == ["random_normal(0.1, n_out=3)", "random_normal(0.2, n_out=3)"]


def test_choices_are_equal_by_their_options_and_conditions():
    assert Choice(1, 2) == Choice(1, 2)
    assert hash(Choice(1, 2)) == hash(Choice(1, 2))
    assert Choice(1, 2) != Choice(1, 2).when(tied=True)
    assert Choice(1, 2) != Choice(2, 1)
    assert Float(0, 1) != Float(0, 1).when(tied=True)


def test_ranges_read_as_one_would_say_them():
    assert str(Float(0.001, 1, log=True)) == "0.001 to 1, log"
    assert str(Int(5, 30, step=5)) == "5 to 30, step 5, whole"
    assert str(Choice(Relu, Tanh, None, 3)) == "Relu | Tanh | None | 3"
    assert repr(Space(SGD, lr=0.1)) == "Space(SGD, lr=0.1)"


def test_random_answers_always_build():
    """Whatever is drawn, the constructor takes it."""
    generator = random.Random(0)

    def ask(path, domain):
        if isinstance(domain, Choice):
            return generator.choice(list(domain.labels))
        return generator.randint(domain.low, domain.high) if isinstance(domain, Int) else generator.uniform(0.1, 0.9)

    seen = [TIED.draw(ask, "m").build(None, None).given for _ in range(200)]
    assert {given[3] for given in seen} == {True, False}
    assert {given[4] for given in seen if given[3]} == {8}
    assert {given[4] for given in seen if not given[3]} == {100, 200}
    assert all(1 <= given[2] <= 8 and np.isfinite(given[5]) for given in seen)
