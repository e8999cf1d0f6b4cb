"""The 1,797 handwritten digits of 8 x 8 pixels that scikit-learn ships (Alpaydin and Kaynak, UCI 1998)."""

from __future__ import annotations

import gzip
import importlib.util
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np

from searchlab.backend import Array
from searchlab.data.examples import Examples
from searchlab.errors import WorldFault

TEST_ROWS = 360  # a fifth, drawn once and for all
NAMES = tuple("0123456789")
INSIDE = "datasets/data/digits.csv.gz"


@dataclass(frozen=True)
class Digits:
    """1,437 training and 360 test images as 64 numbers in [0, 1]."""

    def training(self) -> Examples:
        """The training images."""
        return _read().take(_order()[TEST_ROWS:])

    def testing(self) -> Examples:
        """The test images."""
        return _read().take(_order()[:TEST_ROWS])


def _order() -> Array:
    return np.random.default_rng(0).permutation(1797)


def _read() -> Examples:
    """All rows, read from scikit-learn's file: importing scikit-learn itself would cost each worker over a second."""
    package = importlib.util.find_spec("sklearn")
    if package is None or not package.submodule_search_locations:
        raise WorldFault(
            "Digits are read from scikit-learn's own files, and it is not installed (pip install scikit-learn)."
        )
    path = Path(package.submodule_search_locations[0]) / INSIDE
    try:
        table = np.loadtxt(BytesIO(gzip.decompress(path.read_bytes())), delimiter=",", dtype=np.float32)
    except (OSError, EOFError, ValueError) as error:
        raise WorldFault(f"Digits cannot be read from {path} ({error}); reinstall scikit-learn.") from error
    x, y = table[:, :-1] / np.float32(16.0), table[:, -1].astype(np.int64)
    return Examples(x, y, 10, image=(8, 8), names=NAMES)
