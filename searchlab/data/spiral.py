"""Interleaved spirals in the plane, the toy problem of Deep Learning from Scratch 2, chapter 1."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from searchlab.data.examples import Examples
from searchlab.errors import UserMistake

ARM_ANGLE = 4.0  # radians from the center of a spiral arm to its end
TEST_SEED = 1  # joined with the user's seed: the test points are other draws of the same spirals


@dataclass(frozen=True)
class Spiral:
    """Points on interleaved spiral arms in the plane, one class per arm.

    Args:
        points: Points per class, default 100. The test part has as many.
        classes: Number of spiral arms, at least 2; default 3.
        noise: Standard deviation of the normal noise on the angle, in radians; default 0.2.
        seed: Seed of the noise, default 0.

    Raises:
        UserMistake: When an argument is out of range.

    Reference:
        Deep Learning from Scratch 2, chapter 1.

    Example:
        >>> from searchlab import Spiral
        >>> data = Spiral(points=50, classes=2)
        >>> data.training().x.shape, data.training().sizes
        ((100, 2), (2, 2))
    """

    points: int = 100
    classes: int = 3
    noise: float = 0.2
    seed: int = 0

    def __post_init__(self) -> None:
        if self.points < 1 or self.classes < 2 or self.noise < 0.0:
            raise UserMistake("Spiral needs points >= 1, classes >= 2 and noise >= 0.")

    def training(self) -> Examples:
        """Return points x classes rows, class by class."""
        return self._generate([self.seed])

    def testing(self) -> Examples:
        """Return as many rows with other noise."""
        return self._generate([self.seed, TEST_SEED])

    def _generate(self, entropy: list[int]) -> Examples:
        generator = np.random.default_rng(entropy)
        labels = np.repeat(np.arange(self.classes), self.points)
        radius = np.tile(np.arange(self.points) / self.points, self.classes)
        angle = labels * ARM_ANGLE + radius * ARM_ANGLE + generator.normal(0.0, 1.0, len(labels)) * self.noise
        x = np.stack([radius * np.sin(angle), radius * np.cos(angle)], axis=1)
        return Examples(x.astype(np.float32), labels.astype(np.int64), self.classes)
