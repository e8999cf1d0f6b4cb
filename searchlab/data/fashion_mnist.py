"""Fashion-MNIST: 70,000 pictures of clothes of 28 x 28 pixels (Xiao, Rasul and Vollgraf 2017), packed as MNIST is."""

from __future__ import annotations

from dataclasses import dataclass

from searchlab.data.download import Source
from searchlab.data.examples import Examples
from searchlab.data.images import check_limit, read_images

HOME = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"
TRAIN_IMAGES = ("train-images-idx3-ubyte.gz", "8d4fb7e6c68d591d4c3dfef9ec88bf0d")  # MD5 of the packed files,
TRAIN_LABELS = ("train-labels-idx1-ubyte.gz", "25c81989df183df01b3e8a0aad5dffbe")  # as their publisher gives them
TEST_IMAGES = ("t10k-images-idx3-ubyte.gz", "bef4ecab320f06d8554ea6380940ec79")
TEST_LABELS = ("t10k-labels-idx1-ubyte.gz", "bb300cfdad3c16e7a12a480ee83cd310")
NAMES = ("t-shirt/top", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")


@dataclass(frozen=True)
class FashionMnist:
    """60,000 training and 10,000 test images as 784 numbers in [0, 1]; `limit` keeps the first training rows only."""

    limit: int | None = None

    def __post_init__(self) -> None:
        check_limit("FashionMnist", self.limit)

    def training(self) -> Examples:
        """The training images."""
        return read_images(_source(*TRAIN_IMAGES), _source(*TRAIN_LABELS), NAMES, self.limit)

    def testing(self) -> Examples:
        """The test images."""
        return read_images(_source(*TEST_IMAGES), _source(*TEST_LABELS), NAMES)


def _source(name: str, md5: str) -> Source:
    return Source(f"fashion-mnist/{name}", HOME + name, md5, summed="packed")
