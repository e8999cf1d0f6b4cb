"""The figures of a search, drawn from its trial records; matplotlib is imported only when a figure is asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from searchlab.errors import UserMistake
from searchlab.metrics import Goal
from searchlab.runs.trials import TrialRecord

if TYPE_CHECKING:
    from searchlab.reporting.figures import Figure, TrialCurve


def save_search_figures(
    trials: Sequence[TrialRecord],
    metric: str,
    goal: Goal,
    folder: Path,
    others: Mapping[str, Goal] | None = None,
) -> tuple[Path, ...]:
    """Draw the figures of a search into the folder and return their paths.

    `others` maps the name of each metric after the primary one to its goal.
    """
    from searchlab.reporting.figures import save_figures

    return tuple(save_figures(_curves(trials), metric, goal, folder, others or {}))


def boxes(trials: Sequence[TrialRecord], parameter: str, metric: str, goal: Goal) -> Figure:
    """Return a box plot of scores for each value of a parameter, given by its path or the last part of its path.

    Raises UserMistake when no trial has the parameter; the message lists those that the trials have.
    """
    from searchlab.reporting.figures import parameter_boxes

    known = list(dict.fromkeys(path for trial in trials for path in trial.parameters))
    if not any(parameter in (path, path.rpartition(".")[2]) for path in known):
        raise UserMistake(f"no trial has a parameter {parameter!r}; they have: {', '.join(known)}.")
    return parameter_boxes(_curves(trials), parameter, metric, goal)


def _curves(trials: Sequence[TrialRecord]) -> list[TrialCurve]:
    from searchlab.reporting.figures import TrialCurve

    return [TrialCurve(t.number, t.state, t.value, t.curve.scores, t.parameters, t.values) for t in trials]
