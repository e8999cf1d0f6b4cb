"""Why the winner was chosen, as parts of sentences."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

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


def tie_text(trial: int, finalists: Sequence[Mapping[str, Any]]) -> str:
    """Return that the winner is one of several tied finalists, and why it won; an empty string where it is not.

    Args:
        trial: Number of the winner.
        finalists: The trials that were run again, as `Finalist.to_json` gives them, the one that was chosen first.
    """
    weights = [finalist["weights"] for finalist in finalists if finalist["is_tied"]]
    if len(weights) < 2 or finalists[0]["trial"] != trial:
        return ""
    equal = weights.count(weights[0])
    why = f"trial {trial} is the smallest of them"
    if equal > 1:
        why = f"trial {trial} has the best mean of the {equal} smallest"
    return f"{len(weights)} finalists are tied: no difference was measurable, and {why}"
