"""The images that a classifier assigns to a wrong class with the highest probability."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from searchlab.backend import Array
from searchlab.nn.class_probabilities import decide, softmax
from searchlab.reporting.predictions import Predictions, class_name
from searchlab.reporting.style import (
    MUTED_LINE_COLOR,
    TEXT_COLOR,
    FloatArray,
    add_subtitle,
    new_figure,
    show_message,
)

SHORT_CAPTION = 5  # letters of "4 → 9": such captions fit above eight images side by side
GAP, CAPTION = 0.2, 0.3  # space beside an image and above it, as multiples of its longer side
DARK_SHARE = 0.25  # images with this share of pixels at their darkest value are drawn dark on white, as ink on paper
WIDTH, MARGIN, TITLE = 7.6, 0.2, 0.8  # inches for the images, for the margin around them, and for the title


def plot_misclassified_images(predictions: Predictions, limit: int = 24) -> Figure:
    """Plot the images that were assigned to a wrong class with the highest probability, the highest first."""
    if predictions.image_shape is None:
        raise ValueError("these predictions are not of images")
    height, width = predictions.image_shape[:2]
    labels, shares = np.ravel(predictions.labels).astype(np.int64), softmax(predictions.scores)
    predicted = decide(shares, predictions.threshold)
    errors = most_confident_errors(labels, shares, predicted)
    rows = errors[:limit]
    captions = [_caption(int(labels[row]), int(predicted[row]), shares[row], predictions.class_names) for row in rows]
    columns = 8 if all(len(classes) <= SHORT_CAPTION for classes, _ in captions) else 4
    longer = WIDTH / columns / (width / max(height, width) + GAP)  # inches of an image's longer side
    images_height = max(-(-len(rows) // columns), 1) * longer * (height / max(height, width) + CAPTION)
    figure, axes = _new_image_figure(images_height)
    if not len(rows):
        return show_message(figure, axes, "no errors" if len(labels) else "no images")
    images = np.asarray(predictions.x, dtype=np.float64)[rows].reshape(-1, *predictions.image_shape)
    _draw_images(axes, images, [("  " if columns == 8 else "\n").join(caption) for caption in captions], columns)
    some = f"{len(rows)} of {len(errors):,} errors" if len(rows) < len(errors) else f"all {len(rows)} errors"
    add_subtitle(axes, f"{some} in {len(labels):,} images; captions: true → predicted class, and its probability")
    return figure


def most_confident_errors(labels: Array, shares: FloatArray, predicted: Array) -> Array:
    """Return the rows whose predicted class (N,) is wrong, those with its highest probability (N, C) first.

    A row with NaN has no predicted class and is no error.
    """
    wrong = np.flatnonzero(np.isfinite(shares).all(axis=1) & (predicted != labels))
    order: Array = wrong[np.argsort(-shares[wrong, predicted[wrong]], kind="stable")]
    return order


def _new_image_figure(images_height: float) -> tuple[Figure, Axes]:
    """Return a figure and axes for images with this height in inches.

    The axes are placed by hand: constrained layout does not account for the equal scales of images.
    """
    size = WIDTH + 2 * MARGIN, images_height + TITLE + MARGIN
    figure, axes = new_figure("Misclassified images, most confident first", "", "", size=size)
    figure.set_layout_engine("none")
    axes.set_position((MARGIN / size[0], MARGIN / size[1], WIDTH / size[0], images_height / size[1]))
    axes.set(xticks=[], yticks=[], anchor="NW")
    axes.spines[:].set_visible(False)
    return figure, axes


def _caption(label: int, predicted: int, shares: FloatArray, names: Sequence[str] | None) -> tuple[str, str]:
    return f"{class_name(label, names)} → {class_name(predicted, names)}", f"{shares[predicted]:.2f}"


def _draw_images(axes: Axes, images: FloatArray, captions: Sequence[str], columns: int) -> None:
    """Draw the images (n, H, W) or (n, H, W, 3) row by row from the top left, each below its caption.

    Their longer side is 1 long.
    """
    height, width = (side / max(images.shape[1:3]) for side in images.shape[1:3])
    low, high = float(np.nanmin(images)), float(np.nanmax(images))
    dark_on_white = np.mean(images == low) > DARK_SHARE
    look: dict[str, Any] = {"cmap": "gray_r" if dark_on_white else "gray", "vmin": low, "vmax": high}
    for number, (image, caption) in enumerate(zip(images, captions, strict=True)):
        row, column = divmod(number, columns)
        left, top = column * (width + GAP), row * (height + CAPTION) + CAPTION
        right, bottom = left + width, top + height
        axes.imshow(image, extent=(left, right, bottom, top), interpolation="nearest", **look)
        axes.plot(
            [left, right, right, left, left], [top, top, bottom, bottom, top], color=MUTED_LINE_COLOR, linewidth=0.7
        )
        axes.text(left + width / 2, top - 0.05, caption, ha="center", va="bottom", fontsize=9, color=TEXT_COLOR)
    rows = -(-len(images) // columns)
    axes.set(xlim=(-0.02, columns * (width + GAP) - 0.02), ylim=(rows * (height + CAPTION) + 0.01, 0.01))
