"""Fashion-MNIST: 70,000 images of clothes of 28 x 28 pixels (Xiao, Rasul and Vollgraf 2017), in the format of MNIST."""

from __future__ import annotations

from dataclasses import dataclass

from searchlab.data.download import RemoteFile
from searchlab.data.examples import Examples
from searchlab.data.images import read_images, validate_limit

BASE_URL = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"
TRAIN_IMAGES = ("train-images-idx3-ubyte.gz", "8d4fb7e6c68d591d4c3dfef9ec88bf0d")  # MD5 of the compressed files,
TRAIN_LABELS = ("train-labels-idx1-ubyte.gz", "25c81989df183df01b3e8a0aad5dffbe")  # as their publisher gives them
TEST_IMAGES = ("t10k-images-idx3-ubyte.gz", "bef4ecab320f06d8554ea6380940ec79")
TEST_LABELS = ("t10k-labels-idx1-ubyte.gz", "bb300cfdad3c16e7a12a480ee83cd310")
CLASS_NAMES = (
    "t-shirt/top",
    "trouser",
    "pullover",
    "dress",
    "coat",
    "sandal",
    "shirt",
    "sneaker",
    "bag",
    "ankle boot",
)


@dataclass(frozen=True)
class FashionMnist:
    """60,000 training and 10,000 test images of clothes, as 784 numbers in [0, 1].

    The four files are looked for in the folder `fashion-mnist` of the data folder, and downloaded into it if they are
    missing.

    Args:
        limit: Keep only this many training rows, the first ones; default None keeps all.

    Raises:
        UserMistake: When `limit` is less than 1.
        WorldFault: On loading, when a file is missing and cannot be downloaded, or is broken.

    Reference:
        Xiao, Rasul and Vollgraf (2017), Fashion-MNIST: a novel image dataset for benchmarking machine learning.

    Example:
        >>> from searchlab import FashionMnist
        >>> FashionMnist(limit=10_000)  # loads nothing yet
        FashionMnist(limit=10000)
    """

    limit: int | None = None

    def __post_init__(self) -> None:
        validate_limit("FashionMnist", self.limit)

    def training(self) -> Examples:
        """Return the training images."""
        return read_images(_file(*TRAIN_IMAGES), _file(*TRAIN_LABELS), CLASS_NAMES, self.limit)

    def testing(self) -> Examples:
        """Return the test images."""
        return read_images(_file(*TEST_IMAGES), _file(*TEST_LABELS), CLASS_NAMES)


def _file(name: str, md5: str) -> RemoteFile:
    return RemoteFile(f"fashion-mnist/{name}", BASE_URL + name, md5, md5_of="file")
