"""Random rotation, zoom, shift and flips of training images, in one resampling."""

from __future__ import annotations

import math
from typing import Any

from searchlab.backend import Array
from searchlab.data.augmentation import HALF_WORD_VALUES, Augmentation, half_words, image_sides
from searchlab.data.image_shape import ImageShape
from searchlab.replicas import PerReplica, Replicas

LARGEST_ZOOM = 0.9  # an image of a tenth of its size


class RandomAffine(Augmentation):
    """A random rotation, zoom, shift and horizontal flip of each image, with bilinear interpolation.

    An image is resampled once, whichever of the four are used. Pixels from outside of it are 0.

    Args:
        replicas: The R replicas, which draw the random numbers.
        image_shape: (height, width) or (height, width, channels) of the images.
        rotation: Largest angle in degrees, in either direction, from 0 to 180; one per replica allowed; default 10.
        zoom: Largest change of size as a share, from 0 to 0.9: 0.1 draws scales from 0.9 to 1.1; one per replica
            allowed; default 0.1.
        shift: Largest shift in pixels, in each direction, from 0 to the longer side; one per replica allowed; default
            2.
        flip: Probability that an image is mirrored left to right, from 0 to 1; one per replica allowed; default 0.

    Raises:
        UserMistake: When rows are not images, or a value is outside of its range.

    Reference:
        Simard, Steinkraus and Platt (2003), Best practices for convolutional neural networks.

    Example:
        >>> import numpy as np
        >>> from searchlab import RandomAffine
        >>> from searchlab.replicas import Replicas
        >>> image = np.array([[1, 2, 3], [4, 5, 6]], np.float32)
        >>> mirror = RandomAffine(Replicas([0]), (2, 3), rotation=0, zoom=0, shift=0, flip=1)
        >>> mirror.apply(image.reshape(1, 1, 6)).reshape(2, 3).tolist()
        [[3.0, 2.0, 1.0], [6.0, 5.0, 4.0]]
    """

    def __init__(
        self,
        replicas: Replicas,
        image_shape: ImageShape | None,
        *,
        rotation: PerReplica = 10.0,
        zoom: PerReplica = 0.1,
        shift: PerReplica = 2.0,
        flip: PerReplica = 0.0,
    ) -> None:
        self.height, self.width, self.channels = image_sides(image_shape, "RandomAffine")
        super().__init__(replicas, image_shape)
        self.rotation = self._validated("rotation", rotation, 180.0)  # (R,), as the others
        self.zoom = self._validated("zoom", zoom, LARGEST_ZOOM)
        self.shift = self._validated("shift", shift, max(self.height, self.width))
        self.flip = self._validated("flip", flip, 1.0)

    def _validated(self, name: str, value: PerReplica, largest: float) -> Array:
        """Return the values (R,) on the device; raise UserMistake where one is not from 0 to the largest."""
        requirement = f"from 0 to {largest:g}"
        validate = self.replicas.validated
        return self.replicas.vector(validate(self, name, value, requirement, lambda v: (v >= 0.0) & (v <= largest)))

    def apply(self, x: Array) -> Array:
        """Return the changed images (R, B, height * width * channels)."""
        xp, (R, B) = self.replicas.xp, x.shape[:2]
        row, column = self._source_pixels(B)  # (R, B, height, width) each
        top, left = xp.floor(row), xp.floor(column)
        down, right = (row - top)[..., None], (column - left)[..., None]  # weights of the lower and right neighbors
        pixels, stride = self._bordered(x), self.width + 3
        image = (xp.arange(R * B) * ((self.height + 3) * stride)).reshape(R, B, 1, 1)
        first = image + top.astype(xp.intp) * stride + left.astype(xp.intp)
        upper, lower = (
            pixels[first + step] * (1.0 - right) + pixels[first + step + 1] * right for step in (0, stride)
        )  # (R, B, height, width, channels)
        changed: Array = (upper * (1.0 - down) + lower * down).reshape(x.shape)
        return changed

    def _source_pixels(self, B: int) -> tuple[Array, Array]:
        """Return the row and the column, in the bordered image, that each new pixel takes its value from."""
        xp = self.replicas.xp
        angle, scale, shift_down, shift_right, mirror = self._draw(B)  # (R, B, 1, 1) each
        center_row, center_column = (self.height - 1) / 2.0, (self.width - 1) / 2.0
        down = xp.arange(self.height, dtype=self.replicas.dtype)[:, None] - center_row - shift_down
        right = xp.arange(self.width, dtype=self.replicas.dtype) - center_column - shift_right
        row = (xp.cos(angle) * down - xp.sin(angle) * right) / scale + center_row
        column = (xp.sin(angle) * down + xp.cos(angle) * right) / scale * mirror + center_column
        # one pixel outside all is 0: farther away nothing changes
        return xp.clip(row, -1.0, self.height) + 1.0, xp.clip(column, -1.0, self.width) + 1.0

    def _draw(self, B: int) -> list[Any]:
        """Return the angle in radians, the scale, the shifts in pixels, and -1 for a mirrored image, (R, B, 1, 1)."""
        halves = [half for _ in range(3) for half in half_words(self.replicas, B)][:5]  # (R, B) each
        shares = [((half + 0.5) / HALF_WORD_VALUES)[:, :, None, None] for half in halves]  # in (0, 1)
        rotation, zoom, shift, flip = (
            v[:, None, None, None] for v in (self.rotation, self.zoom, self.shift, self.flip)
        )
        signed = [2.0 * share - 1.0 for share in shares[:4]]
        mirror = self.replicas.xp.where(shares[4] < flip, -1.0, 1.0).astype(self.replicas.dtype)
        radians = signed[0] * (rotation * (math.pi / 180.0))
        return [radians, 1.0 + signed[1] * zoom, signed[2] * shift, signed[3] * shift, mirror]

    def _bordered(self, x: Array) -> Array:
        """Return the pixels (R * B * (height + 3) * (width + 3), channels) of images in a border of zeros.

        The border is a pixel wide, and two at the bottom and right: the neighbor of a pixel in the border is read too.
        """
        (R, B), height, width = x.shape[:2], self.height, self.width
        bordered = self.replicas.xp.zeros((R, B, height + 3, width + 3, self.channels), dtype=x.dtype)
        bordered[:, :, 1 : height + 1, 1 : width + 1] = x.reshape(R, B, height, width, self.channels)
        flat: Array = bordered.reshape(-1, self.channels)
        return flat
