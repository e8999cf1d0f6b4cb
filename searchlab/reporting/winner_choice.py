"""Why the winner was chosen, as parts of sentences."""

from __future__ import annotations

from collections.abc import Iterable

from searchlab.metrics import Goal
from searchlab.reporting.formats import score


def search_choice(own: float, finalists: Iterable[float], goal: Goal) -> str:
    """Return what the winner's score in the search has to do with the choice of it, as a relative clause.

    Args:
        own: Its score in the search.
        finalists: Those of the trials that were run again; none where none was.
        goal: Direction of the metric.
    """
    is_best = all(own >= other if goal == "max" else own <= other for other in finalists)
    return "which chose it for this score" if is_best else "where another trial had a better score"


def optimism_text(optimism: float) -> str:
    """Return how the winner's score in the search compares with that of fresh seeds: "0.0033 worse than with ..."."""
    if optimism == 0.0:
        return "as good as with fresh seeds"
    return f"{score(abs(optimism))} {'better' if optimism > 0.0 else 'worse'} than with fresh seeds"
