"""A check of a sweep before its search: a trial of every option is built and trained for one step."""

from __future__ import annotations

import math
from collections.abc import Hashable
from itertools import islice

import numpy as np

from searchlab.data.class_names import class_word
from searchlab.data.loaded import LoadedDataset
from searchlab.data.splits import Split
from searchlab.errors import UserMistake, WorldFault
from searchlab.fusion.covering_points import covering_points, with_largest
from searchlab.fusion.groups import build_trainer
from searchlab.nn.ensemble import average_of
from searchlab.space.constraints import ConstraintChecker
from searchlab.space.domains import ParameterValues
from searchlab.space.structure import structure_key
from searchlab.space.sweep import Sweep
from searchlab.space.winner_rule import FoldEnsemble
from searchlab.tracebacks import error_sentence
from searchlab.training import Trainer

MAX_BUILT_WEIGHTS = 5_000_000  # of a network with a number at its largest: it is drawn in a fraction of a second
MAX_TRAINED_WEIGHTS = 100_000  # of one that is also trained for a step


def validate_trials(sweep: Sweep, data: LoadedDataset) -> None:
    """Build a trial for each of the space's covering points; train each structure for a step, and score a batch.

    The numbers that shape a model are the smallest there. Each is also built at its largest, as far as the network is
    not too large to be built in a moment, and trained for a step where the network is small. A point that violates the
    constraint is left out: it would not be trained. Memory is not judged here.

    Args:
        sweep: The sweep.
        data: Its training rows, on the host.

    Raises:
        UserMistake: When a part refuses its arguments, the data or another part, or raises an exception; the message
            has its sentence, the place in the user's code, and the trial's values.
    """
    every = sweep.validation.split(data)
    _require_every_class(sweep, data, every)
    split = every[np.zeros(1, dtype=np.int64)]
    if isinstance(sweep.winner, FoldEnsemble):
        average_of(next(iter(data.scoring_batches(split.held_out))))
    check = _TrialCheck(sweep, data, split)
    for point in covering_points(sweep):
        weights = check.try_point(point)
        if weights is not None:
            check.try_largest(point, weights)


class _TrialCheck:
    """Trials of a sweep that are built, and some of them trained for a step."""

    def __init__(self, sweep: Sweep, data: LoadedDataset, split: Split) -> None:
        self._sweep, self._data, self._split = sweep, data, split
        self._constraint = ConstraintChecker(sweep, lambda: data)
        self._built, self._trained = set[Hashable](), set[Hashable]()
        self._raised = set[str]()  # paths whose largest number has been tried

    def try_point(self, point: ParameterValues, most_weights: float = math.inf) -> int | None:
        """Build a trial, and train each structure of at most so many weights for a step; return its weights.

        Return None where the point violates the constraint, or takes more memory than there is.
        """
        try:
            if self._constraint.violation(point) > 0:
                return None
            with np.errstate(all="ignore"):
                trainer = build_trainer(self._sweep, [point], self._data, self._split, 0, "cpu")
                structure, weights = structure_key(self._sweep, point), trainer.parameters.count
                if structure not in self._trained and weights <= most_weights:
                    self._trained.add(structure)
                    _train_one_step(trainer)
                self._built.add(structure)
            return weights
        except (MemoryError, WorldFault):
            return None
        except Exception as error:
            raise UserMistake(f"{error_sentence(error).rstrip('.')}{_trial(point)}.") from error

    def try_largest(self, point: ParameterValues, weights: int) -> None:
        """Try each number that shapes the model at its largest, once: beside the smallest others of this point.

        Where this fails, it is tried beside the largest others, which it may need, as a number of heads needs a width.
        """
        for path in [path for path in point if path not in self._raised]:
            alone = with_largest(self._sweep, point, path)
            if alone[path] == point[path]:
                continue
            self._raised.add(path)
            try:
                self._try_cheap(alone, point, weights)
            except UserMistake as mistake:
                together = with_largest(self._sweep, point)
                try:
                    self._try_cheap(together, point, weights)
                except UserMistake:
                    raise mistake from mistake.__cause__

    def _try_cheap(self, point: ParameterValues, smallest: ParameterValues, weights: int) -> None:
        """Build a trial that is cheap to build, by its numbers and the weights of the one with the smallest."""
        is_built = structure_key(self._sweep, point) in self._built
        if not is_built and weights * _growth(smallest, point) <= MAX_BUILT_WEIGHTS:
            self.try_point(point, MAX_TRAINED_WEIGHTS)


def _growth(smallest: ParameterValues, point: ParameterValues) -> float:
    """Return by which factor a network may grow: weights grow with the square of a width, and slower with others."""
    growth = 1.0
    for path, value in point.items():
        low = smallest.get(path, value)
        if value != low and isinstance(value, (int, float)) and isinstance(low, (int, float)):
            growth *= max(1.0, abs(value) / (abs(low) or 1.0)) ** 2
    return growth


def _require_every_class(sweep: Sweep, data: LoadedDataset, split: Split) -> None:
    """Raise UserMistake where a metric needs held-out rows of every class, and a fold holds out none of one."""
    metric = next((metric for metric in sweep.metrics if getattr(metric, "needs_every_class", False)), None)
    if metric is None or data.labels is None:
        return
    for fold, (rows, size) in enumerate(zip(split.held_out.index, split.held_out.counts, strict=True)):
        missing = np.setdiff1d(np.arange(data.sizes[-1]), data.labels[rows[:size]])
        if len(missing):
            word = class_word(data, int(missing[0]))
            raise UserMistake(
                f"{type(metric).__name__} needs held-out rows of every class, and fold {fold} of {sweep.validation} "
                f"has none of class {word}; use StratifiedKFold, or fewer folds."
            )


def _train_one_step(trainer: Trainer) -> None:
    trainer.train_briefly()
    if trainer.split.held_out.counts.any():
        for metric in trainer.metrics:
            metric.measure(trainer.model, islice(trainer.data.scoring_batches(trainer.split.held_out), 1))


def _trial(point: ParameterValues) -> str:
    values = ", ".join(f"{path}={value}" for path, value in point.items())
    return f"; the trial has {values}" if values else ""
