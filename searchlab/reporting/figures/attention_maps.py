"""Maps of attention: which source tokens a decoder attends to while it writes each target token."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from searchlab.backend import Array
from searchlab.reporting.attention import AttentionMap
from searchlab.reporting.style import TEXT_COLOR, NotebookFigure, new_figure, show_message

CELL = 0.19  # inches of a cell
MIN_PANEL = 2.0  # inches of the width and height of a small map, with its labels
LABELS = 0.75  # inches for the labels of a map
VISIBLE = {" ": "␣", "<eos>": "end"}  # tokens that would be invisible or too long as labels
MAX_LONG_LABEL = 1  # letters from which source labels are turned


def plot_attention_maps(maps: Sequence[AttentionMap]) -> Figure:
    """Plot each map with its source from left to right and its target from top to bottom, on one scale from 0 to 1.

    Maps with several heads have one panel for each head.
    """
    title = "Attention over the source while each target token is written"
    panels = [(np.atleast_3d(each.weights.T).T[head], each) for each in maps for head in range(_heads(each))]
    if not panels:
        figure, axes = new_figure(title, "", "")
        return show_message(figure, axes, "no pairs of sequences")
    columns = max(map(_heads, maps)) if max(map(_heads, maps)) > 1 else min(2, len(panels))
    rows = -(-len(panels) // columns)
    width = max(MIN_PANEL, CELL * max(len(each.source) for each in maps) + LABELS)
    height = max(MIN_PANEL, CELL * max(len(each.target) for each in maps) + LABELS)
    size = (width * columns + 0.9, height * rows + 0.6)
    figure = NotebookFigure(figsize=size, layout="constrained", facecolor="white")
    figure.suptitle(title, x=0.01, ha="left", fontsize=13, fontweight="bold", color=TEXT_COLOR)
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.flat[len(panels) :]:
        axes.set_visible(False)
    for axes, (weights, each) in zip(grid.flat, panels, strict=False):
        image = _draw(axes, weights, each)
    figure.colorbar(image, ax=grid, label="weight", shrink=0.6)
    return figure


def _heads(each: AttentionMap) -> int:
    return each.weights.shape[0] if each.weights.ndim == 3 else 1


def _draw(axes: Axes, weights: Array, each: AttentionMap) -> AxesImage:
    """Draw one map, and return its image."""
    image = axes.imshow(weights, cmap="Greys", vmin=0.0, vmax=1.0, aspect="equal", interpolation="nearest")
    source, target = ([VISIBLE.get(token, token) for token in side] for side in (each.source, each.target))
    is_long = max(map(len, source)) > MAX_LONG_LABEL
    axes.set_xticks(range(len(source)), source, rotation=90 if is_long else 0, fontsize=8)
    axes.set_yticks(range(len(target)), target, fontsize=8)
    axes.xaxis.tick_top()
    axes.tick_params(length=0, colors=TEXT_COLOR)
    axes.set_anchor("NW")
    return image
