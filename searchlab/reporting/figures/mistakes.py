"""The images that a classifier is most surely wrong about."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from searchlab.backend import Array
from searchlab.reporting.predictions import class_name, probabilities
from searchlab.reporting.style import INK, SOFT, Numbers, canvas, empty, subtitle

SHORT = 5  # letters of "4 → 9": such captions fit above eight images side by side
BESIDE, CAPTION = 0.2, 0.3  # room beside an image and above it, in sides of an image
PAPER = 0.25  # an image with this share of its pixels at the darkest is ink on paper, and is shown as that
WIDE, AROUND, ABOVE = 7.6, 0.2, 0.8  # inches that hold images, that frame them, and that hold the title


def worst_mistakes(
    images: Array,
    image: tuple[int, int],
    truth: Array,
    scores: Array,
    names: Sequence[str] | None = None,
    shown: int = 24,
) -> Figure:
    """The images (N, H W) that scores (N, C) put into a wrong class with the largest probability, the surest first."""
    truth, shares = np.ravel(truth).astype(np.int64), probabilities(scores)
    mistakes = surest_mistakes(truth, shares)
    picked = mistakes[:shown]
    captions = [_caption(int(truth[row]), shares[row], names) for row in picked]
    columns = 8 if all(len(pair) <= SHORT for pair, _ in captions) else 4
    side = WIDE / columns / (image[1] / max(image) + BESIDE)  # inches of an image's longer side
    rows = max(-(-len(picked) // columns), 1)
    tall = rows * side * (image[0] / max(image) + CAPTION)
    size = WIDE + 2 * AROUND, tall + ABOVE + AROUND
    figure, axes = canvas("Worst mistakes", "", "", size=size)
    figure.set_layout_engine("none")  # every inch is known; what makes room for texts does not know of equal sides
    axes.set_position((AROUND / size[0], AROUND / size[1], WIDE / size[0], tall / size[1]))
    axes.set(xticks=[], yticks=[], anchor="NW")
    axes.spines[:].set_visible(False)
    if not len(picked):
        return empty(figure, axes, "no mistakes" if len(truth) else "no images")
    pixels = np.asarray(images, dtype=np.float64)[picked].reshape(-1, *image)
    _hang(axes, pixels, [(" " * 2 if columns == 8 else "\n").join(caption) for caption in captions], columns)
    some = f"the surest {len(picked)} of {len(mistakes):,}" if len(picked) < len(mistakes) else f"all {len(picked)}"
    subtitle(axes, f"{some} mistakes in {len(truth):,} images; what it was → what was said, and how surely")
    return figure


def surest_mistakes(truth: Array, shares: Numbers) -> Array:
    """The rows whose probabilities (N, C) are largest at a wrong class, the largest first; NaN is no answer."""
    wrong = np.flatnonzero(np.isfinite(shares).all(axis=1) & (shares.argmax(axis=1) != truth))
    order: Array = wrong[np.argsort(-shares[wrong].max(axis=1, initial=0.0), kind="stable")]
    return order


def _caption(was: int, shares: Numbers, names: Sequence[str] | None) -> tuple[str, str]:
    return f"{class_name(was, names)} → {class_name(int(shares.argmax()), names)}", f"{shares.max():.2f}"


def _hang(axes: Axes, pixels: Numbers, captions: Sequence[str], columns: int) -> None:
    """The images (n, H, W) in rows from the top left, each below its caption; a longer side is 1 long."""
    high, wide = (side / max(pixels.shape[1:]) for side in pixels.shape[1:])
    paper = np.mean(pixels == np.nanmin(pixels)) > PAPER
    look: dict[str, Any] = {"cmap": "gray_r" if paper else "gray", "vmin": np.nanmin(pixels), "vmax": np.nanmax(pixels)}
    for place, (one, caption) in enumerate(zip(pixels, captions, strict=True)):
        row, column = divmod(place, columns)
        left, top = column * (wide + BESIDE), row * (high + CAPTION) + CAPTION
        axes.imshow(one, extent=(left, left + wide, top + high, top), interpolation="nearest", **look)
        axes.plot(
            [left, left + wide, left + wide, left, left], [top, top, top + high, top + high, top], color=SOFT, lw=0.7
        )
        axes.text(left + wide / 2, top - 0.05, caption, ha="center", va="bottom", fontsize=9, color=INK)
    rows = -(-len(pixels) // columns)
    axes.set(xlim=(-0.02, columns * (wide + BESIDE) - 0.02), ylim=(rows * (high + CAPTION) + 0.01, 0.01))
