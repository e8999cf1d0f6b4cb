"""Gradient norms and spreads of outputs by layer while a network trains: do they vanish, or explode, with depth?"""

from __future__ import annotations

from itertools import zip_longest

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from searchlab.reporting.style import FloatArray, new_panels, use_integer_ticks
from searchlab.scoring import LayerStatistics

MAX_NAMED_LAYERS = 14  # of more, evenly spaced ones are named in the legend


def plot_layer_statistics(statistics: LayerStatistics) -> Figure:
    """Plot the gradient norm and the standard deviation of the outputs of each layer after each epoch.

    The color goes from dark for the first layer to light for the last one. Numbers that are 0 or not finite have no
    place on a logarithmic axis and are left out.

    Reference:
        Glorot and Bengio (2010).
    """
    subtitle = "on one batch of training rows; epoch 0 is before training"
    figure, panels = new_panels("Gradients and outputs by layer", subtitle, 2, 1)
    values = (statistics.gradient_norms, statistics.output_stds)
    for axes, rows, label in zip(panels, values, ("gradient norm", "std of outputs"), strict=True):
        _draw_layers(axes, np.array(rows, dtype=np.float64).reshape(-1, len(statistics.layers)))  # (E + 1, L)
        axes.set_ylabel(label, fontsize=11)
        axes.tick_params(which="both", labelsize=9)
        use_integer_ticks(axes)
    panels[-1].set_xlabel("epoch", fontsize=11)
    lines, names = panels[0].get_lines(), layer_labels(statistics)
    named = np.unique(np.linspace(0, len(names) - 1, min(len(names), MAX_NAMED_LAYERS)).round().astype(int)).tolist()
    figure.legend(
        [lines[layer] for layer in named],
        [names[layer] for layer in named],
        loc="outside right center",
        title="layer",
        frameon=False,
        fontsize=9,
        alignment="left",
    )
    return figure


def layer_labels(statistics: LayerStatistics) -> list[str]:
    """Return a label for each layer: its number and its name without what all names begin with.

    Where only positions in a list are left of the names, the label has the class of the layer instead.
    """
    paths = [name.split(".") for name in statistics.layers]
    common = 0
    for parts in zip_longest(*paths):
        if len(set(parts)) > 1 or len(paths) < 2:
            break
        common += 1
    names = [".".join(path[common:]) for path in paths]
    if all(name.isdigit() for name in names):
        names = list(statistics.kinds)
    return [f"{number}  {name}" for number, name in enumerate(names, start=1)]


def _draw_layers(axes: Axes, values: FloatArray) -> None:
    """Draw a line for each column of the values (E + 1, L)."""
    shown = np.where(np.isfinite(values) & (values > 0.0), values, np.nan)
    colors = mpl.colormaps["viridis"](np.linspace(0.0, 0.9, max(2, shown.shape[1])))
    marker = "o" if len(shown) <= 30 else ""
    for layer, color in zip(range(shown.shape[1]), colors, strict=False):
        axes.plot(range(len(shown)), shown[:, layer], color=color, linewidth=1.6, marker=marker, markersize=3)
    margin = max(0.02 * (len(shown) - 1), 0.1)
    axes.set_xlim(-margin, len(shown) - 1 + margin)
    if np.isfinite(shown).any():
        axes.set_yscale("log")
    else:
        axes.text(0.5, 0.5, "0 or not finite everywhere", transform=axes.transAxes, ha="center")
