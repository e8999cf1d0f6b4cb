"""Which pictures a sweep and its winner leave behind, as PNG files."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TypeAlias

import numpy as np
from matplotlib.figure import Figure

from searchlab.backend import Array
from searchlab.reporting.figures.boundary import decision_boundary
from searchlab.reporting.figures.boxes import fold_boxes, parameter_boxes
from searchlab.reporting.figures.confusion import confusion_matrix
from searchlab.reporting.figures.curves import learning_curves
from searchlab.reporting.figures.grouping import worth_boxes
from searchlab.reporting.figures.history import optimization_history
from searchlab.reporting.figures.mistakes import worst_mistakes
from searchlab.reporting.figures.pareto import pareto_front
from searchlab.reporting.figures.through_time import gradient_through_time
from searchlab.reporting.figures.trials import TrialCurve
from searchlab.reporting.predictions import Predictions

DPI = 150

Predict: TypeAlias = Callable[[Array], Array]
Named: TypeAlias = tuple[str, Callable[[], Figure]]


def save_figures(
    trials: Sequence[TrialCurve], metric: str, goal: str, folder: Path, others: Mapping[str, str] | None = None
) -> list[Path]:
    """Draw all pictures of a search into the folder as PNG files; their paths.

    `others` are the goals of further metrics by name: the first of them gives the second axis of the Pareto front.
    """
    drawings: list[Named] = [
        ("learning-curves", partial(learning_curves, trials, metric, goal)),
        ("fold-boxes", partial(fold_boxes, trials, metric, goal)),
        ("optimization-history", partial(optimization_history, trials, metric, goal)),
    ]
    if others:
        goals = {metric: goal, **others}
        drawings.append(("pareto-front", partial(pareto_front, trials, goals)))
    for old in folder.glob("by-*.png"):  # of an earlier end: what is worth a picture changes with the trials
        old.unlink()
    for name in worth_boxes(trials):
        safe = re.sub(r"[^\w.-]", "_", name)
        drawings.append((f"by-{safe}", partial(parameter_boxes, trials, name, metric, goal)))
    return _save(drawings, folder)


def save_winner_figures(folder: Path, answers: Predictions, predict: Predict | None = None) -> list[Path]:
    """Draw what a winner answered into the folder: confusions, mistakes on images, a boundary in a plane; the paths.

    `predict` takes points (M, 2) and gives scores (M, C); a boundary needs it.
    """
    return _save(_of_winner(answers, predict), folder)


def save_recurrent_figures(folder: Path, through_time: Array) -> list[Path]:
    """Draw how far back a recurrent winner's gradient reaches, from its norms (T,), into the folder; the paths."""
    return _save([("gradient-through-time", partial(gradient_through_time, {"winner": through_time}))], folder)


def _of_winner(answers: Predictions, predict: Predict | None) -> Iterator[Named]:
    truth, scores, names = answers.truth, np.asarray(answers.scores), answers.names
    if scores.ndim != 2 or scores.shape[1] < 2:
        return
    known = np.isfinite(scores).all(axis=1)  # a row without scores was put into no class
    said = scores[known].argmax(axis=1)
    yield "confusion-matrix", partial(confusion_matrix, np.ravel(truth)[known], said, scores.shape[1], names)
    if answers.image is not None:
        yield "worst-mistakes", partial(worst_mistakes, answers.x, answers.image, truth, scores, names)
    if predict is not None and answers.x.ndim == 2 and answers.x.shape[1] == 2:
        yield "decision-boundary", partial(decision_boundary, predict, answers.x, truth, names)


def _save(drawings: Sequence[Named] | Iterator[Named], folder: Path) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, draw in drawings:
        paths.append(folder / f"{name}.png")
        draw().savefig(paths[-1], dpi=DPI)
    return paths
