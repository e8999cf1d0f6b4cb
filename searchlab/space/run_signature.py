"""The signature of `Sweep.run` for type checkers and editors, which then know the options of a run."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Concatenate, ParamSpec

if TYPE_CHECKING:
    from searchlab.results.result import Result
    from searchlab.space.sweep import Sweep

P = ParamSpec("P")


def takes_options_of(
    config: Callable[P, object],
) -> Callable[[Callable[..., Result]], Callable[Concatenate[Sweep, P], Result]]:
    """Give a method the options of a configuration."""
    return lambda method: method
