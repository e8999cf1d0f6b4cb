"""The interface of an engine, and the modules that implement it."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol, TypeAlias

from searchlab.engine.refit import RefitState
from searchlab.environment import driver_environment
from searchlab.runs.config import EngineName
from searchlab.runs.events import EventHandler
from searchlab.runs.job import Job, SearchResult
from searchlab.runs.trials import TrialRecord

FollowUp: TypeAlias = Callable[[SearchResult], tuple[Job, EventHandler] | None]
"""A function that gets the result of a search, and returns another search to carry out; None for none."""


class Engine(Protocol):
    """A module that carries out a search: `local`, `ray_tune` and `auto` of `searchlab.engine`."""

    def session(self, job: Job) -> AbstractContextManager[None]:
        """Return a context in which `search` and `refit` share resources such as a connection."""

    def search(self, job: Job, handler: EventHandler, follow_up: FollowUp | None = None) -> SearchResult:
        """Train until the study has no more trials, and pass every event to the handler.

        A search of the follow-up is carried out by the same workers, and its result is part of the result. Raises
        WorldFault when a search had to stop early; its study keeps what was reached.
        """

    def refit(self, job: Job, trial: TrialRecord) -> RefitState:
        """Train the trial once more on all training rows."""


def engine_named(name: EngineName) -> Engine:
    """Return the engine of this name, and import only what it needs."""
    if name == "local":
        from searchlab.engine import local

        return local
    if name == "auto":
        from searchlab.engine import auto

        return auto
    for variable, value in driver_environment().items():
        os.environ.setdefault(variable, value)  # before Ray is imported, which reads it once
    from searchlab.engine import ray_tune

    return ray_tune
