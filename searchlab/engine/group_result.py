"""What Ray Tune gets to know of a group: the result of one iteration of the worker that trained it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from searchlab.fusion.groups import Group
from searchlab.space.domains import Domain
from searchlab.space.sweep import Sweep
from searchlab.training import EpochReport


class GroupResult:
    """The result of a group, collected from what its worker reports to the study.

    The score of a trial is the mean over its folds after its best epoch, also of a trial that was pruned. Epochs before
    a checkpoint count in its score, and are not among the epochs of this iteration.

    Args:
        sweep: The sweep.
        group: The group as the study gave it out; trials may join later.
    """

    def __init__(self, sweep: Sweep, group: Group) -> None:
        self.group = group
        self._metric = sweep.primary_metric
        self._paths = sorted({path for path, value, _ in sweep.iter_arguments() if isinstance(value, Domain)})
        self._epochs, self._seconds = 0, 0.0
        self._best: tuple[float, int] | None = None  # score and number of the best trial

    def restore(self, reports: Sequence[tuple[Sequence[int], EpochReport]]) -> None:
        """Add the scores of epochs before a checkpoint."""
        for numbers, report in reports:
            self._compare(numbers, report)

    def add(self, numbers: Sequence[int], report: EpochReport) -> None:
        """Add an epoch of these trials."""
        self._epochs += 1
        self._seconds += report.seconds
        self._compare(numbers, report)

    def metrics(self) -> dict[str, Any]:
        """Return the result as Ray Tune takes it, always with the same flat keys.

        The keys are "trials" (numbers, as a text), "best_METRIC" (NaN where no trial has a score), "best_trial",
        "epochs" and "seconds" of training in this iteration, and "params/PATH" for each open argument, with its value
        in the best trial; None where that has none.
        """
        score, number = self._best or (math.nan, None)
        parameters = {} if number is None else self.group.parameters[self.group.trials.index(number)]
        return {
            f"best_{self._metric.name}": score,
            "best_trial": number,
            "trials": ", ".join(map(str, self.group.trials)),
            "epochs": self._epochs,
            "seconds": self._seconds,
            **{f"params/{path}": parameters.get(path) for path in self._paths},
        }

    def _compare(self, numbers: Sequence[int], report: EpochReport) -> None:
        """Remember the best score of these trials, if it is better than every score before.

        A checkpoint also has reports of trials that were pruned, and are not in the group any more.
        """
        means = np.asarray(report.score, float).reshape(len(numbers), -1).mean(axis=1)  # (trials,)
        for number, score in zip(numbers, means.tolist(), strict=True):
            is_known = number in self.group.trials and math.isfinite(score)
            if is_known and (self._best is None or self._is_better(score, self._best[0])):
                self._best = score, number

    def _is_better(self, score: float, best: float) -> bool:
        return score > best if self._metric.goal == "max" else score < best
