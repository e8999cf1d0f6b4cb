"""Augmentations keep their contract and do what they say; the contract catches those that do not."""

import numpy as np
import pytest

from searchlab.data import augmentation
from searchlab.data.augmentation import Augmentation, GaussianNoise, Shift
from searchlab.errors import UserMistake
from searchlab.replicas import Replicas
from searchlab.testing import check_augmentation

CASES = {GaussianNoise: {"scale": (0.0, 0.1, 2.0)}, Shift: {"pixels": (0, 1, 4)}}


@pytest.mark.parametrize("kind", CASES)
def test_contract(kind):
    check_augmentation(kind)
    check_augmentation(kind, per_replica=CASES[kind])


def test_every_augmentation_has_a_case():
    kinds = {part for part in vars(augmentation).values() if isinstance(part, type) and issubclass(part, Augmentation)}
    assert kinds - {Augmentation} == set(CASES)


@pytest.mark.parametrize("features", [1000, 7])
def test_noise_is_normal_with_its_scale(features):
    x = np.zeros((3, 70_000 // features, features), np.float32)
    noise = GaussianNoise(Replicas([0, 1, 2]), None, scale=[0.0, 0.5, 3.0]).change(x)
    assert (noise[0] == 0.0).all()
    for r, scale in ((1, 0.5), (2, 3.0)):
        drawn = noise[r].astype(np.float64).ravel() / scale
        assert abs(drawn.mean()) < 0.02
        assert abs(drawn.std() - 1.0) < 0.02
        assert abs((np.abs(drawn) < 1.0).mean() - 0.6827) < 0.01
        assert abs((np.abs(drawn) > 2.0).mean() - 0.0455) < 0.005
        halves = drawn[: drawn.size // 2 * 2].reshape(2, -1)  # the two numbers that one word gives
        assert abs(np.corrcoef(halves)[0, 1]) < 0.02


def test_shift_moves_whole_images_and_fills_with_zeros():
    height, width, pixels = 5, 4, 2
    image = np.arange(1, 21, dtype=np.float32).reshape(height, width)
    x = np.broadcast_to(image.reshape(-1), (1, 400, 20))
    moved = Shift(Replicas([3]), (height, width), pixels=pixels).change(x.copy())[0].reshape(-1, height, width)
    framed = np.pad(image, pixels)
    places = [(down, right) for down in range(5) for right in range(5)]
    windows = {framed[d : d + height, r : r + width].tobytes(): (d, r) for d, r in places}
    found = [windows[one.tobytes()] for one in moved]  # KeyError for anything that is no whole shift
    assert set(found) == set(places), "up to two pixels each way, each of 25 places is met in 400 images"
    assert max(found.count(place) for place in places) < 40


def test_no_shift_leaves_images_as_they_are():
    x = np.random.default_rng(0).random((2, 3, 12), dtype=np.float32)
    assert (Shift(Replicas([0, 1]), (3, 4), pixels=[0, 2]).change(x.copy())[0] == x[0]).all()


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (lambda: Shift(Replicas([0]), None), "Shift moves images"),
        (lambda: Shift(Replicas([0]), (8, 8), pixels=1.5), "whole numbers of pixels from 0 to 8"),
        (lambda: Shift(Replicas([0]), (8, 8), pixels=9), "whole numbers of pixels from 0 to 8"),
        (lambda: GaussianNoise(Replicas([0]), None, scale=-0.1), "a scale of at least 0"),
    ],
)
def test_what_cannot_be_is_refused(build, said):
    with pytest.raises(UserMistake, match=said):
        build()


class SameNoise(Augmentation):
    """One noise for all replicas and all steps."""

    def change(self, x):
        return x + np.random.default_rng(0).standard_normal(x.shape[1:]).astype(x.dtype)


class SharedSeed(Augmentation):
    """Draws by the first replica's seed for all."""

    def change(self, x):
        words = self.replicas.words(x[0].size)[:1]
        return x + (words.astype(np.float32) / 2.0**32).reshape(1, *x.shape[1:])


@pytest.mark.parametrize(("broken", "rule"), [(SameNoise, "two steps"), (SharedSeed, "fused and alone")])
def test_contract_catches(broken, rule):
    with pytest.raises(AssertionError, match=rule):
        check_augmentation(broken)
