"""Validation of a sweep when it is created: the first mistake is reported in one sentence."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING

from searchlab.data.splits import fold_count
from searchlab.errors import UserMistake
from searchlab.numeric_types import as_python, is_whole_number
from searchlab.optim.no_optimizer import NoOptimizer
from searchlab.pruning.pruner import NoPruning, Pruner
from searchlab.space.argument_types import expected_type, one_line
from searchlab.space.budget import Budget
from searchlab.space.callbacks import is_tune_callback
from searchlab.space.domains import Choice, Domain
from searchlab.space.early_stopping import EarlyStopping
from searchlab.space.initial_points import enqueued_points
from searchlab.space.metric_names import validate_metric_names
from searchlab.space.own_loop import OwnLoop
from searchlab.space.resources import Resources
from searchlab.space.samplers import Sampler
from searchlab.space.space import Space
from searchlab.space.winner_rule import FoldEnsemble, WinnerRule

if TYPE_CHECKING:
    from searchlab.space.sweep import Sweep

NAME_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def validate_search(sweep: Sweep) -> None:
    """Raise UserMistake for a sampler, a number of trials, an early stopping rule or a budget of the wrong type."""
    if not isinstance(sweep.sampler, Sampler):
        accepted = "a sampler such as TPE(), Random() or Grid(), or a sampler object of Optuna"
        raise UserMistake(f"Sweep(sampler=...) takes {accepted}, got {sweep.sampler!r}.")
    if sweep.trials is None and not sweep.sampler.exhaustive:
        raise UserMistake("Sweep(trials=...) is missing; only sweeps with Grid() or BruteForce() may leave it out.")
    if sweep.trials is not None and (not is_whole_number(sweep.trials) or sweep.trials < 1):
        raise UserMistake(f"Sweep(trials=...) takes a whole number of at least 1, got {sweep.trials!r}.")
    if not isinstance(sweep.early_stopping, EarlyStopping | None):
        raise UserMistake(f"Sweep(early_stopping=...) takes an EarlyStopping(), got {sweep.early_stopping!r}.")
    if not isinstance(sweep.budget, Budget):
        raise UserMistake(f"Sweep(budget=...) takes a Budget(), got {sweep.budget!r}.")


def validate_metrics(sweep: Sweep) -> None:
    """Raise UserMistake for metrics of the wrong type, for none, and for names that the record cannot hold."""
    wrong = [m for m in sweep.metrics if isinstance(m, type) or not callable(getattr(m, "measure", None))]
    if wrong or not sweep.metrics:
        given = repr(wrong[0] if wrong else sweep.metric)
        raise UserMistake(f"Sweep(metric=...) takes an object with measure, got {given}; give several in a tuple.")
    for metric in sweep.metrics:
        goal = getattr(metric, "goal", None)
        if not isinstance(goal, str) or goal not in ("max", "min"):
            raise UserMistake(f"the goal of {type(metric).__name__} is 'max' or 'min', got {one_line(goal)}.")
    names = [metric.name for metric in sweep.metrics]
    if len(set(names)) < len(names):
        raise UserMistake(f"Sweep(metric=...) takes metrics with different names, got {', '.join(map(str, names))}.")
    validate_metric_names(names)


def validate_parts(sweep: Sweep) -> None:
    """Raise UserMistake for a name that no folder can have, and for data, validation or spaces of the wrong type."""
    if not isinstance(sweep.name, str) or not NAME_PATTERN.fullmatch(sweep.name):
        raise UserMistake(
            f"Sweep(name=...) takes up to 64 letters, digits, '.', '_' and '-', got {sweep.name!r}; the first is a "
            "letter or a digit."
        )
    for name, methods in {"data": ["training", "testing"], "validation": ["split"]}.items():
        value = getattr(sweep, name)
        is_text = isinstance(value, (str, bytes))  # which has a method `split` too
        if is_text or isinstance(value, type) or not all(callable(getattr(value, method, None)) for method in methods):
            raise UserMistake(f"Sweep({name}=...) takes an object with {' and '.join(methods)}, got {value!r}.")
    for part in sweep.parts:
        value = getattr(sweep, part)
        options = value.options if isinstance(value, Choice) and part != "training" else (value,)
        if not all(isinstance(option, Space) for option in options):
            accepted = "a Space" if part == "training" else "a Space or a Choice of Spaces"
            raise UserMistake(f"Sweep({part}=...) takes {accepted}, got {value!r}.")
    has_optimizer = not isinstance(sweep.optimizer, Space) or sweep.optimizer.target is not NoOptimizer
    trainer = sweep.training.target
    needs_optimizer = getattr(trainer, "needs_optimizer", True)
    if needs_optimizer is not None and has_optimizer != needs_optimizer:
        raise UserMistake(
            f"Sweep(optimizer=...) is set, and {trainer.__name__} uses no optimizer; leave it out."
            if has_optimizer
            else "Sweep(optimizer=...) is missing; only sweeps with training=Space(Fit) leave it out."
        )


def validate_pruner(sweep: Sweep) -> None:
    """Raise UserMistake for a pruner of the wrong type, with several metrics, or that does not fit the folds."""
    pruner = sweep.effective_pruner
    if not isinstance(pruner, Pruner):
        accepted = "a pruner such as Halving(), Race() or NoPruning(), or a pruner object of Optuna"
        raise UserMistake(f"Sweep(pruner=...) takes {accepted}, got {sweep.pruner!r}.")
    if len(sweep.metrics) > 1 and pruner != NoPruning():
        raise UserMistake(f"a sweep with several metrics cannot prune trials: leave out pruner={sweep.pruner!r}.")
    pruner.validate(fold_count(sweep.validation))


def validate_points(sweep: Sweep) -> None:
    """Raise UserMistake for a constraint that cannot be called, and for enqueued points outside the space."""
    if isinstance(sweep.constraint, type) or not (sweep.constraint is None or callable(sweep.constraint)):
        raise UserMistake(f"Sweep(constraint=...) takes a function of a candidate, got {sweep.constraint!r}.")
    if isinstance(sweep.enqueue, (str, Mapping)) or not isinstance(sweep.enqueue, Sequence):
        raise UserMistake(f"Sweep(enqueue=...) takes a list of points, got {sweep.enqueue!r}.")
    if enqueued_points(sweep) and sweep.sampler.exhaustive:
        raise UserMistake(f"Sweep(enqueue=...) has no effect with {sweep.sampler}, which tries every point; omit it.")


def validate_resources(sweep: Sweep) -> None:
    """Raise UserMistake for resources of the wrong type."""
    if not isinstance(sweep.resources, Resources):
        raise UserMistake(f"Sweep(resources=...) takes Resources(cpus=1, gpus=0.25, ...), got {sweep.resources!r}.")


def validate_winner(sweep: Sweep) -> None:
    """Raise UserMistake for a rule of the winner of the wrong type, and for an ensemble of one fold."""
    if not isinstance(sweep.winner, WinnerRule):
        raise UserMistake(f"Sweep(winner=...) takes Refit() or FoldEnsemble(), got {sweep.winner!r}.")
    if isinstance(sweep.winner, FoldEnsemble) and fold_count(sweep.validation) < 2:
        scheme = repr(sweep.validation)
        raise UserMistake(f"FoldEnsemble needs at least two folds, and {scheme} has one; use KFold or Blocked.")


def validate_callbacks(sweep: Sweep) -> None:
    """Raise UserMistake for callbacks that are none of Ray Tune, or that nothing calls."""
    if isinstance(sweep.callbacks, (str, Mapping)) or not isinstance(sweep.callbacks, Sequence):
        raise UserMistake(f"Sweep(callbacks=...) takes a list of callbacks, got {one_line(sweep.callbacks)}.")
    for callback in sweep.callbacks:
        if not is_tune_callback(callback):
            accepted = "objects of subclasses of ray.tune.Callback, such as ray.tune.logger.JsonLoggerCallback()"
            raise UserMistake(f"Sweep(callbacks=...) takes {accepted}, got {one_line(callback)}.")
    if sweep.callbacks and sweep.training.target is OwnLoop:
        raise UserMistake("Ray Tune calls callbacks, and it does not train in a loop of your own; leave out callbacks.")


def validate_numbers(sweep: Sweep) -> None:
    """Raise UserMistake where an argument of data, validation or a metric is a number or text of the wrong kind."""
    for part in (sweep.data, sweep.validation, *sweep.metrics, sweep.sampler, sweep.effective_pruner):
        for field in fields(part) if is_dataclass(part) and not isinstance(part, type) else ():
            value = getattr(part, field.name)
            if isinstance(value, Domain):
                raise UserMistake(
                    f"{field.name} of {type(part).__name__} takes a value, got {value!r}: only model, optimizer and "
                    "training are searched."
                )
            expected = expected_type(type(part), field.name, as_python(value)) if field.init else None
            if expected:
                raise UserMistake(f"{field.name} of {type(part).__name__} takes {expected}, got {one_line(value)}.")


VALIDATIONS: tuple[Callable[[Sweep], None], ...] = (
    validate_search,
    validate_metrics,
    validate_parts,
    validate_numbers,
    validate_pruner,
    validate_points,
    validate_resources,
    validate_winner,
    validate_callbacks,
)
