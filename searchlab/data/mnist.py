"""MNIST: 70,000 handwritten digits of 28 x 28 pixels (LeCun, Cortes and Burges 1998)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from searchlab.data.examples import Examples
from searchlab.data.idx import read_idx
from searchlab.data.sources import Source, data_folder
from searchlab.errors import UserMistake

HOME = "https://ossci-datasets.s3.amazonaws.com/mnist/"
TRAIN_IMAGES = ("train-images-idx3-ubyte.gz", "6bbc9ace898e44ae57da46a324031adb")
TRAIN_LABELS = ("train-labels-idx1-ubyte.gz", "a25bea736e30d166cdddb491f175f624")
TEST_IMAGES = ("t10k-images-idx3-ubyte.gz", "2646ac647ad5339dbf082846283269ea")
TEST_LABELS = ("t10k-labels-idx1-ubyte.gz", "27ae3e4e09519cfbb04c329615203637")


@dataclass(frozen=True)
class Mnist:
    """60,000 training and 10,000 test images as 784 numbers in [0, 1]; `limit` keeps the first training rows only."""

    limit: int | None = None

    def __post_init__(self) -> None:
        if self.limit is not None and self.limit < 1:
            raise UserMistake(f"Mnist(limit=...) keeps at least 1 row, got {self.limit}.")

    def training(self) -> Examples:
        """The training images."""
        return _read(TRAIN_IMAGES, TRAIN_LABELS, self.limit)

    def testing(self) -> Examples:
        """The test images."""
        return _read(TEST_IMAGES, TEST_LABELS, None)


def _read(images: tuple[str, str], labels: tuple[str, str], limit: int | None) -> Examples:
    folder = data_folder()
    x, y = (read_idx(Source(f"mnist/{name}", HOME + name, md5), folder)[:limit] for name, md5 in (images, labels))
    return Examples(x.reshape(len(x), -1).astype(np.float32) / np.float32(255.0), y.astype(np.int64), classes=10)
