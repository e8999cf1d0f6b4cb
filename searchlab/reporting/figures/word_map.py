"""A map of word classes: where the vectors of their members lie, seen in two dimensions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from searchlab.backend import Array
from searchlab.reporting.style import COLORS, add_legend, add_subtitle, new_figure, show_message

LABEL_SIZE = 7.5


def plot_word_map(words: Mapping[str, Sequence[str]], points: Mapping[str, Array], subtitle: str = "") -> Figure:
    """Plot the words of each class at their points (n, 2), labelled, with one color per class.

    Args:
        words: The words of each class.
        points: Where each word lies (n, 2), by class.
        subtitle: Text below the title.
    """
    figure, axes = new_figure("Word vectors by class", "first principal axis", "second principal axis", size=(9.0, 6.5))
    if not words:
        return show_message(figure, axes, "no class has three members in the vocabulary")
    for rank, name in enumerate(words):
        color, places = COLORS[rank % len(COLORS)], points[name]
        axes.scatter(places[:, 0], places[:, 1], s=14, color=color, label=name)
        for word, (x, y) in zip(words[name], places.tolist(), strict=True):
            text = word.replace("$", r"\$")  # which matplotlib would read as mathematics
            axes.annotate(text, (x, y), xytext=(3, 2), textcoords="offset points", fontsize=LABEL_SIZE, color=color)
    add_subtitle(axes, subtitle or "members of a class lie together where their vectors are alike")
    add_legend(axes)
    return figure
