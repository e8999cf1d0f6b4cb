"""The files of an artifact, which are verified before anything is made of them."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from searchlab.artifact.format import FORMAT, MANIFEST, SAFETENSORS, SUM, WEIGHTS, manifest_sum
from searchlab.artifact.safetensors_file import read_safetensors
from searchlab.backend import Array
from searchlab.errors import UserMistake

# what reading damaged files, or building a model from them, can raise
DAMAGE: tuple[type[Exception], ...] = (
    ArithmeticError,
    AttributeError,
    LookupError,
    MemoryError,
    NotImplementedError,  # an unknown compression
    OSError,
    RecursionError,
    TypeError,
    ValueError,
    zipfile.BadZipFile,
    zlib.error,
)


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return the manifest; raise UserMistake where it is missing, damaged, or of another format."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        if manifest["format"] != FORMAT:
            raise UserMistake(
                f"{folder} holds an artifact of format {manifest['format']!r}, and this version of searchlab reads "
                f"format {FORMAT}."
            )
        if manifest[SUM] != manifest_sum(manifest):
            raise UserMistake(f"{folder / MANIFEST} has changed since it was written: its SHA-256 is another one.")
    except DAMAGE as error:
        if isinstance(error, UserMistake):
            raise
        raise unreadable(folder, error) from error
    return dict(manifest)


def unreadable(folder: Path, error: Exception) -> UserMistake:
    """Return the error of a folder that holds no artifact which can be read."""
    return UserMistake(f"{folder} does not hold an artifact that can be read ({type(error).__name__}: {error}).")


def read_verified(folder: Path, entry: Mapping[str, str], name: str) -> bytes:
    """Return the content of a file; raise UserMistake where its SHA-256 is not that of its entry in the manifest."""
    path = folder / name
    if entry["file"] != name or path.is_symlink() or not path.is_file():
        raise UserMistake(f"{folder} has no plain file {name}.")
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != entry["sha256"]:
        raise UserMistake(f"{path} has changed since it was written: its SHA-256 differs from the manifest.")
    return content


def read_weights(folder: Path, entry: Mapping[str, str]) -> dict[str, Array]:
    """Return the arrays of the weights file, all of finite numbers; raise ValueError for anything else."""
    if entry["file"] == SAFETENSORS:
        values = read_safetensors(read_verified(folder, entry, SAFETENSORS))
    else:
        values = _read_arrays(read_verified(folder, entry, WEIGHTS))
    for name, value in values.items():
        if value.dtype not in (np.float16, np.float32, np.float64) or not np.isfinite(value).all():
            raise ValueError(f"{name} has values that are no finite numbers")
    return values


def _read_arrays(content: bytes) -> dict[str, Array]:
    """Return the arrays of an .npz file; raise ValueError for one that is not what `save` writes."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        size = sum(entry.file_size for entry in archive.infolist())
    if size > len(content):  # arrays are not compressed
        raise ValueError(f"the weights claim to unpack to {size:,} bytes")
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}
