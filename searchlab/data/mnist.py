"""MNIST: 70,000 handwritten digits of 28 x 28 pixels (LeCun, Cortes and Burges 1998)."""

from __future__ import annotations

from dataclasses import dataclass

from searchlab.data.download import Source
from searchlab.data.examples import Examples
from searchlab.data.images import check_limit, read_images

HOME = "https://ossci-datasets.s3.amazonaws.com/mnist/"
TRAIN_IMAGES = ("train-images-idx3-ubyte.gz", "6bbc9ace898e44ae57da46a324031adb")  # MD5 of the unpacked bytes:
TRAIN_LABELS = ("train-labels-idx1-ubyte.gz", "a25bea736e30d166cdddb491f175f624")  # the same images circulate
TEST_IMAGES = ("t10k-images-idx3-ubyte.gz", "2646ac647ad5339dbf082846283269ea")  # in differently packed archives
TEST_LABELS = ("t10k-labels-idx1-ubyte.gz", "27ae3e4e09519cfbb04c329615203637")
NAMES = tuple("0123456789")


@dataclass(frozen=True)
class Mnist:
    """60,000 training and 10,000 test images as 784 numbers in [0, 1]; `limit` keeps the first training rows only."""

    limit: int | None = None

    def __post_init__(self) -> None:
        check_limit("Mnist", self.limit)

    def training(self) -> Examples:
        """The training images."""
        return read_images(_source(*TRAIN_IMAGES), _source(*TRAIN_LABELS), NAMES, self.limit)

    def testing(self) -> Examples:
        """The test images."""
        return read_images(_source(*TEST_IMAGES), _source(*TEST_LABELS), NAMES)


def _source(name: str, md5: str) -> Source:
    return Source(f"mnist/{name}", HOME + name, md5, summed="unpacked")
