"""The figures of a search and of its winner as PNG files."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TypeAlias

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from searchlab.backend import Array
from searchlab.nn.class_probabilities import decide, softmax
from searchlab.reporting.attention import AttentionMap
from searchlab.reporting.figures.attention_maps import plot_attention_maps
from searchlab.reporting.figures.box_plots import plot_fold_scores, plot_parameter_scores
from searchlab.reporting.figures.confusion_matrix import plot_confusion_matrix
from searchlab.reporting.figures.decision_boundary import plot_decision_boundary
from searchlab.reporting.figures.gradient_through_time import plot_gradient_through_time
from searchlab.reporting.figures.importance_bars import ShownImportance, plot_importance
from searchlab.reporting.figures.layer_statistics import plot_layer_statistics
from searchlab.reporting.figures.learning_curves import plot_learning_curves
from searchlab.reporting.figures.misclassified_images import plot_misclassified_images
from searchlab.reporting.figures.optimization_history import plot_optimization_history
from searchlab.reporting.figures.parallel_coordinates import plot_parallel_coordinates
from searchlab.reporting.figures.parameter_axis import varying_paths
from searchlab.reporting.figures.parameter_groups import parameters_to_plot
from searchlab.reporting.figures.parameter_heat_map import heat_map_pair, plot_parameter_heat_map
from searchlab.reporting.figures.parameter_scatter import continuous_axes, plot_parameter_scatter
from searchlab.reporting.figures.pareto_front import plot_pareto_front
from searchlab.reporting.figures.plotted_trial import PlottedTrial, at_equal_epochs
from searchlab.reporting.figures.predicted_numbers import plot_predicted_numbers
from searchlab.reporting.figures.ranking import differences_to_best, plot_ranking
from searchlab.reporting.figures.word_map import plot_word_map
from searchlab.reporting.predictions import NumberPredictions, Predictions
from searchlab.scoring import LayerStatistics

DPI = 120
MIN_TRIALS = 4  # with a score, for a figure of parameters

Predict: TypeAlias = Callable[[Array], Array]
NamedPlot: TypeAlias = tuple[str, Callable[[], Figure]]  # the name of the file without its ending, and what plots it


def save_trial_figures(
    trials: Sequence[PlottedTrial],
    metric: str,
    goal: str,
    folder: Path,
    other_goals: Mapping[str, str] | None = None,
    importance: ShownImportance | None = None,
) -> list[Path]:
    """Save the figures of a search into the folder as PNG files and return their paths.

    `other_goals` maps the name of each metric after the primary one to its goal; the first of them is the second axis
    of the Pareto front. By `importance`, the most important parameters are shown first. A figure that could only say
    that there is too little to show is not saved.
    """
    plots: list[NamedPlot] = [
        ("learning-curves", partial(plot_learning_curves, trials, metric, goal)),
        ("fold-boxes", partial(plot_fold_scores, trials, metric, goal)),
        ("optimization-history", partial(plot_optimization_history, trials, metric, goal)),
    ]
    if other_goals:
        plots.append(("pareto-front", partial(plot_pareto_front, trials, {metric: goal, **other_goals})))
    plots += _parameter_plots(trials, metric, goal, importance or ShownImportance({}))
    for old in folder.glob("by-*.png"):  # an extended sweep may have a figure for other parameters than before
        old.unlink()
    for name in parameters_to_plot(trials, goal):
        safe = re.sub(r"[^\w.-]", "_", name)
        plots.append((f"by-{safe}", partial(plot_parameter_scores, trials, name, metric, goal)))
    return _save(plots, folder)


def save_prediction_figures(folder: Path, predictions: Predictions, predict: Predict | None = None) -> list[Path]:
    """Save the figures of a classifier into the folder and return their paths.

    These are a confusion matrix, the worst errors where the inputs are images, and the decision boundary where the
    inputs are points in a plane and `predict` returns the scores (M, C) of points (M, 2).
    """
    return _save(_prediction_plots(predictions, predict), folder)


def save_number_figures(folder: Path, predictions: NumberPredictions) -> list[Path]:
    """Save the figure of predicted against true numbers into the folder and return its path in a list."""
    plot = partial(plot_predicted_numbers, predictions.targets, predictions.predicted, predictions.names)
    return _save([("predicted-numbers", plot)], folder)


def save_gradient_figure(folder: Path, norms: Array) -> list[Path]:
    """Save the figure of a recurrent network's gradient norms (T,) into the folder and return its path in a list."""
    return _save([("gradient-through-time", partial(plot_gradient_through_time, {"winner": norms}))], folder)


def save_layer_figure(folder: Path, layers: LayerStatistics) -> list[Path]:
    """Save the figure of gradients and outputs by layer into the folder and return its path in a list."""
    return _save([("layer-statistics", partial(plot_layer_statistics, layers))], folder)


def save_attention_figure(folder: Path, maps: Sequence[AttentionMap]) -> list[Path]:
    """Save the figure of a decoder's attention into the folder and return its path in a list."""
    return _save([("attention-maps", partial(plot_attention_maps, maps))], folder)


def save_word_map(
    folder: Path, words: Mapping[str, Sequence[str]], points: Mapping[str, Array], left_out: Sequence[str] = ()
) -> list[Path]:
    """Save the map of word classes into the folder and return its path in a list; name the classes left out."""
    subtitle = f"too few members in the vocabulary: {', '.join(left_out)}" if left_out else ""
    return _save([("word-map", partial(plot_word_map, words, points, subtitle))], folder)


def _parameter_plots(
    trials: Sequence[PlottedTrial], metric: str, goal: str, importance: ShownImportance
) -> Iterator[NamedPlot]:
    first, scored = list(importance.shares), at_equal_epochs(trials, goal).folds
    judged = [trial for trial in trials if trial.number in scored]
    if len(differences_to_best(trials, goal)) > 1:
        yield "ranking", partial(plot_ranking, trials, metric, goal)
    if first:
        yield "importance", partial(plot_importance, importance)
    if len(judged) < MIN_TRIALS:
        return
    if continuous_axes(judged):
        yield "parameter-scatter", partial(plot_parameter_scatter, trials, metric, goal, first)
    if heat_map_pair(judged, first):
        yield "parameter-heat-map", partial(plot_parameter_heat_map, trials, metric, goal, first)
    if len(varying_paths(judged)) > 1:
        yield "parallel-coordinates", partial(plot_parallel_coordinates, trials, metric, goal, first)


def _prediction_plots(predictions: Predictions, predict: Predict | None) -> Iterator[NamedPlot]:
    x, labels, names = predictions.x, predictions.labels, predictions.class_names
    scores = np.asarray(predictions.scores)
    if scores.ndim != 2 or scores.shape[1] < 2:
        return
    finite = np.isfinite(scores).all(axis=1)  # a row without finite scores is predicted as no class
    rows = np.ravel(labels)[finite], decide(softmax(scores[finite]), predictions.threshold)
    yield "confusion-matrix", partial(plot_confusion_matrix, *rows, scores.shape[1], names)
    if predictions.image_shape is not None:
        yield "misclassified-images", partial(plot_misclassified_images, predictions)
    if predict is not None and x.ndim == 2 and x.shape[1] == 2:
        yield (
            "decision-boundary",
            partial(plot_decision_boundary, predict, x, labels, names, threshold=predictions.threshold),
        )


def _save(plots: Iterable[NamedPlot], folder: Path) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, plot in plots:
        paths.append(folder / f"{name}.png")
        _write_png(plot(), paths[-1])
    return paths


def _write_png(figure: Figure, path: Path) -> None:
    """Write a figure after drawing it once: `savefig` draws it twice, the first time only to lay it out."""
    figure.set_dpi(DPI)
    FigureCanvasAgg(figure).print_png(path)  # type: ignore[no-untyped-call]
