"""Small sets of images that tests share, packed as MNIST and Fashion-MNIST are."""

from __future__ import annotations

import gzip
import hashlib
import struct

import numpy as np

from searchlab.data import fashion_mnist, mnist

ROOMS = {"mnist": mnist, "fashion-mnist": fashion_mnist}


def idx(array, magic=None):
    """The IDX file of an array of bytes, unpacked."""
    header = struct.pack(">HBB", 0, 8, array.ndim) if magic is None else magic
    return header + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def md5(content):
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def write_images(folder, monkeypatch, name, **changes):
    """The data set in miniature, 7 training and 3 test images of 28 x 28 with sums of their own; some files changed."""
    module, sums_packed = ROOMS[name], name == "fashion-mnist"
    (folder / name).mkdir(exist_ok=True)
    generator = np.random.default_rng(0)
    arrays = {}
    for part, rows in (("TRAIN", 7), ("TEST", 3)):
        arrays[f"{part}_IMAGES"] = generator.integers(256, size=(rows, 28, 28), dtype=np.uint8)
        arrays[f"{part}_LABELS"] = generator.integers(10, size=rows, dtype=np.uint8)
    arrays |= changes
    for word, array in arrays.items():
        file, content = getattr(module, word)[0], gzip.compress(idx(array))
        (folder / name / file).write_bytes(content)
        monkeypatch.setattr(module, word, (file, md5(content if sums_packed else idx(array))))
    return arrays
