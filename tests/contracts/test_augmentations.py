"""Augmentations pass their contract and do what they document; the contract catches those that do not."""

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
    classes = {
        item for item in vars(augmentation).values() if isinstance(item, type) and issubclass(item, Augmentation)
    }
    assert {item for item in classes if issubclass(item, Augmentation)} - {Augmentation} == set(CASES)


@pytest.mark.parametrize("features", [1000, 7])
def test_noise_is_normal_with_its_scale(features):
    x = np.zeros((3, 70_000 // features, features), np.float32)
    noise = GaussianNoise(Replicas([0, 1, 2]), None, scale=[0.0, 0.5, 3.0]).apply(x)
    assert (noise[0] == 0.0).all()
    for r, scale in ((1, 0.5), (2, 3.0)):
        drawn = noise[r].astype(np.float64).ravel() / scale
        assert abs(drawn.mean()) < 0.02
        assert abs(drawn.std() - 1.0) < 0.02
        assert abs((np.abs(drawn) < 1.0).mean() - 0.6827) < 0.01
        assert abs((np.abs(drawn) > 2.0).mean() - 0.0455) < 0.005
        pairs = drawn[: drawn.size // 2 * 2].reshape(2, -1)  # the two numbers of each random word
        assert abs(np.corrcoef(pairs)[0, 1]) < 0.02


def test_shift_moves_whole_images_and_fills_with_zeros():
    height, width, pixels = 5, 4, 2
    image = np.arange(1, 21, dtype=np.float32).reshape(height, width)
    x = np.broadcast_to(image.reshape(-1), (1, 400, 20))
    shifted = Shift(Replicas([3]), (height, width), pixels=pixels).apply(x.copy())[0].reshape(-1, height, width)
    padded = np.pad(image, pixels)
    offsets = [(top, left) for top in range(5) for left in range(5)]
    offset_of_window = {padded[t : t + height, left : left + width].tobytes(): (t, left) for t, left in offsets}
    found = [offset_of_window[window.tobytes()] for window in shifted]  # KeyError for anything that is not a shift
    assert set(found) == set(offsets), "up to two pixels each way: 400 images have each of the 25 shifts"
    assert max(found.count(offset) for offset in offsets) < 40


def test_no_shift_leaves_images_as_they_are():
    x = np.random.default_rng(0).random((2, 3, 12), dtype=np.float32)
    assert (Shift(Replicas([0, 1]), (3, 4), pixels=[0, 2]).apply(x.copy())[0] == x[0]).all()


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Shift(Replicas([0]), None), "Shift needs images"),
        (lambda: Shift(Replicas([0]), (8, 8), pixels=1.5), "whole numbers of pixels from 0 to 8"),
        (lambda: Shift(Replicas([0]), (8, 8), pixels=9), "whole numbers of pixels from 0 to 8"),
        (lambda: GaussianNoise(Replicas([0]), None, scale=-0.1), "a scale of at least 0"),
    ],
)
def test_invalid_arguments_are_rejected(build, message):
    with pytest.raises(UserMistake, match=message):
        build()


class SameNoise(Augmentation):
    """Adds the same noise to all replicas in all steps."""

    def apply(self, x):
        return x + np.random.default_rng(0).standard_normal(x.shape[1:]).astype(x.dtype)


class SharedSeed(Augmentation):
    """Draws with the first replica's seed for all replicas."""

    def apply(self, x):
        words = self.replicas.random_uint32(x[0].size)[:1]
        return x + (words.astype(np.float32) / 2.0**32).reshape(1, *x.shape[1:])


@pytest.mark.parametrize(("broken", "rule"), [(SameNoise, "two steps"), (SharedSeed, "fused and alone")])
def test_contract_catches(broken, rule):
    with pytest.raises(AssertionError, match=rule):
        check_augmentation(broken)
