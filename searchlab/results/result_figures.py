"""The figures of a result."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from searchlab.metrics import Goal
from searchlab.reporting import search_figures
from searchlab.runs.trials import TrialRecord

if TYPE_CHECKING:
    from searchlab.reporting.figures import Figure


class ResultFigures(ABC):
    """The part of a result that plots its trials."""

    trials: tuple[TrialRecord, ...]
    metric: str
    goal: Goal

    @property
    @abstractmethod
    def goals(self) -> dict[str, Goal]:
        """The direction of each metric by name, the primary one first."""

    def boxes(self, parameter: str) -> Figure:
        """Return a figure with a box of scores for each value of a parameter, such as "optimizer" or "lr".

        This and the other figures are matplotlib figures that a notebook shows; `savefig` writes them as PNG, SVG or
        PDF.

        Raises:
            UserMistake: When no trial has such a parameter.
        """
        return search_figures.box_plot(self.trials, parameter, self.metric, self.goal)

    def learning_curves_figure(self, best: int = 5) -> Figure:
        """Return a figure of the held-out score after each epoch, as the mean over folds, of the best trials.

        Args:
            best: Number of trials; default 5.
        """
        return search_figures.learning_curves_figure(self.trials, self.metric, self.goal, best)

    def optimization_history_figure(self) -> Figure:
        """Return a figure of the score of every trial by its number, and of the best score so far."""
        return search_figures.optimization_history_figure(self.trials, self.metric, self.goal)

    def pareto_front_figure(self) -> Figure:
        """Return a figure of the complete trials by the first two metrics, and of the Pareto front.

        Raises:
            UserMistake: When the sweep has only one metric.
        """
        return search_figures.pareto_front_figure(self.trials, self.goals)

    def importance_figure(self) -> Figure:
        """Return a figure of the importance of each parameter, by Optuna's PED-ANOVA, at equal epochs."""
        return search_figures.importance_figure(self.trials, self.metric, self.goal)

    def scatter_figure(self) -> Figure:
        """Return a figure of the scores against each continuous parameter; pruned trials are hollow."""
        return search_figures.scatter_figure(self.trials, self.metric, self.goal)

    def heat_map_figure(self, *parameters: str) -> Figure:
        """Return a heat map of the scores by two parameters, given by their paths; default: two of the most important.

        Raises UserMistake where no trial has a given parameter, or another number of parameters than two is given.
        """
        return search_figures.heat_map_figure(self.trials, self.metric, self.goal, parameters)

    def parallel_figure(self) -> Figure:
        """Return a figure with a line per trial across an axis per parameter, the most important ones first."""
        return search_figures.parallel_figure(self.trials, self.metric, self.goal)

    def ranking_figure(self) -> Figure:
        """Return a figure of the difference of each of the best trials to the best one, with 95 % intervals."""
        return search_figures.ranking_figure(self.trials, self.metric, self.goal)
