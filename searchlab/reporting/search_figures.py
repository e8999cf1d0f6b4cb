"""The figures of a search, plotted from its trial records; matplotlib is imported only when a figure is needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from searchlab.errors import UserMistake
from searchlab.metrics import Goal
from searchlab.reporting.formats import parameter_name
from searchlab.runs.trials import TrialRecord
from searchlab.wording import count

if TYPE_CHECKING:
    from searchlab.reporting.figures import Figure, PlottedTrial, ShownImportance


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

    importance = shown_importance(trials, metric, goal)
    return tuple(save_trial_figures(_plotted(trials), metric, goal, folder, others or {}, importance))


def box_plot(trials: Sequence[TrialRecord], parameter: str, metric: str, goal: Goal) -> Figure:
    """Return a box plot of scores for each value of a parameter, given by its path or the last part of its path.

    Raises UserMistake when no trial has the parameter; the message lists those that the trials have.
    """
    from searchlab.reporting.figures import plot_parameter_scores

    known = list(dict.fromkeys(path for trial in trials for path in trial.parameters))
    if not any(parameter in (path, parameter_name(path)) for path in known):
        raise UserMistake(f"no trial has a parameter {parameter!r}; they have: {', '.join(known)}.")
    return plot_parameter_scores(_plotted(trials), parameter, metric, goal)


def learning_curves_figure(trials: Sequence[TrialRecord], metric: str, goal: Goal, best: int = 5) -> Figure:
    """Return a figure of the mean over folds after each epoch of the `best` best trials."""
    from searchlab.reporting.figures import plot_learning_curves

    return plot_learning_curves(_plotted(trials), metric, goal, best)


def optimization_history_figure(trials: Sequence[TrialRecord], metric: str, goal: Goal) -> Figure:
    """Return a figure of the score of every trial by its number, and of the best score so far."""
    from searchlab.reporting.figures import plot_optimization_history

    return plot_optimization_history(_plotted(trials), metric, goal)


def pareto_front_figure(trials: Sequence[TrialRecord], goals: Mapping[str, Goal]) -> Figure:
    """Return a figure of the complete trials by the first two of these metrics, and of the Pareto front.

    Raises UserMistake when there is only one metric.
    """
    from searchlab.reporting.figures import plot_pareto_front

    if len(goals) < 2:
        raise UserMistake(f"a Pareto front needs several metrics, and this sweep has one: {', '.join(goals)}.")
    return plot_pareto_front(_plotted(trials), goals)


def importance_figure(trials: Sequence[TrialRecord], metric: str, goal: Goal) -> Figure:
    """Return a figure of the importance of each parameter."""
    from searchlab.reporting.figures import plot_importance

    return plot_importance(shown_importance(trials, metric, goal))


def scatter_figure(trials: Sequence[TrialRecord], metric: str, goal: Goal) -> Figure:
    """Return a figure of the scores against each continuous parameter, the most important ones first."""
    from searchlab.reporting.figures import plot_parameter_scatter

    return plot_parameter_scatter(_plotted(trials), metric, goal, _most_important(trials, goal))


def heat_map_figure(trials: Sequence[TrialRecord], metric: str, goal: Goal, parameters: Sequence[str] = ()) -> Figure:
    """Return a heat map of the scores by two parameters, given by their paths; default: two of the most important.

    Raises UserMistake when no trial has a given parameter, or another number of parameters than two is given.
    """
    from searchlab.reporting.figures import plot_parameter_heat_map

    known = list(dict.fromkeys(path for trial in trials for path in trial.parameters))
    if len(parameters) not in (0, 2):
        raise UserMistake(f"a heat map shows 2 parameters, got {len(parameters)}: {', '.join(parameters)}.")
    for path in parameters:
        if path not in known:
            raise UserMistake(f"no trial has a parameter {path!r}; they have: {', '.join(known)}.")
    pair = (parameters[0], parameters[1]) if parameters else None
    first = () if pair else _most_important(trials, goal)
    return plot_parameter_heat_map(_plotted(trials), metric, goal, first, pair)


def parallel_figure(trials: Sequence[TrialRecord], metric: str, goal: Goal) -> Figure:
    """Return a figure with a line per trial across an axis per parameter, the most important ones first."""
    from searchlab.reporting.figures import plot_parallel_coordinates

    return plot_parallel_coordinates(_plotted(trials), metric, goal, _most_important(trials, goal))


def ranking_figure(trials: Sequence[TrialRecord], metric: str, goal: Goal) -> Figure:
    """Return a figure of the difference of each of the best trials to the best one, with its interval."""
    from searchlab.reporting.figures import plot_ranking

    return plot_ranking(_plotted(trials), metric, goal)


def shown_importance(trials: Sequence[TrialRecord], metric: str, goal: Goal) -> ShownImportance:
    """Return the importance of the parameters, and a sentence on how it was computed or why there is none."""
    from searchlab.reporting.figures import ShownImportance
    from searchlab.study.importance import parameter_importance

    found = parameter_importance(trials, goal)
    if found.reason:
        return ShownImportance({}, found.evaluator, f"no importance: {found.reason}")
    until = f" until epoch {found.epoch}" if any(trial.state == "PRUNED" for trial in trials) else ""
    text = f"the best {found.best} of {count(found.trials, 'trial')} against all, by their best {metric}{until}"
    return ShownImportance(found.shares, found.evaluator, text)


def _most_important(trials: Sequence[TrialRecord], goal: Goal) -> list[str]:
    from searchlab.study.importance import parameter_importance

    return list(parameter_importance(trials, goal).shares)


def _plotted(trials: Sequence[TrialRecord]) -> list[PlottedTrial]:
    from searchlab.reporting.figures import PlottedTrial

    return [
        PlottedTrial(
            t.number, t.state, t.value, t.curve.scores, t.parameters, t.values, t.domains, t.curve.training_scores
        )
        for t in trials
    ]
