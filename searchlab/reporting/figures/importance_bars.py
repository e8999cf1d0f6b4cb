"""The importance of each parameter as a bar."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from matplotlib.figure import Figure

from searchlab.reporting.formats import percent
from searchlab.reporting.style import COLORS, TEXT_COLOR, add_subtitle, new_figure, show_message

MAX_BARS = 15


@dataclass(frozen=True)
class ShownImportance:
    """The importance of parameters as plain values.

    Attributes:
        shares: Importance of each parameter by its path, the largest first; empty where there is none.
        evaluator: Name of what computed it.
        text: How it was computed, or why there is none.
    """

    shares: Mapping[str, float]
    evaluator: str = "PED-ANOVA"
    text: str = "no importance is known"


def plot_importance(importance: ShownImportance) -> Figure:
    """Plot the importance of each parameter, the most important first, as bars whose lengths add up to 1."""
    shown = list(importance.shares.items())[:MAX_BARS]
    size = (8.0, max(1.6 + 0.34 * len(shown), 2.6))
    figure, axes = new_figure("Importance of parameters", f"importance by {importance.evaluator}", "", size=size)
    if not shown:
        return show_message(figure, axes, importance.text)
    places = range(len(shown))
    axes.barh(places, [share for _, share in shown], height=0.62, color=COLORS[0])
    for place, (_, share) in zip(places, shown, strict=True):
        axes.annotate(
            percent(share) if share >= 0.005 else "<1%",
            (share, place), (4, 0), textcoords="offset points", va="center", fontsize=10, color=TEXT_COLOR,
        )  # fmt: skip
    axes.set_yticks(places, [path for path, _ in shown])
    axes.invert_yaxis()
    axes.set_xlim(0.0, max(share for _, share in shown) * 1.1)
    axes.grid(visible=False, axis="y")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    add_subtitle(axes, importance.text)
    return figure
