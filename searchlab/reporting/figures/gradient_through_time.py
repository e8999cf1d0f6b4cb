"""The gradient norm at each time step of a recurrent network: why gradients are clipped, and why gates are used."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from searchlab.backend import Array
from searchlab.reporting.style import COLORS, add_legend, add_subtitle, new_figure, show_message, use_integer_ticks

MAX_MARKED_STEPS = 60  # longer lines have no mark per time step


def plot_gradient_through_time(norms: Mapping[str, Array]) -> Figure:
    """Plot the gradient norms (T,) of each network by name, from the last time step back to the first.

    Norms that are 0 or not finite have no place on a logarithmic axis and are left out.
    """
    figure, axes = new_figure("Gradient norm through time", "time steps before the last one", "gradient norm")
    shown = {name: np.asarray(values, dtype=np.float64)[::-1] for name, values in norms.items()}
    shown = {name: np.where(np.isfinite(v) & (v > 0.0), v, np.nan) for name, v in shown.items()}
    shown = {name: values for name, values in shown.items() if not np.isnan(values).all()}
    if not shown:
        return show_message(figure, axes, "the gradient is 0 or not finite at every time step")
    for rank, (name, values) in enumerate(shown.items()):
        color, marker = COLORS[rank % len(COLORS)], "o" if len(values) <= MAX_MARKED_STEPS else ""
        axes.plot(np.arange(len(values)), values, color=color, linewidth=1.8, marker=marker, markersize=3.5, label=name)
    axes.set_yscale("log")
    use_integer_ticks(axes)
    add_subtitle(
        axes, "gradient of the last step's loss with respect to earlier inputs: falling = vanishing, rising = exploding"
    )
    add_legend(axes)
    return figure
