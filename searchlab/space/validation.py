"""Checks: what is wrong with a sweep, in one sentence, when it is written and not when it has run for an hour."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from searchlab.errors import UserMistake
from searchlab.pruning.pruner import NoPruning, Pruner
from searchlab.space.budget import Budget
from searchlab.space.domains import Choice
from searchlab.space.early_stopping import EarlyStopping
from searchlab.space.initial_points import enqueued
from searchlab.space.resources import Resources
from searchlab.space.samplers import Sampler
from searchlab.space.space import Space

if TYPE_CHECKING:
    from searchlab.space.sweep import Sweep

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def check_parts(sweep: Sweep) -> None:
    """Refuse a name that no folder can have, and parts of the wrong kind."""
    if not isinstance(sweep.name, str) or not NAME.fullmatch(sweep.name):
        raise UserMistake(f"a sweep's name is up to 64 letters, digits, '.', '_' and '-'; got {sweep.name!r}.")
    for part, methods in {"data": ["training", "testing"], "validation": ["split"]}.items():
        given = getattr(sweep, part)
        if isinstance(given, type) or not all(callable(getattr(given, method, None)) for method in methods):
            raise UserMistake(f"Sweep({part}=...) takes an object with {' and '.join(methods)}, got {given!r}.")
    for part in sweep.parts:
        given = getattr(sweep, part)
        options = given.options if isinstance(given, Choice) and part != "training" else (given,)
        if not all(isinstance(option, Space) for option in options):
            kinds = "a Space" if part == "training" else "a Space or a Choice of Spaces"
            raise UserMistake(f"Sweep({part}=...) takes {kinds}, got {given!r}.")


def check_resources(sweep: Sweep) -> None:
    """Refuse resources of another kind."""
    if not isinstance(sweep.resources, Resources):
        raise UserMistake(f"Sweep(resources=...) takes Resources(cpus=1, gpus=0.25, ...), got {sweep.resources!r}.")


def check_metrics(sweep: Sweep) -> None:
    """Refuse metrics of the wrong kind, none, and two of one name: no table could tell them apart."""
    wrong = [m for m in sweep.metrics if isinstance(m, type) or not callable(getattr(m, "measure", None))]
    if wrong or not sweep.metrics:
        told = repr(wrong[0] if wrong else sweep.metric)
        raise UserMistake(f"Sweep(metric=...) takes an object with measure, got {told}; several go in a tuple.")
    names = [metric.name for metric in sweep.metrics]
    if len(set(names)) < len(names):
        raise UserMistake(f"Sweep(metric=...) takes metrics of different names, got {', '.join(names)}.")


def check_pruner(sweep: Sweep) -> None:
    """Refuse a pruner of the wrong kind, for several metrics, or that cannot work with the sweep's folds."""
    if not isinstance(sweep.chosen_pruner, Pruner):
        told = "a pruner such as Halving(), Race() or NoPruning(), or a pruner object of Optuna's"
        raise UserMistake(f"Sweep(pruner=...) takes {told}, got {sweep.pruner!r}.")
    if len(sweep.metrics) > 1 and sweep.chosen_pruner != NoPruning():
        raise UserMistake(f"with several metrics no trial is stopped: leave out pruner={sweep.pruner!r}.")
    sweep.chosen_pruner.refuse(sweep.validation.folds)


def check_points(sweep: Sweep) -> None:
    """Refuse a constraint that cannot be called, and configurations to try first that are not of this space."""
    if isinstance(sweep.constraint, type) or not (sweep.constraint is None or callable(sweep.constraint)):
        raise UserMistake(f"Sweep(constraint=...) takes a function of a candidate, got {sweep.constraint!r}.")
    if isinstance(sweep.enqueue, (str, Mapping)) or not isinstance(sweep.enqueue, Sequence):
        raise UserMistake(f"Sweep(enqueue=...) takes a list of configurations, got {sweep.enqueue!r}.")
    if enqueued(sweep) and sweep.sampler.exhaustive:
        raise UserMistake(f"Sweep(enqueue=...) has nothing to put first: {sweep.sampler} tries every point.")


def check_search(sweep: Sweep) -> None:
    """Refuse a sampler, a number of trials or a rule for stopping of the wrong kind."""
    if not isinstance(sweep.sampler, Sampler):
        told = "a sampler such as TPE(), Random() or Grid(), or a sampler object of Optuna's"
        raise UserMistake(f"Sweep(sampler=...) takes {told}, got {sweep.sampler!r}.")
    if sweep.trials is None and not sweep.sampler.exhaustive:
        told = "only Grid() and BruteForce() know it by themselves"
        raise UserMistake(f"Sweep(trials=...) is a whole number of at least 1; {told}.")
    if sweep.trials is not None and (type(sweep.trials) is not int or sweep.trials < 1):
        raise UserMistake(f"Sweep(trials=...) is a whole number of at least 1, got {sweep.trials!r}.")
    if not isinstance(sweep.early_stopping, EarlyStopping | None):
        raise UserMistake(f"Sweep(early_stopping=...) takes an EarlyStopping(), got {sweep.early_stopping!r}.")
    if not isinstance(sweep.budget, Budget):
        raise UserMistake(f"Sweep(budget=...) takes a Budget(), got {sweep.budget!r}.")
