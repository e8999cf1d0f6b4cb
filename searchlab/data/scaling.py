"""Mean and scale of columns, by which inputs and targets are standardized."""

from __future__ import annotations

from typing import Any

import numpy as np

from searchlab.backend import Array, Device, to_device, to_host, xp_of
from searchlab.data.input_encoding import InputEncoding

CHUNK_ROWS = 4096  # rows summed at a time, so that no float64 copy of all rows is made


def mean_and_scale(x: Array, rows: Array) -> tuple[Array, Array]:
    """Return the mean and the standard deviation (F,) of these rows (n,) of x (N, F), in the dtype of x.

    A constant feature has scale 1. Two passes in float64, the second over deviations from the mean: a single pass over
    squares cancels. Deviations from the first row are summed, not the values, so a constant feature deviates by
    exactly 0, and a large mean with a small scale, as of seconds since 1970, loses no digits.
    """
    xp = xp_of(x)
    origin = x[int(rows[0])].astype(np.float64)
    chunks = [xp.asarray(rows[start : start + CHUNK_ROWS]) for start in range(0, len(rows), CHUNK_ROWS)]
    values = (x.take(chunk, axis=0).astype(np.float64) - origin for chunk in chunks)
    shift = sum(chunk.sum(axis=0) for chunk in values) / len(rows)
    values = (x.take(chunk, axis=0).astype(np.float64) - origin for chunk in chunks)
    scale = xp.sqrt(sum(((chunk - shift) ** 2).sum(axis=0) for chunk in values) / len(rows))
    scale = xp.where(scale < np.finfo(np.float32).tiny, 1.0, scale)  # for smaller scales, 1 / scale is infinite
    with np.errstate(under="ignore"):  # a mean too near 0 for float32 becomes 0
        return (origin + shift).astype(x.dtype), scale.astype(x.dtype)


class Scaling(InputEncoding):
    """Mean and scale of each column, for each of R replicas.

    Args:
        mean: Mean of each column for each replica, (R, columns), float32 or float64.
        scale: Scale of each column for each replica, (R, columns), positive, of the same dtype.

    Example:
        >>> import numpy as np
        >>> from searchlab.data import Scaling
        >>> scaling = Scaling(np.array([[5.0]]), np.array([[2.0]]))
        >>> scaling.standardize(np.array([[[9.0], [5.0]]])).tolist()  # (R, B, columns)
        [[[2.0], [0.0]]]
        >>> scaling.restore(np.array([[[2.0], [0.0]]])).tolist()
        [[[9.0], [5.0]]]
    """

    def __init__(self, mean: Array, scale: Array) -> None:
        self.mean, self.scale = mean, scale
        self._inverse = 1 / scale

    @property
    def dtype(self) -> Any:
        """The type of the numbers that `standardize` takes, float32 or float64."""
        return self.mean.dtype

    def standardize(self, values: Array) -> Array:
        """Return (values - mean) / scale as float32, and overwrite the values.

        Args:
            values: Numbers (R, B, columns) in the dtype of the mean.
        """
        values -= self.mean[:, None]
        values *= self._inverse[:, None]
        return values if values.dtype == np.float32 else values.astype(np.float32)

    def restore(self, values: Array) -> Array:
        """Return values * scale + mean as float64.

        Args:
            values: Numbers (R, B, columns).
        """
        restored: Array = values.astype(np.float64)
        restored *= self.scale[:, None]
        restored += self.mean[:, None]
        return restored

    def to(self, device: Device) -> Scaling:
        """Return the same mean and scale on the device."""
        return Scaling(to_device(self.mean, device), to_device(self.scale, device))

    def to_host(self) -> Scaling:
        """Return the same mean and scale on the host."""
        return Scaling(to_host(self.mean), to_host(self.scale))
