"""The median stopping rule."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from searchlab.pruning.learning_curves import LearningCurves
from searchlab.pruning.pruner import Pruner, whole


@dataclass(frozen=True)
class Median(Pruner):
    """The median stopping rule (Golovin et al., "Google Vizier", 2017).

    From epoch `first` on, a trial is stopped when its best epoch so far is worse than the median of the other trials'
    averages up to the same epoch. At least `least` others must have come as far.
    """

    first: int = 2
    least: int = 5

    def __post_init__(self) -> None:
        for name in ("first", "least"):
            whole("Median", name, getattr(self, name), 1)

    def due(self, epoch: int) -> bool:
        """From the first epoch on at which it decides."""
        return epoch >= self.first

    def why_stop(self, curves: LearningCurves, trial: int) -> str | None:
        """The best it has reached and the median, where that is better."""
        epoch, row = curves.length(trial), curves.row(trial)
        others = curves.rows_at(epoch)
        others = others[others != row]
        if not self.due(epoch) or len(others) < self.least:
            return None
        best, median = curves.best[row, epoch - 1], np.median(curves.means[others, :epoch].mean(axis=1))
        if not best < median:
            return None
        sign = 1.0 if curves.goal == "max" else -1.0
        return f"at best {sign * best:.4g}, worse than the median after epoch {epoch}, {sign * median:.4g}"
