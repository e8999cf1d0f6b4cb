"""The learning rates of cross-validation, replayed where no rows are held out to react to."""

from __future__ import annotations

import numpy as np

from searchlab.backend import Array
from searchlab.optim.schedules import Schedule


class ReplayedSchedule(Schedule):
    """The factors that an adaptive schedule gave the folds of a trial, as their geometric mean, for a single replica.

    A refit on all training rows has no held-out score, and its training loss hardly ever stops to fall, so a schedule
    such as `Plateau` would not lower the rate. What it did in cross-validation is known, epoch by epoch.

    Args:
        folds: A new schedule of K replicas, one for each fold.
        values: What the schedule recorded in cross-validation, (epochs, K); smaller is better.

    Example:
        >>> import numpy as np
        >>> from searchlab import Plateau
        >>> from searchlab.optim.replayed_schedule import ReplayedSchedule
        >>> from searchlab.replicas import Replicas
        >>> schedule = ReplayedSchedule(Plateau(Replicas([1, 2]), 3), np.array([[3.0, 3.0], [2.0, 3.5], [1.0, 3.0]]))
        >>> schedule.factors_by_epoch(3)  # the second fold got worse in its second epoch: sqrt(1 x 0.25)
        [1.0, 1.0, 0.5]
    """

    def __init__(self, folds: Schedule, values: Array) -> None:
        self.epochs = folds.epochs
        self._folds, self._values = folds, values
        self._recorded_epochs = 0

    def factors(self, elapsed: Array) -> Array:
        return geometric_mean(self._folds.factors(elapsed))

    def epoch_factors(self, epoch: int, steps: int) -> Array:
        """Return the geometric means (steps, 1) of the factors of the folds, warm-up included."""
        return geometric_mean(self._folds.epoch_factors(epoch, steps))

    def record(self, value: Array) -> None:
        """Record the values of the folds after this epoch; the value itself, a training loss, is not used."""
        self._folds.record(self._values[self._recorded_epochs])
        self._recorded_epochs += 1

    def state(self) -> dict[str, Array]:
        """Return what the schedule of the folds keeps, (K,) each."""
        return self._folds.state()

    def restore(self, state: dict[str, Array]) -> None:
        self._folds.restore(state)

    def factors_by_epoch(self, epochs: int) -> list[float]:
        """Return the factor at the first step of each epoch of a training that has not begun; it is used up by this."""
        factors = []
        for epoch in range(epochs):
            factors.append(float(self.epoch_factors(epoch, 1)[0, 0]))
            self.record(np.empty(0))
        return factors


def is_adaptive(schedule: Schedule) -> bool:
    """Return whether a schedule reacts to what it records."""
    return type(schedule).record is not Schedule.record


def geometric_mean(factors: Array) -> Array:
    """Return the geometric means (steps, 1) of factors (steps, K) of at least 0."""
    with np.errstate(divide="ignore"):
        mean: Array = np.exp(np.log(factors).mean(axis=1, keepdims=True))
    return mean
