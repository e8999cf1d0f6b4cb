"""Callbacks of Ray Tune: what they are, told without importing Ray, and the sweep for processes that call none."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from searchlab.space.sweep import Sweep


class TuneCallback(Protocol):
    """A callback of Ray Tune: an object of a subclass of `ray.tune.Callback`.

    Its methods are called in the process that runs Ray Tune, such as `on_trial_result` after each group that a worker
    has trained.
    """

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        """Receive the result of a group; `trial` is the worker that trained it."""


def is_tune_callback(value: object) -> bool:
    """Return whether this is a callback object of Ray Tune, told by its classes without importing Ray."""
    return any(kind.__name__ == "Callback" and kind.__module__.startswith("ray.tune") for kind in type(value).__mro__)


def without_callbacks(sweep: Sweep) -> Sweep:
    """Return the sweep for another process, which calls no callbacks: they may hold what cannot be pickled."""
    return replace(sweep, callbacks=()) if sweep.callbacks else sweep
