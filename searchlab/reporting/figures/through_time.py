"""How far back in time a recurrent network's loss is felt: why gradients are clipped, and why gates were invented."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from searchlab.backend import Array
from searchlab.reporting.style import COLORS, canvas, empty, legend, subtitle, whole_numbers

FEW = 60  # moments: up to here each has a mark


def gradient_through_time(norms: Mapping[str, Array]) -> Figure:
    """A line for each network's norms (T,) of the gradient at each moment, the last moment's first.

    What is 0 or not finite has no place on a log axis and is left out.
    """
    figure, axes = canvas("Gradient norm through time", "steps back from the last moment", "norm of the gradient")
    shown = {name: np.asarray(values, dtype=np.float64)[::-1] for name, values in norms.items()}
    shown = {name: np.where(np.isfinite(v) & (v > 0.0), v, np.nan) for name, v in shown.items()}
    shown = {name: values for name, values in shown.items() if not np.isnan(values).all()}
    if not shown:
        return empty(figure, axes, "no gradient reaches any moment")
    for rank, (name, values) in enumerate(shown.items()):
        color, marker = COLORS[rank % len(COLORS)], "o" if len(values) <= FEW else ""
        axes.plot(np.arange(len(values)), values, color=color, linewidth=1.8, marker=marker, markersize=3.5, label=name)
    axes.set_yscale("log")
    whole_numbers(axes)
    subtitle(
        axes, "what the last moment's loss alone sends back to the inputs: falling, it vanishes; rising, it explodes"
    )
    legend(axes)
    return figure
