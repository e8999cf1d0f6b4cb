"""What rounding to float16 does to weights, tensor by tensor."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from searchlab.backend import Array

LARGEST, SMALLEST_NORMAL = 65504.0, 2.0**-14  # of float16
OVERFLOW = f"it has weights beyond the range of float16 ({LARGEST:,.0f})"


@dataclass(frozen=True)
class Rounding:
    """What rounding a tensor to float16 does.

    Attributes:
        largest: The largest absolute value.
        below_normal: Share of the values other than 0 that are below the smallest normal number of float16, 6.1e-5:
            they lose digits, or become 0.
        relative_error: Norm of the rounding errors divided by that of the values; infinite where a value overflows.
    """

    largest: float
    below_normal: float
    relative_error: float

    @classmethod
    def of(cls, values: Array) -> Rounding:
        """Return what rounding does to these values.

        Example:
            >>> import numpy as np
            >>> from searchlab.artifact.rounding import Rounding
            >>> Rounding.of(np.array([1.0, 0.5, 1e-6, 0.0])).below_normal
            0.3333333333333333
        """
        exact = np.asarray(values, np.float64)
        with np.errstate(all="ignore"):
            errors = exact.astype(np.float16).astype(np.float64) - exact
        size, magnitudes = float(np.sqrt((exact * exact).sum())), np.abs(exact[exact != 0.0])
        return cls(
            largest=float(np.abs(exact).max(initial=0.0)),
            below_normal=float((magnitudes < SMALLEST_NORMAL).mean()) if magnitudes.size else 0.0,
            relative_error=float(np.sqrt((errors * errors).sum())) / size if size else 0.0,
        )

    @property
    def overflows(self) -> bool:
        """Whether a value is beyond the range of float16."""
        return not np.isfinite(self.relative_error)

    def to_json(self) -> dict[str, float]:
        """Return the rounding as JSON values, with three digits."""
        names = ("largest", "below_normal", "relative_error")
        return {name: float(f"{getattr(self, name):.3g}") for name in names if np.isfinite(getattr(self, name))}
