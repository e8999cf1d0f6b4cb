"""The intermediate values of a trial: a few points of its learning curve, for samplers and for optuna-dashboard."""

from __future__ import annotations

import math
import warnings

import numpy as np
from optuna.trial import Trial

from searchlab.runs.trials import LearningCurve

POINTS = 6  # of each curve: a point takes 0.2 ms and 150 bytes in a journal
MAX_CURVES = 2000  # trials with a curve: optuna-dashboard draws no more, and a long search is not slowed down


def report_curve(trial: Trial, number: int, curve: LearningCurve, pruned_value: float | None = None) -> None:
    """Report means over folds of some epochs to Optuna, when a trial with one metric ends; the epochs are the steps.

    Args:
        trial: The open trial.
        number: Its number; only the first 2,000 trials have a curve.
        curve: Its learning curve.
        pruned_value: Value of a pruned trial. It is reported as that of its last epoch, whatever its number: samplers
            read the last intermediate value of a pruned trial as its value.
    """
    epochs, values = len(curve.scores), dict[int, float]()
    if number < MAX_CURVES:
        steps = sorted(set(np.linspace(1, epochs, min(POINTS, epochs)).round().astype(int).tolist()))
        values = {step: float(np.mean(curve.scores[step - 1])) for step in steps}
    if pruned_value is not None:
        values[epochs] = pruned_value
    with warnings.catch_warnings(action="ignore", category=UserWarning):  # a kill came after a step was reported
        for step, value in values.items():
            if math.isfinite(value):
                trial.report(value, step)
