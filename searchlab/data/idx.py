"""The IDX file format of MNIST and its relatives (Y. LeCun, C. Cortes, C. J. C. Burges)."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from searchlab.backend import Array
from searchlab.data.download import RemoteFile
from searchlab.errors import WorldFault

UNSIGNED_BYTE = 0x08


def read_idx(file: RemoteFile, folder: Path) -> Array:
    """Return the array of bytes in a gzipped IDX file.

    Raises:
        WorldFault: When the file is missing, has another checksum, or is malformed.
    """
    return parse_idx(file.read(folder), str(folder / file.path))


def parse_idx(content: bytes, name: str) -> Array:
    """Return the array of unsigned bytes that IDX `content` holds; `name` is for error messages.

    Raises:
        WorldFault: When the content is no IDX file of unsigned bytes, or header and length disagree.
    """
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] != UNSIGNED_BYTE or not content[3]:
        raise WorldFault(f"{name} is not an IDX file of unsigned bytes.")
    ndim = content[3]
    shape = tuple(np.frombuffer(content, ">u4", count=min(ndim, (len(content) - 4) // 4), offset=4).tolist())
    if len(shape) < ndim or len(content) != 4 + 4 * ndim + math.prod(shape):
        raise WorldFault(f"{name} is an IDX file that is too short or too long for its header {shape}.")
    return np.frombuffer(content, np.uint8, offset=4 + 4 * ndim).reshape(shape)
