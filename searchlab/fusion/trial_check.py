"""A check of a sweep before its search: a trial of every option is built and trained for one step."""

from __future__ import annotations

from collections.abc import Hashable
from itertools import islice

import numpy as np

from searchlab.data.loaded import LoadedDataset
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
    split = sweep.validation.split(data)[np.zeros(1, dtype=np.int64)]
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


def _train_one_step(trainer: Trainer) -> None:
    trainer.train_briefly()
    if trainer.split.held_out.counts.any():
        for metric in trainer.metrics:
            metric.measure(trainer.model, islice(trainer.data.scoring_batches(trainer.split.held_out), 1))


def _trial(point: ParameterValues) -> str:
    values = ", ".join(f"{path}={value}" for path, value in point.items())
    return f"; the trial has {values}" if values else ""
