"""Augmentations pass their contract and do what they document; the contract catches those that do not."""

import numpy as np
import pytest

from searchlab.data import augmentation, random_affine
from searchlab.data.augmentation import Augmentation, GaussianNoise, Shift
from searchlab.data.random_affine import RandomAffine
from searchlab.errors import UserMistake
from searchlab.replicas import Replicas
from searchlab.testing import check_augmentation

AFFINE = {"rotation": (0.0, 30.0, 180.0), "zoom": (0.0, 0.2, 0.9), "shift": (0.0, 1.5, 4.0), "flip": (0.0, 0.5, 1.0)}
CASES = {GaussianNoise: {"scale": (0.0, 0.1, 2.0)}, Shift: {"pixels": (0, 1, 4)}, RandomAffine: AFFINE}


@pytest.mark.parametrize("kind", CASES)
def test_contract(kind):
    check_augmentation(kind)
    check_augmentation(kind, per_replica=CASES[kind])


def test_every_augmentation_has_a_case():
    items = [*vars(augmentation).values(), *vars(random_affine).values()]
    classes = {item for item in items if isinstance(item, type) and issubclass(item, Augmentation)}
    assert classes - {Augmentation} == set(CASES)


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


ONE_CHANGE = {"rotation": 0.0, "zoom": 0.0, "shift": 0.0, "flip": 0.0}


def transform(image, **changes):
    """Return 300 random changes (300, height, width) of an image (height, width) by a RandomAffine."""
    x = np.broadcast_to(image.reshape(-1), (1, 300, image.size)).astype(np.float32)
    return RandomAffine(Replicas([5]), image.shape, **{**ONE_CHANGE, **changes}).apply(x)[0].reshape(-1, *image.shape)


def centered_at(images):
    """Return the mean row and column (N,) of the pixels of images (N, height, width), weighted by their values."""
    rows, columns = np.mgrid[: images.shape[1], : images.shape[2]]
    total = images.sum(axis=(1, 2))
    return [(images * where).sum(axis=(1, 2)) / total for where in (rows, columns)]


def test_nothing_changes_where_all_ranges_are_0():
    image = np.random.default_rng(0).random((7, 4, 3), dtype=np.float32)
    assert (transform(image) == image).all()


def test_a_flip_mirrors_about_its_share_of_the_images():
    image = np.random.default_rng(0).random((5, 4, 3), dtype=np.float32)
    is_mirrored = np.array([(changed == image[:, ::-1]).all() for changed in transform(image, flip=0.3)])
    assert 0.2 < is_mirrored.mean() < 0.4
    assert (transform(image, flip=0.3)[~is_mirrored] == image).all()


def test_a_shift_moves_by_up_to_its_pixels_and_between_pixels():
    image = np.zeros((21, 21))
    image[8:13, 8:13] = 1.0
    for moved in centered_at(transform(image, shift=3.0)):
        assert -3.0 <= (moved - 10).min() < -2.7 < 2.7 < (moved - 10).max() <= 3.0
        assert abs(np.mean(moved - 10)) < 0.4


def test_a_rotation_turns_about_the_center_by_up_to_its_angle():
    image = np.zeros((41, 41))
    image[19:22, 34:37] = 1.0  # 15 pixels right of the center
    rows, columns = centered_at(transform(image, rotation=30.0))
    angles = np.degrees(np.arctan2(rows - 20, columns - 20))
    assert -30.5 < angles.min() < -27.0 < 27.0 < angles.max() < 30.5
    np.testing.assert_allclose(np.hypot(rows - 20, columns - 20), 15.0, atol=0.3)


def test_a_zoom_changes_the_size_by_up_to_its_share():
    image = np.zeros((41, 41))
    image[10:31, 10:31] = 1.0
    sides = np.sqrt(transform(image, zoom=0.2).sum(axis=(1, 2)))
    assert 16.0 < sides.min() < 17.5 < 24.5 < sides.max() < 26.0


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Shift(Replicas([0]), None), "Shift needs images"),
        (lambda: Shift(Replicas([0]), (8, 8), pixels=1.5), "whole numbers of pixels from 0 to 8"),
        (lambda: Shift(Replicas([0]), (8, 8), pixels=9), "whole numbers of pixels from 0 to 8"),
        (lambda: RandomAffine(Replicas([0]), None), "RandomAffine needs images"),
        (lambda: RandomAffine(Replicas([0]), (8, 8), zoom=1.0), "finite zoom from 0 to 0.9, got 1"),
        (lambda: RandomAffine(Replicas([0]), (8, 8), rotation=-1), "finite rotation from 0 to 180, got -1"),
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
