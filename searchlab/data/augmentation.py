"""Training inputs that are changed at random in every step: noise for any numbers, shifts for images.

Rotation, zoom and flips are in `searchlab.data.random_affine`.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Any

from searchlab.backend import Array, to_host
from searchlab.data.image_shape import ImageShape
from searchlab.errors import UserMistake
from searchlab.replicas import HasReplicaAxis, PerReplica, Replicas

HALF_WORD_VALUES = 65_536.0  # values of the 16-bit halves that random 32-bit words are cut into


class Augmentation(HasReplicaAxis, ABC):
    """A random change to the inputs of training batches. Scoring batches are never changed.

    A custom augmentation takes `replicas` and `image_shape` first and its own options by keyword, and implements
    `apply`; `searchlab.testing.check_augmentation` checks it.

    Args:
        replicas: The R replicas, which draw the random numbers.
        image_shape: (height, width) or (height, width, channels) where each row is an image; None otherwise.

    Example:
        >>> import numpy as np
        >>> from searchlab.data import Augmentation
        >>> from searchlab.replicas import Replicas
        >>> class Negate(Augmentation):
        ...     def apply(self, x):
        ...         return -x
        >>> Negate(Replicas([0]), None).apply(np.ones((1, 2, 3), np.float32)).tolist()
        [[[-1.0, -1.0, -1.0], [-1.0, -1.0, -1.0]]]
    """

    def __init__(self, replicas: Replicas, image_shape: ImageShape | None) -> None:
        self.replicas, self.image_shape = replicas, image_shape

    @abstractmethod
    def apply(self, x: Array) -> Array:
        """Return the changed inputs (R, B, features); x may be overwritten."""


class GaussianNoise(Augmentation):
    """Normal noise added to every input number.

    Args:
        replicas: The R replicas, which draw the noise.
        image_shape: Not used.
        scale: Standard deviation of the noise, one per replica allowed; default 0.1. A scale of 0 adds none.

    Raises:
        UserMistake: When a scale is negative.

    Reference:
        Box and Muller (1958), A note on the generation of random normal deviates.

    Example:
        >>> import numpy as np
        >>> from searchlab import GaussianNoise
        >>> from searchlab.replicas import Replicas
        >>> noise = GaussianNoise(Replicas([0, 1]), None, scale=[0.0, 0.5])
        >>> noise.apply(np.zeros((2, 100, 10), np.float32)).std(axis=(1, 2)).round(1).tolist()
        [0.0, 0.5]
    """

    def __init__(self, replicas: Replicas, image_shape: ImageShape | None, *, scale: PerReplica = 0.1) -> None:
        super().__init__(replicas, image_shape)
        self.scale = replicas.vector(scale)  # (R,)
        if not (to_host(self.scale) >= 0.0).all():
            raise UserMistake(f"GaussianNoise takes a scale of at least 0, got {to_host(self.scale).tolist()}.")

    def apply(self, x: Array) -> Array:
        """Return x (R, B, features) with noise added, in place.

        Box and Muller (1958): each random 32-bit word gives a radius and an angle, and so two normal numbers.
        """
        xp, size = self.replicas.xp, math.prod(x.shape[1:])
        first, second = half_words(self.replicas, (size + 1) // 2)
        radius = xp.sqrt(-2.0 * xp.log((first + 0.5) / HALF_WORD_VALUES)) * self.scale[:, None]
        angle = second * (2.0 * math.pi / HALF_WORD_VALUES)
        noise = xp.concatenate([radius * xp.cos(angle), radius * xp.sin(angle)], axis=1)
        x += noise[:, :size].reshape(x.shape).astype(x.dtype)
        return x


class Shift(Augmentation):
    """A random shift of each image by whole pixels; the uncovered border is filled with zeros.

    Args:
        replicas: The R replicas, which draw the shifts.
        image_shape: (height, width) or (height, width, channels) of the images.
        pixels: Largest shift in each direction, a whole number of pixels, one per replica allowed; default 2.

    Raises:
        UserMistake: When rows are not images, or `pixels` is not a whole number from 0 to the image's smaller side.

    Example:
        >>> import numpy as np
        >>> from searchlab import Shift
        >>> from searchlab.replicas import Replicas
        >>> image = np.array([[1, 2, 3], [4, 5, 6], [7, 8, 9]], np.float32)
        >>> shifted = Shift(Replicas([0]), (3, 3), pixels=1).apply(image.reshape(1, 1, 9))
        >>> shifted.reshape(3, 3).tolist()
        [[4.0, 5.0, 6.0], [7.0, 8.0, 9.0], [0.0, 0.0, 0.0]]
    """

    def __init__(self, replicas: Replicas, image_shape: ImageShape | None, *, pixels: PerReplica = 2) -> None:
        self.height, self.width, self.channels = image_sides(image_shape, "Shift")
        super().__init__(replicas, image_shape)
        self.pixels = replicas.vector(pixels)  # (R,)
        shifts = to_host(self.pixels)
        if not ((shifts >= 0) & (shifts == shifts.round()) & (shifts <= min(self.height, self.width))).all():
            raise UserMistake(
                f"Shift takes whole numbers of pixels from 0 to {min(self.height, self.width)}, got {shifts.tolist()}."
            )
        self.border = int(shifts.max())

    def apply(self, x: Array) -> Array:
        """Return the shifted images (R, B, height * width * channels)."""
        xp, height, width, border = self.replicas.xp, self.height, self.width, self.border
        R, B = x.shape[:2]
        padded = xp.zeros((R, B, height + 2 * border, width + 2 * border, self.channels), dtype=x.dtype)
        padded[:, :, border : border + height, border : border + width] = x.reshape(R, B, height, width, -1)
        top, left = (
            xp.floor(half / HALF_WORD_VALUES * (2.0 * self.pixels + 1.0)[:, None]).astype(xp.intp)
            + (border - self.pixels.astype(xp.intp))[:, None]
            for half in half_words(self.replicas, B)
        )  # (R, B): where in the padded image each window begins
        replica, image = xp.arange(R)[:, None, None, None], xp.arange(B)[:, None, None]
        rows = (top[:, :, None] + xp.arange(height))[:, :, :, None]
        columns = (left[:, :, None] + xp.arange(width))[:, :, None, :]
        shifted: Array = padded[replica, image, rows, columns].reshape(x.shape)
        return shifted


def image_sides(image_shape: ImageShape | None, augmentation: str) -> tuple[int, int, int]:
    """Return the height, width and channels of images; raise UserMistake where rows are no images."""
    if image_shape is None:
        raise UserMistake(
            f"{augmentation} needs images, and this data set does not give the height and width of its rows."
        )
    height, width, channels = (*image_shape, 1)[:3]
    return height, width, channels


def half_words(replicas: Replicas, count: int) -> tuple[Any, Any]:
    """Return two arrays (R, count) of the replicas' float dtype with whole values in [0, 65,536)."""
    words = replicas.random_uint32(count)
    low, high = words & replicas.xp.uint32(0xFFFF), words >> replicas.xp.uint32(16)
    return low.astype(replicas.dtype), high.astype(replicas.dtype)
