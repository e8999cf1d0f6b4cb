"""Training inputs made different at every step: noise for any numbers, shifts for images."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Any

from searchlab.backend import Array, to_host
from searchlab.errors import UserMistake
from searchlab.replicas import Fused, PerReplica, Replicas

HALF = 65_536.0  # values of the 16-bit halves that random words are cut into


class Augmentation(Fused, ABC):
    """Changes the inputs of a training batch. A constructor takes the replicas and the images' (height, width) or None.

    Only training batches pass through it: scores are of the rows as they are.
    """

    def __init__(self, replicas: Replicas, image: tuple[int, int] | None) -> None:
        self.replicas, self.image = replicas, image

    @abstractmethod
    def change(self, x: Array) -> Array:
        """The inputs (R, B, features), changed; x may be used up."""


class GaussianNoise(Augmentation):
    """Adds normal noise with standard deviation `scale` to every number; a scale of 0 adds none."""

    def __init__(self, replicas: Replicas, image: tuple[int, int] | None, *, scale: PerReplica = 0.1) -> None:
        super().__init__(replicas, image)
        self.scale = replicas.vector(scale)  # (R,)
        if not (to_host(self.scale) >= 0.0).all():
            raise UserMistake(f"GaussianNoise takes a scale of at least 0, got {to_host(self.scale).tolist()}.")

    def change(self, x: Array) -> Array:
        """Box and Muller (1958): each word gives a radius and an angle, and so two normal numbers."""
        xp, size = self.replicas.xp, math.prod(x.shape[1:])
        first, second = _halves(self.replicas, (size + 1) // 2)
        radius = xp.sqrt(-2.0 * xp.log((first + 0.5) / HALF)) * self.scale[:, None]
        angle = second * (2.0 * math.pi / HALF)
        noise = xp.concatenate([radius * xp.cos(angle), radius * xp.sin(angle)], axis=1)
        x += noise[:, :size].reshape(x.shape).astype(x.dtype)
        return x


class Shift(Augmentation):
    """Moves every image by a whole number of pixels, up to `pixels` each way, and fills with zeros.

    Raises UserMistake for data whose rows are not images.
    """

    def __init__(self, replicas: Replicas, image: tuple[int, int] | None, *, pixels: PerReplica = 2) -> None:
        if image is None:
            raise UserMistake("Shift moves images, and this data set does not say the height and width of its rows.")
        super().__init__(replicas, image)
        self.height, self.width = image
        self.pixels = replicas.vector(pixels)  # (R,)
        reach = to_host(self.pixels)
        if not ((reach >= 0) & (reach == reach.round()) & (reach <= min(image))).all():
            raise UserMistake(f"Shift takes whole numbers of pixels from 0 to {min(image)}, got {reach.tolist()}.")
        self.reach = int(reach.max())

    def change(self, x: Array) -> Array:
        xp, height, width, reach = self.replicas.xp, self.height, self.width, self.reach
        R, B = x.shape[:2]
        framed = xp.zeros((R, B, height + 2 * reach, width + 2 * reach), dtype=x.dtype)
        framed[:, :, reach : reach + height, reach : reach + width] = x.reshape(R, B, height, width)
        down, right = (
            xp.floor(half / HALF * (2.0 * self.pixels + 1.0)[:, None]).astype(xp.intp)
            + (reach - self.pixels.astype(xp.intp))[:, None]
            for half in _halves(self.replicas, B)
        )  # (R, B): where in the frame each image's window begins
        replica, row = xp.arange(R)[:, None, None, None], xp.arange(B)[:, None, None]
        lines = (down[:, :, None] + xp.arange(height))[:, :, :, None]
        columns = (right[:, :, None] + xp.arange(width))[:, :, None, :]
        moved: Array = framed[replica, row, lines, columns].reshape(x.shape)
        return moved


def _halves(replicas: Replicas, count: int) -> tuple[Any, Any]:
    """Two arrays (R, count) of the replicas' floats with whole values in [0, 65,536)."""
    words = replicas.words(count)
    low, high = words & replicas.xp.uint32(0xFFFF), words >> replicas.xp.uint32(16)
    return low.astype(replicas.dtype), high.astype(replicas.dtype)
