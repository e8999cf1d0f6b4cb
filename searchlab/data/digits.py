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

ALL_ROWS = 1797
TEST_ROWS = 360  # a fifth, always the same rows
CLASS_NAMES = tuple("0123456789")
PATH_IN_SKLEARN = "datasets/data/digits.csv.gz"


@dataclass(frozen=True)
class Digits:
    """1,437 training and 360 test images of handwritten digits, as 64 numbers in [0, 1].

    The images are read from the files of scikit-learn, which must be installed but is not imported.

    Raises:
        WorldFault: On loading, when scikit-learn is not installed or its file is broken.

    Reference:
        Alpaydin and Kaynak (1998), Optical recognition of handwritten digits, UCI machine learning repository.

    Example:
        >>> from searchlab import Digits
        >>> training = Digits().training()
        >>> training.x.shape, training.image_shape, training.sizes
        ((1437, 64), (8, 8), (64, 10))
    """

    def training(self) -> Examples:
        """Return the training images."""
        return _read().take(_shuffled_rows()[TEST_ROWS:])

    def testing(self) -> Examples:
        """Return the test images."""
        return _read().take(_shuffled_rows()[:TEST_ROWS])


def _shuffled_rows() -> Array:
    return np.random.default_rng(0).permutation(ALL_ROWS)


def _read() -> Examples:
    """Return all rows, from scikit-learn's file: importing scikit-learn would cost each worker over a second."""
    package = importlib.util.find_spec("sklearn")
    if package is None or not package.submodule_search_locations:
        raise WorldFault("Digits() reads a file of scikit-learn, which is not installed (pip install scikit-learn).")
    path = Path(package.submodule_search_locations[0]) / PATH_IN_SKLEARN
    try:
        cells = np.loadtxt(BytesIO(gzip.decompress(path.read_bytes())), delimiter=",", dtype=np.float32)
    except (OSError, EOFError, ValueError) as error:
        raise WorldFault(f"Digits() cannot read {path} ({error}); reinstall scikit-learn.") from error
    x, y = cells[:, :-1] / np.float32(16.0), cells[:, -1].astype(np.int64)
    return Examples(x, y, outputs=10, image_shape=(8, 8), target_names=CLASS_NAMES)
