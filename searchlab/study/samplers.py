"""Optuna's samplers and distributions for the samplers and domains of a sweep."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Mapping

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler, PartialFixedSampler
from optuna.trial import Trial

from searchlab.backend import Array
from searchlab.space.domains import Choice, Domain, Float, Int, Scalar
from searchlab.space.initial_points import open_arguments
from searchlab.space.samplers import TPE, BruteForce, CmaEs, Grid, OptunaSampler, QuasiRandom, Random, Sampler
from searchlab.space.sweep import Sweep
from searchlab.study import optuna_samplers
from searchlab.study.tpe_observations import TPEObservations

SEQUENCE_KEY = 2**32 - 1  # distinguishes the seed of a Sobol sequence from the seeds of trials
MIN_SOBOL_EXPONENT = 6  # a sequence has at least 64 points


class SamplerFactory:
    """Creates Optuna's sampler for each trial of one study.

    A sampler is seeded by the sweep's seed, the trial's number and the trials of an earlier sweep: what it draws
    depends on the trials before it and not on restarts. A sampler object of the user's own keeps its seed, and gets a
    new one when the study is resumed.

    Args:
        sweep: The sweep.
        seed: Its random seed.
        is_resumed: Whether the study has trials already.
        prior_seed: What the trials of an earlier sweep add to the seed; empty where there are none.
    """

    def __init__(self, sweep: Sweep, seed: int, *, is_resumed: bool = False, prior_seed: tuple[int, ...] = ()) -> None:
        self._sampler, self._seed, self._prior_seed = sweep.sampler, seed, prior_seed
        self._open_paths = sorted(path for path, value, _ in sweep.iter_arguments() if isinstance(value, Domain))
        self._unconditional = {  # the ranges that are open in every trial
            path: to_distribution(argument.domain)
            for path, argument in sorted(open_arguments(sweep).items())
            if not argument.conditions and isinstance(argument.domain, (Float, Int))
        }
        self._sobol: Array = np.empty((0, len(self._open_paths)))  # (points, dimensions), in [0, 1)
        self._observations = TPEObservations()
        self._tpe: optuna_samplers.ConditionalTPESampler | None = None  # the same for all trials
        self._own = copy.deepcopy(sweep.sampler.sampler) if isinstance(sweep.sampler, OptunaSampler) else None
        if self._own is not None and is_resumed:
            self._own.reseed_rng()

    def create(self, number: int, fixed: Mapping[str, Scalar]) -> BaseSampler:
        """Return the sampler of the trial with this number, with these values fixed."""
        if self._own is not None:
            return _with_fixed(self._own, fixed)
        if isinstance(self._sampler, QuasiRandom):
            point = dict(zip(self._open_paths, self._sobol_point(number), strict=True))
            return _with_fixed(optuna_samplers.UnitPointSampler(point), fixed)
        seed = int(np.random.SeedSequence([self._seed, number, *self._prior_seed]).generate_state(1)[0])
        if isinstance(self._sampler, CmaEs):
            with _without_experimental_warnings():
                sampler = optuna_samplers.ResumableCmaEsSampler(
                    seed, self._unconditional, startup_trials=self._sampler.startup_trials
                )
            return _with_fixed(sampler, fixed)
        if isinstance(self._sampler, TPE):
            return _with_fixed(self._restarted_tpe(self._sampler, seed), fixed)
        return create_sampler(self._sampler, seed, fixed)

    def _restarted_tpe(self, sampler: TPE, seed: int) -> BaseSampler:
        if self._tpe is None:
            self._tpe = _create_tpe(sampler, seed, self._observations)
        self._tpe.restart(seed)
        return self._tpe

    def _sobol_point(self, number: int) -> list[float]:
        """Return the point of the sequence with this number, one coordinate for each open argument."""
        if number >= len(self._sobol) and self._open_paths:
            from scipy.stats import qmc  # here alone: it takes half a second

            scrambling = np.random.default_rng([self._seed, SEQUENCE_KEY, *self._prior_seed])
            sequence = qmc.Sobol(len(self._open_paths), scramble=True, rng=scrambling)
            self._sobol = sequence.random_base2(max(MIN_SOBOL_EXPONENT, number.bit_length()))
        coordinates: list[float] = self._sobol[number].tolist() if self._open_paths else []
        return coordinates


def create_sampler(sampler: Sampler, seed: int, fixed: Mapping[str, Scalar]) -> BaseSampler:
    """Return Optuna's sampler for one trial, for the samplers that need to know nothing about the sweep.

    Args:
        sampler: TPE, Random, Grid or BruteForce.
        seed: Random seed of the trial.
        fixed: Values by path that are not drawn; for a grid these are all.
    """
    return _with_fixed(_create_free_sampler(sampler, seed), fixed)


def suggest(trial: Trial, path: str, domain: Domain) -> Scalar:
    """Return a trial's value of one argument: the stored one, or else one that its sampler draws."""
    if isinstance(domain, Float):
        return trial.suggest_float(path, domain.low, domain.high, log=domain.log, step=domain.step)
    if isinstance(domain, Int):
        return trial.suggest_int(path, domain.low, domain.high, log=domain.log, step=domain.step)
    if isinstance(domain, Choice):
        choice: Scalar = trial.suggest_categorical(path, list(domain.labels))
        return choice
    raise TypeError(f"Optuna cannot suggest a value of a {type(domain).__name__}")


def distributions_of(sweep: Sweep, parameters: Mapping[str, Scalar]) -> dict[str, BaseDistribution]:
    """Return Optuna's distribution of each argument that is open in the trial with these parameters of the sweep."""
    found: dict[str, BaseDistribution] = {}

    def look_up(path: str, domain: Domain) -> Scalar:
        found[path] = to_distribution(domain)
        return parameters[path]

    sweep.suggest_configuration(look_up)
    return found


def to_distribution(domain: Domain) -> BaseDistribution:
    """Return Optuna's distribution of a domain, equal to the one that `suggest` stores."""
    if isinstance(domain, Float):
        return FloatDistribution(domain.low, domain.high, log=domain.log, step=domain.step)
    if isinstance(domain, Int):
        return IntDistribution(domain.low, domain.high, log=domain.log, step=domain.step)
    if isinstance(domain, Choice):
        return CategoricalDistribution(list(domain.labels))
    raise TypeError(f"Optuna has no distribution for a {type(domain).__name__}")


def _with_fixed(sampler: BaseSampler, fixed: Mapping[str, Scalar]) -> BaseSampler:
    with _without_experimental_warnings():
        return PartialFixedSampler(dict(fixed), sampler) if fixed else sampler


def _create_free_sampler(sampler: Sampler, seed: int) -> BaseSampler:
    if isinstance(sampler, TPE):
        return _create_tpe(sampler, seed, TPEObservations())
    if isinstance(sampler, (Random, Grid, BruteForce)):  # all values of a grid are fixed
        return optuna_samplers.ArgumentRandomSampler(seed)
    raise TypeError(f"Optuna has no sampler for {sampler!r}")


def _create_tpe(sampler: TPE, seed: int, observations: TPEObservations) -> optuna_samplers.ConditionalTPESampler:
    with _without_experimental_warnings():
        return optuna_samplers.ConditionalTPESampler(
            seed, startup_trials=sampler.startup_trials, observations=observations
        )


def _without_experimental_warnings() -> warnings.catch_warnings:
    """Return a context without Optuna's warnings about experimental features: its minor version is pinned."""
    context = warnings.catch_warnings(action="ignore", category=optuna.exceptions.ExperimentalWarning)
    return context
