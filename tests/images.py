"""Small image data sets for tests, in the format of MNIST and Fashion-MNIST."""

from __future__ import annotations

import gzip
import hashlib
import struct

import numpy as np

from searchlab.data import fashion_mnist, mnist

MODULES = {"mnist": mnist, "fashion-mnist": fashion_mnist}  # by folder


def idx_bytes(array, magic=None):
    """Return the IDX file of an array of bytes, not compressed."""
    header = struct.pack(">HBB", 0, 8, array.ndim) if magic is None else magic
    return header + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def md5_of(content):
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def write_images(data_folder, monkeypatch, name, **changes):
    """Write 7 training and 3 test images of 28 x 28 with matching MD5s; `changes` replaces some of the arrays."""
    module, md5_is_of_file = MODULES[name], name == "fashion-mnist"
    (data_folder / name).mkdir(exist_ok=True)
    generator = np.random.default_rng(0)
    arrays = {}
    for part, rows in (("TRAIN", 7), ("TEST", 3)):
        arrays[f"{part}_IMAGES"] = generator.integers(256, size=(rows, 28, 28), dtype=np.uint8)
        arrays[f"{part}_LABELS"] = generator.integers(10, size=rows, dtype=np.uint8)
    arrays |= changes
    for constant, array in arrays.items():
        file_name, content = getattr(module, constant)[0], gzip.compress(idx_bytes(array))
        (data_folder / name / file_name).write_bytes(content)
        monkeypatch.setattr(module, constant, (file_name, md5_of(content if md5_is_of_file else idx_bytes(array))))
    return arrays
