"""The weights of an artifact that stay float32, since rounding them to float16 costs too much of the score."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from searchlab.artifact.rounding import Rounding
from searchlab.backend import Array
from searchlab.metrics import Goal
from searchlab.runs.trials import TrialRecord

MAX_LOSS = 0.1  # of a score by rounding, in standard deviations over the folds
MAX_RELATIVE_LOSS = 1e-3  # of a score, where there is no spread over folds


def max_rounding_loss(trial: TrialRecord) -> float:
    """Return how much of the score rounding may cost."""
    spread = trial.std if len(trial.folds) > 1 else 0.0
    return MAX_LOSS * spread if spread > 0.0 else MAX_RELATIVE_LOSS * abs(trial.value or 0.0)


def choose_float32(
    weights: Mapping[str, Array],
    score_with: Callable[[Mapping[str, str]], float],
    exact: float,
    goal: Goal,
    max_loss: float,
) -> dict[str, str]:
    """Return which weights stay float32, each with the reason, so that rounding costs no more than `max_loss`.

    The tensors with the largest relative rounding error stay float32 first: one, two, four and so on.

    Args:
        weights: All weights by name, in float32.
        score_with: Function that writes the artifact with these weights in float32, and returns its score.
        exact: The score without rounding.
        goal: Direction of the score.
        max_loss: The largest loss.
    """
    sign = 1.0 if goal == "max" else -1.0
    order = sorted(weights, key=lambda name: -_relative_error(weights[name]))
    count, kept = 0, dict[str, str]()
    while True:
        loss = sign * (exact - score_with(kept))
        if loss <= max_loss or count >= len(order) or not np.isfinite(exact):
            return kept
        reason = (
            f"rounding costs {loss:.3g} of the score {exact:.6g}" if np.isfinite(loss) else "rounding costs the score"
        )
        count = max(1, 2 * count)
        kept = {name: f"{reason}, and this is one of the tensors that it changes most" for name in order[:count]}


def _relative_error(values: Array) -> float:
    return Rounding.of(values).relative_error
