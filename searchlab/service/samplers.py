"""What the sweep file's samplers and domains are in Optuna."""

from __future__ import annotations

import warnings
from collections.abc import Mapping

import optuna
from optuna.samplers import BaseSampler, PartialFixedSampler, RandomSampler, TPESampler
from optuna.trial import Trial

from searchlab.sweep.domains import Choice, Domain, Float, Int, Scalar
from searchlab.sweep.samplers import TPE, Grid, Random, Sampler


def optuna_sampler(sampler: Sampler, seed: int, fixed: Mapping[str, Scalar]) -> BaseSampler:
    """Optuna's sampler for one trial, with some values given; a grid gives all of them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)  # the version is pinned to a minor one
        free = _free(sampler, seed)
        return PartialFixedSampler(dict(fixed), free) if fixed else free


def suggest(trial: Trial, path: str, domain: Domain) -> Scalar:
    """A trial's value of one argument: the one it has, else the one its sampler draws."""
    if isinstance(domain, Float):
        return trial.suggest_float(path, domain.low, domain.high, log=domain.log, step=domain.step)
    if isinstance(domain, Int):
        return trial.suggest_int(path, domain.low, domain.high, log=domain.log, step=domain.step)
    if isinstance(domain, Choice):
        choice: Scalar = trial.suggest_categorical(path, list(domain.labels))
        return choice
    raise TypeError(f"no way to ask for a {type(domain).__name__}")


def _free(sampler: Sampler, seed: int) -> BaseSampler:
    if isinstance(sampler, TPE):  # models conditional arguments apart, and running trials as bad ones
        return TPESampler(
            n_startup_trials=sampler.start_up, seed=seed, multivariate=True, group=True, constant_liar=True
        )
    if isinstance(sampler, (Random, Grid)):  # of a grid nothing is left to draw
        return RandomSampler(seed=seed)
    raise TypeError(f"no way to draw as {sampler!r}")
