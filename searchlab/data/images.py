"""Labeled images in pairs of IDX files: what MNIST and its relatives have in common."""

from __future__ import annotations

import numpy as np

from searchlab.data.data_folder import data_folder
from searchlab.data.download import RemoteFile
from searchlab.data.examples import Examples
from searchlab.data.idx import read_idx
from searchlab.errors import UserMistake, WorldFault


def read_images(
    images: RemoteFile, labels: RemoteFile, class_names: tuple[str, ...], limit: int | None = None
) -> Examples:
    """Return the first `limit` images (N, height, width) as rows in [0, 1], with their classes.

    Raises:
        WorldFault: When the two files do not belong together.
    """
    folder = data_folder()
    x, y = read_idx(images, folder), read_idx(labels, folder)
    if x.ndim != 3 or y.ndim != 1 or len(x) != len(y):
        raise WorldFault(
            f"{folder / images.path} holds an array of shape {x.shape} and {folder / labels.path} one of shape "
            f"{y.shape}, but each image needs one label."
        )
    if y.max(initial=0) >= len(class_names):
        raise WorldFault(f"{folder / labels.path} has the label {y.max()}, and there are {len(class_names)} classes.")
    rows = x[:limit].reshape(-1, x.shape[1] * x.shape[2]).astype(np.float32) / np.float32(255.0)
    return Examples(
        rows,
        y[:limit].astype(np.int64),
        outputs=len(class_names),
        image_shape=(x.shape[1], x.shape[2]),
        target_names=class_names,
    )


def validate_limit(dataset: str, limit: int | None) -> None:
    """Raise UserMistake unless `limit` keeps at least one row, or is None, which keeps all."""
    if limit is not None and limit < 1:
        raise UserMistake(f"{dataset}(limit=...) keeps at least 1 row, got {limit}.")
