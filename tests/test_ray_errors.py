"""What Ray met is one sentence, whatever it is wrapped in."""

from __future__ import annotations

import traceback

import pytest
from ray.exceptions import ActorDiedError
from ray.tune.error import TuneError

from searchlab.errors import WorldFault
from searchlab.runs.ray_errors import error_sentence, first_line

KEPT = "what had ended is kept, and `searchlab resume mine` goes on."


def wrapped(*raised):
    """What Tune makes of these, raised one while the other was handled."""
    try:
        try:
            raise raised[0]
        except type(raised[0]):
            raise raised[-1]  # noqa: B904  # as libraries do it
    except Exception:
        return TuneError(traceback.format_exc())


def test_the_first_line_is_what_happened():
    assert (
        error_sentence("mine", ValueError("the way is cut\nand more"))
        == f"Ray could not go on (the way is cut); {KEPT}"
    )


def test_an_error_without_words_is_its_kind():
    assert error_sentence("mine", ActorDiedError()).startswith("Ray could not go on (The actor died")
    assert error_sentence("mine", ValueError()) == f"Ray could not go on (ValueError); {KEPT}"


@pytest.mark.parametrize("before", [[], [KeyError("another")]])
def test_of_a_traceback_it_is_what_was_raised_last(before):
    error = wrapped(*before, ValueError("the actor died\n\tclass_name: Desk\n\tpid: 3"))
    assert error_sentence("mine", error) == f"Ray could not go on (the actor died); {KEPT}"


def test_a_fault_that_was_told_elsewhere_keeps_its_words():
    assert error_sentence("mine", wrapped(WorldFault("The disk is full; go on with resume."))) == (
        "The disk is full; go on with resume."
    )


def test_a_traceback_of_the_server_is_what_rays_client_met():
    there = str(wrapped(RuntimeError("no room")))
    assert first_line(ConnectionAbortedError(f"Initialization failure from server:\n{there}")) == "no room"
