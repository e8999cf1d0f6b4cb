"""The number of trials of a search."""

from __future__ import annotations

from searchlab.errors import UserMistake
from searchlab.space.grid import GridPoints
from searchlab.wording import count


def trial_count(requested: int | None, grid: GridPoints | None) -> int:
    """Return the number of trials that is requested, or else the number of points of the grid.

    Raises:
        UserMistake: When more is requested than the grid has, or when there is no number.
    """
    available = len(grid.points) if grid else None
    if available is not None and requested is not None and requested > available:
        combinations = count(available, "combination")
        raise UserMistake(f"the grid has {combinations}, and trials={requested} is more; use at most {available}.")
    number = available if requested is None else requested
    if number is None:
        raise UserMistake("the sampler has no finite grid; give the number of trials, such as trials=50.")
    return number
