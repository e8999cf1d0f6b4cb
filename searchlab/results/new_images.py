"""Image files as an artifact takes them: files, and folders of files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from searchlab.artifact import Artifact
from searchlab.backend import Array
from searchlab.data.examples import Examples
from searchlab.data.image_files import find_images, find_images_by_class, is_image_file, read_images_as_rows
from searchlab.errors import UserMistake


def holds_images(path: Path) -> bool:
    """Return whether a path is a folder, or a file whose name is that of an image."""
    return path.is_dir() or is_image_file(path)


def read_image_inputs(saved: Artifact, paths: Sequence[Path]) -> tuple[list[Path], Array]:
    """Return the image files at some paths, and their pixels as rows (N, features), resized as in training.

    Args:
        saved: The artifact of a network that was trained on `Images`.
        paths: Image files, and folders with image files in them or in folders below them.

    Raises:
        UserMistake: When the network was trained on other data, or a folder has no images.
        WorldFault: When a file cannot be read as an image.
    """
    files = list[Path]()
    for path in paths:
        _require_images(saved, path)
        found = find_images(path) if path.is_dir() else [path]
        if not found:
            raise UserMistake(f"{path} has no PNG or JPEG images.")
        files += found
    return files, _read_rows(saved, files)


def load_labeled_images(saved: Artifact, folder: Path) -> Examples:
    """Return the images in a folder that has a folder for each class, which the artifact must know.

    Raises:
        UserMistake: When the network was trained on other data, or a class is unknown to it.
        WorldFault: When a file cannot be read as an image.
    """
    _require_images(saved, folder)
    known = list(saved.class_names or ())
    classes = find_images_by_class(folder)
    if unknown := sorted({*classes} - {*known}):
        raise UserMistake(f"the network does not know the class {unknown[0]!r}; it knows {', '.join(known)}.")
    labels = np.repeat([known.index(name) for name in classes], [len(files) for files in classes.values()])
    rows = _read_rows(saved, [file for files in classes.values() for file in files])
    return Examples(rows, labels, outputs=len(known))


def _require_images(saved: Artifact, path: Path) -> None:
    kind = (saved.manifest.get("data") or {}).get("kind", "other data")
    if kind != "Images":
        raise UserMistake(f"{path} is read as images, and this network was trained on {kind}.")


def _read_rows(saved: Artifact, files: Sequence[Path]) -> Array:
    image_shape, resize = saved.manifest["inputs"]["image_shape"], saved.manifest["data"]["resize"]
    return read_images_as_rows(files, tuple(image_shape), resize)
