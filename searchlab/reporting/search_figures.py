"""The figures of a search, plotted from its trial records; matplotlib is imported only when a figure is needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from searchlab.errors import UserMistake
from searchlab.metrics import Goal
from searchlab.reporting.formats import parameter_name
from searchlab.runs.trials import TrialRecord

if TYPE_CHECKING:
    from searchlab.reporting.figures import Figure, PlottedTrial


def save_search_figures(
    trials: Sequence[TrialRecord],
    metric: str,
    goal: Goal,
    folder: Path,
    others: Mapping[str, Goal] | None = None,
) -> tuple[Path, ...]:
    """Save the figures of a search into the folder and return their paths.

    `others` maps the name of each metric after the primary one to its goal.
    """
    from searchlab.reporting.figures import save_trial_figures

    return tuple(save_trial_figures(_plotted(trials), metric, goal, folder, others or {}))


def box_plot(trials: Sequence[TrialRecord], parameter: str, metric: str, goal: Goal) -> Figure:
    """Return a box plot of scores for each value of a parameter, given by its path or the last part of its path.

    Raises UserMistake when no trial has the parameter; the message lists those that the trials have.
    """
    from searchlab.reporting.figures import plot_parameter_scores

    known = list(dict.fromkeys(path for trial in trials for path in trial.parameters))
    if not any(parameter in (path, parameter_name(path)) for path in known):
        raise UserMistake(f"no trial has a parameter {parameter!r}; they have: {', '.join(known)}.")
    return plot_parameter_scores(_plotted(trials), parameter, metric, goal)


def _plotted(trials: Sequence[TrialRecord]) -> list[PlottedTrial]:
    from searchlab.reporting.figures import PlottedTrial

    return [
        PlottedTrial(t.number, t.state, t.value, t.curve.scores, t.parameters, t.values, t.curve.training_scores)
        for t in trials
    ]
