"""Errors that come through Ray become one sentence, however they are wrapped."""

from __future__ import annotations

import traceback

import pytest
from ray.exceptions import ActorDiedError
from ray.tune.error import TuneError

from searchlab.errors import UserMistake, WorldFault
from searchlab.runs.ray_errors import as_searchlab_error, error_sentence, first_line


def wrapped(*errors):
    """Tune's error for the last of these, raised while the first was handled."""
    try:
        try:
            raise errors[0]
        except type(errors[0]):
            raise errors[-1]  # noqa: B904  # as libraries do it
    except Exception:
        return TuneError(traceback.format_exc())


def check_sentence(error, reason):
    """Check that the sentence for an error of the sweep "mine" gives this reason and how to continue, on one line."""
    sentence = error_sentence("mine", error)
    assert f"({reason}" in sentence
    assert "`searchlab resume mine`" in sentence
    assert len(sentence.splitlines()) == 1


def test_the_reason_is_the_first_line_of_an_error():
    check_sentence(ValueError("the connection is cut\nand more"), "the connection is cut)")


def test_the_reason_of_an_error_without_text_is_its_type():
    check_sentence(ActorDiedError(), "The actor died")
    check_sentence(ValueError(), "ValueError)")


@pytest.mark.parametrize("before", [[], [KeyError("another")]])
def test_the_reason_of_a_traceback_is_its_last_error(before):
    check_sentence(
        wrapped(*before, ValueError("the actor died\n\tclass_name: StudyActor\n\tpid: 3")), "the actor died)"
    )


def test_a_fault_of_another_process_keeps_its_sentence():
    fault = WorldFault("The disk is full; free some space and resume.")
    assert error_sentence("mine", wrapped(fault)) == str(fault)


@pytest.mark.parametrize(("error", "kind"), [(UserMistake("taken"), UserMistake), (ValueError("cut"), WorldFault)])
def test_a_mistake_stays_a_mistake_and_all_else_is_a_fault(error, kind):
    assert type(as_searchlab_error("mine", error)) is kind


def test_a_traceback_of_the_server_is_the_error_of_rays_client():
    server_traceback = str(wrapped(RuntimeError("no room")))
    error = ConnectionAbortedError(f"Initialization failure from server:\n{server_traceback}")
    assert first_line(error) == "no room"
