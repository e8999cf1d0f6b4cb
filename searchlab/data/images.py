"""Pictures of one class each in pairs of IDX files: what MNIST and its relatives have in common."""

from __future__ import annotations

import numpy as np

from searchlab.data.download import Source, data_folder
from searchlab.data.examples import Examples
from searchlab.data.idx import read_idx
from searchlab.errors import UserMistake, WorldFault


def read_images(images: Source, labels: Source, names: tuple[str, ...], limit: int | None = None) -> Examples:
    """The first `limit` pictures (N, height, width) of bytes as rows in [0, 1], and their classes, named `names`.

    Raises WorldFault when the two files do not belong together.
    """
    folder = data_folder()
    x, y = read_idx(images, folder), read_idx(labels, folder)
    if x.ndim != 3 or y.ndim != 1 or len(x) != len(y):
        raise WorldFault(
            f"{folder / images.path} holds an array {x.shape} and {folder / labels.path} one {y.shape}: "
            "not as many pictures as labels."
        )
    if y.max(initial=0) >= len(names):
        raise WorldFault(f"{folder / labels.path} holds the label {y.max()}, and there are {len(names)} classes.")
    rows = x[:limit].reshape(-1, x.shape[1] * x.shape[2]).astype(np.float32) / np.float32(255.0)
    return Examples(rows, y[:limit].astype(np.int64), len(names), image=(x.shape[1], x.shape[2]), names=names)


def check_limit(kind: str, limit: int | None) -> None:
    """Raises UserMistake unless `limit` keeps at least a row, or is None and keeps all."""
    if limit is not None and limit < 1:
        raise UserMistake(f"{kind}(limit=...) keeps at least 1 row, got {limit}.")
