"""MNIST: 70,000 handwritten digits of 28 x 28 pixels (LeCun, Cortes and Burges 1998)."""

from __future__ import annotations

from dataclasses import dataclass

from searchlab.data.download import RemoteFile
from searchlab.data.examples import Examples
from searchlab.data.images import read_images, validate_limit

BASE_URL = "https://ossci-datasets.s3.amazonaws.com/mnist/"
TRAIN_IMAGES = ("train-images-idx3-ubyte.gz", "6bbc9ace898e44ae57da46a324031adb")  # MD5 of the decompressed bytes:
TRAIN_LABELS = ("train-labels-idx1-ubyte.gz", "a25bea736e30d166cdddb491f175f624")  # the same images circulate
TEST_IMAGES = ("t10k-images-idx3-ubyte.gz", "2646ac647ad5339dbf082846283269ea")  # in differently compressed files
TEST_LABELS = ("t10k-labels-idx1-ubyte.gz", "27ae3e4e09519cfbb04c329615203637")
CLASS_NAMES = tuple("0123456789")


@dataclass(frozen=True)
class Mnist:
    """60,000 training and 10,000 test images of handwritten digits, as 784 numbers in [0, 1].

    The four files are looked for in the folder `mnist` of the data folder, and downloaded into it if they are missing.

    Args:
        limit: Keep only this many training rows, the first ones; default None keeps all.

    Raises:
        UserMistake: When `limit` is less than 1.
        WorldFault: On loading, when a file is missing and cannot be downloaded, or is broken.

    Reference:
        LeCun, Cortes and Burges (1998), The MNIST database of handwritten digits.

    Example:
        >>> from searchlab import Mnist
        >>> Mnist(limit=10_000)  # loads nothing yet
        Mnist(limit=10000)
    """

    limit: int | None = None

    def __post_init__(self) -> None:
        validate_limit("Mnist", self.limit)

    def training(self) -> Examples:
        """Return the training images."""
        return read_images(_file(*TRAIN_IMAGES), _file(*TRAIN_LABELS), CLASS_NAMES, self.limit)

    def testing(self) -> Examples:
        """Return the test images."""
        return read_images(_file(*TEST_IMAGES), _file(*TEST_LABELS), CLASS_NAMES)


def _file(name: str, md5: str) -> RemoteFile:
    return RemoteFile(f"mnist/{name}", BASE_URL + name, md5, md5_of="decompressed")
