"""The interface of an engine, and the modules that implement it."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from typing import Protocol

from searchlab.engine.refit import Refit
from searchlab.environment import driver_environment
from searchlab.runs.config import EngineName
from searchlab.runs.events import EventHandler
from searchlab.runs.job import Job, SearchResult
from searchlab.runs.trials import TrialRecord


class Engine(Protocol):
    """A module that carries out a search: `searchlab.engine.local` and `searchlab.engine.ray_tune`."""

    def session(self, job: Job) -> AbstractContextManager[None]:
        """Return a context in which `search` and `refit` share resources such as a connection."""

    def search(self, job: Job, handler: EventHandler) -> SearchResult:
        """Train until the study has no more trials, and pass every event to the handler.

        Raises WorldFault when the search had to stop early; the study keeps what was reached.
        """

    def refit(self, job: Job, trial: TrialRecord) -> Refit:
        """Train the trial once more on all training rows."""


def engine_named(name: EngineName) -> Engine:
    """Return the engine of this name, and import only what it needs."""
    if name == "local":
        from searchlab.engine import local

        return local
    for variable, value in driver_environment().items():
        os.environ.setdefault(variable, value)  # before Ray is imported, which reads it once
    from searchlab.engine import ray_tune

    return ray_tune
