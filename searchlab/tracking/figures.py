"""Pictures of a sweep from plain values: learning curves, scores by fold, the history of the search."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from searchlab.tracking.drawing import (
    COLORS,
    INK,
    SOFT,
    Numbers,
    canvas,
    empty,
    legend,
    limit,
    scatter,
    spread_of,
    subtitle,
    whole_numbers,
)

DPI = 150
FAILED: dict[str, Any] = {"label": "failed", "clip_on": False, "zorder": 5, "markersize": 7, "markeredgewidth": 1.6}


@dataclass(frozen=True)
class TrialCurve:
    """A trial's number, how it ended (COMPLETE, PRUNED, FAIL), its value, and its scores by epoch and fold."""

    number: int
    state: str
    value: float | None
    curve: list[list[float]] = field(default_factory=list)


def learning_curves(trials: Sequence[TrialCurve], metric: str, goal: str, best: int = 5) -> Figure:
    """The mean over the folds by epoch of the best trials, with one standard deviation on either side."""
    chosen = [trial for trial in _best(trials, goal) if trial.curve][:best]
    figure, axes = canvas("Learning curves of the best trials", "epoch", metric)
    if not chosen:
        return empty(figure, axes)
    in_view = []
    for rank, trial in enumerate(chosen):
        scores = _scores(trial)  # (epochs, K)
        mean, std, epochs = scores.mean(axis=1), scores.std(axis=1), np.arange(1, len(scores) + 1)
        color, marker = COLORS[rank % len(COLORS)], "o" if len(scores) < 3 else ""
        axes.fill_between(epochs, mean - std, mean + std, color=color, alpha=0.13, linewidth=0)
        axes.plot(epochs, mean, color=color, linewidth=1.8, marker=marker, label=_name(trial), zorder=10 - rank)
        settled = len(scores) // 5  # the steep first epochs may leave the picture: what differs lies above them
        in_view += [mean[settled:] - std[settled:], mean[settled:] + std[settled:]]
    limit(axes, np.concatenate(in_view))
    whole_numbers(axes)
    last = max(len(trial.curve) for trial in chosen)
    margin = max(0.01 * last, 0.5 if last < 3 else 0.0)
    axes.set_xlim(1 - margin, last + margin)
    folds = len(chosen[0].curve[0])
    subtitle(axes, f"mean over {folds} folds, band: one standard deviation" if folds > 1 else "one fold")
    legend(axes, metric)
    return figure


def fold_boxes(trials: Sequence[TrialCurve], metric: str, goal: str, best: int = 10) -> Figure:
    """The scores of the folds of each of the best trials, at the epoch where their mean was best."""
    chosen = [trial for trial in _best(trials, goal) if trial.curve][:best]
    figure, axes = canvas("Scores by fold of the best trials", "trial, best first", metric)
    if not chosen:
        return empty(figure, axes)
    scores = [row[np.isfinite(row)] for row in (_at_best_epoch(trial, goal) for trial in chosen)]
    places = range(1, len(chosen) + 1)
    line = {"color": COLORS[0], "linewidth": 1.3}
    face = {**line, "facecolor": "#d6e8f4"}
    axes.boxplot(
        scores,
        positions=list(places),
        widths=min(0.55, 0.12 * (len(chosen) + 1)),
        patch_artist=True,
        showfliers=False,
        whis=(0, 100),
        showmeans=True,
        meanprops={"marker": "D", "markersize": 6, "markerfacecolor": "white", "markeredgecolor": INK, "zorder": 4},
        boxprops=face,
        medianprops={"color": INK, "linewidth": 1.8},
        whiskerprops=line,
        capprops=line,
    )
    for place, row in zip(places, scores, strict=True):
        sideways = np.linspace(-0.12, 0.12, len(row)) if len(row) > 1 else np.zeros(len(row))
        axes.scatter(place + sideways, row, s=20, color=COLORS[1], edgecolor="white", linewidth=0.5, zorder=3)
    axes.set_xticks(list(places), [str(trial.number) for trial in chosen])
    axes.set_xlim(0.4, max(len(chosen), 3) + 0.6)
    axes.grid(visible=False, axis="x")
    limit(axes, np.concatenate(scores))
    subtitle(axes, "at the epoch of the best mean; points: folds, diamond: mean, line: median, box: middle half")
    return figure


def optimisation_history(trials: Sequence[TrialCurve], metric: str, goal: str) -> Figure:
    """The value of every finished trial in the order of their numbers, and the best one so far."""
    figure, axes = canvas("Optimisation history", "trial", metric)
    complete, pruned = _valued(trials, "COMPLETE"), _valued(trials, "PRUNED")
    failed = [trial.number for trial in trials if trial.state == "FAIL"]
    if not complete and not pruned and not failed:
        return empty(figure, axes)
    values = np.array([value for _, value in complete or pruned], dtype=np.float64)
    low, high = spread_of(values, goal)
    limit(axes, np.array([low, high]))
    scatter(axes, pruned, low, high, facecolor="white", edgecolor=SOFT, s=26, label="pruned")
    scatter(axes, complete, low, high, facecolor=COLORS[0], edgecolor="white", linewidth=0.5, s=36, label="complete")
    if complete:
        so_far = (np.maximum if goal == "max" else np.minimum).accumulate(values)
        numbers = [*(number for number, _ in complete), max(trial.number for trial in trials)]
        axes.step(numbers, [*so_far, so_far[-1]], where="post", color=COLORS[1], linewidth=1.8, label="best so far")
    if failed:
        axes.plot(failed, [0.0] * len(failed), "x", color=INK, transform=axes.get_xaxis_transform(), **FAILED)
    if not len(values):
        axes.set_yticks([])
    off_scale = any(not low <= value <= high for _, value in complete + pruned)
    subtitle(axes, "one mark per trial" + ("; triangles lie beyond the scale" if off_scale else ""))
    whole_numbers(axes)
    legend(axes)
    return figure


def save_figures(trials: Sequence[TrialCurve], metric: str, goal: str, folder: Path) -> list[Path]:
    """Draw all pictures into the folder as PNG files; their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    drawings: dict[str, Callable[[Sequence[TrialCurve], str, str], Figure]] = {
        "learning-curves": learning_curves,
        "fold-boxes": fold_boxes,
        "optimisation-history": optimisation_history,
    }
    paths = []
    for name, draw in drawings.items():
        paths.append(folder / f"{name}.png")
        draw(trials, metric, goal).savefig(paths[-1], dpi=DPI)
    return paths


def _valued(trials: Iterable[TrialCurve], state: str) -> list[tuple[int, float]]:
    """Number and value of the trials in this state that have a finite one, in the order of their numbers."""
    numbered = ((trial.number, trial.value) for trial in trials if trial.state == state)
    return sorted((number, value) for number, value in numbered if value is not None and math.isfinite(value))


def _best(trials: Iterable[TrialCurve], goal: str) -> list[TrialCurve]:
    """The trials with a value, best first: complete ones, or pruned ones while there are no others."""
    by_number, sign = {trial.number: trial for trial in trials}, -1.0 if goal == "max" else 1.0
    ranked = _valued(by_number.values(), "COMPLETE") or _valued(by_number.values(), "PRUNED")
    return [by_number[number] for number, _ in sorted(ranked, key=lambda entry: (sign * entry[1], entry[0]))]


def _scores(trial: TrialCurve) -> Numbers:
    """(epochs, K); what is not finite is left out of the picture."""
    scores = np.array(trial.curve, dtype=np.float64)
    scores[~np.isfinite(scores)] = np.nan
    return scores


def _at_best_epoch(trial: TrialCurve, goal: str) -> Numbers:
    mean = _scores(trial).mean(axis=1)
    worst = -np.inf if goal == "max" else np.inf
    settled = np.where(np.isnan(mean), worst, mean)
    best: Numbers = _scores(trial)[int(settled.argmax() if goal == "max" else settled.argmin())]
    return best


def _name(trial: TrialCurve) -> str:
    return f"{trial.value:.4g}  trial {trial.number}"
