"""A check of a sweep before its search: a trial of every option is built and trained for one step."""

from __future__ import annotations

from collections.abc import Hashable
from itertools import islice

import numpy as np

from searchlab.data.class_names import class_word
from searchlab.data.loaded import LoadedDataset
from searchlab.data.splits import Split
from searchlab.errors import UserMistake, WorldFault
from searchlab.fusion.covering_points import covering_points
from searchlab.fusion.groups import build_trainer
from searchlab.nn.ensemble import average_of
from searchlab.space.constraints import ConstraintChecker
from searchlab.space.domains import ParameterValues
from searchlab.space.structure import structure_key
from searchlab.space.sweep import Sweep
from searchlab.space.winner_rule import FoldEnsemble
from searchlab.tracebacks import error_sentence
from searchlab.training import Trainer


def validate_trials(sweep: Sweep, data: LoadedDataset) -> None:
    """Build a trial for each of the space's covering points; train each structure for a step, and score a batch.

    A point that violates the constraint is left out: it would not be trained. Memory is not judged here.

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
    constraint, trained = ConstraintChecker(sweep, lambda: data), set[Hashable]()
    for point in covering_points(sweep):
        try:
            if constraint.violation(point) > 0:
                continue
            with np.errstate(all="ignore"):
                trainer = build_trainer(sweep, [point], data, split, 0, "cpu")
                if (structure := structure_key(sweep, point)) not in trained:
                    trained.add(structure)
                    _train_one_step(trainer)
        except (MemoryError, WorldFault):
            continue
        except Exception as error:
            raise UserMistake(f"{error_sentence(error).rstrip('.')}{_trial(point)}.") from error


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
