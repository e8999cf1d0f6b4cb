"""What the sweep file's samplers and domains are in Optuna."""

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
from searchlab.space.initial_points import places_of
from searchlab.space.samplers import TPE, BruteForce, CmaEs, Grid, OptunaSampler, QuasiRandom, Random, Sampler
from searchlab.space.sweep import Sweep
from searchlab.study import optuna_samplers
from searchlab.study.tpe_history import History

UNSEEDED = 2**32 - 1  # what tells the seed of a sequence from those of its trials


class Samplers:
    """Optuna's sampler for each trial of one study.

    It is seeded by the sweep's seed and the trial's number alone: what is drawn depends on the trials before it and not
    on restarts. An Optuna sampler of the user's own keeps its seed, and is seeded afresh where the study is `resumed`.
    """

    def __init__(self, sweep: Sweep, seed: int, *, resumed: bool = False) -> None:
        self._sampler, self._seed = sweep.sampler, seed
        self._open = sorted(path for path, value, _ in sweep.walk() if isinstance(value, Domain))
        self._always = {  # the ranges that are open in every trial
            path: distribution(place.domain)
            for path, place in sorted(places_of(sweep).items())
            if not place.waits and isinstance(place.domain, (Float, Int))
        }
        self._sobol: Array = np.empty((0, len(self._open)))  # (points, dimensions), in [0, 1)
        self._history = History()
        self._own = copy.deepcopy(sweep.sampler.sampler) if isinstance(sweep.sampler, OptunaSampler) else None
        if self._own is not None and resumed:
            self._own.reseed_rng()

    def of(self, number: int, fixed: Mapping[str, Scalar]) -> BaseSampler:
        """The sampler of the trial with this number, with these values given."""
        if self._own is not None:
            return _with_given(self._own, fixed)
        if isinstance(self._sampler, QuasiRandom):
            return _with_given(optuna_samplers.At(dict(zip(self._open, self._point(number), strict=True))), fixed)
        seed = int(np.random.SeedSequence([self._seed, number]).generate_state(1)[0])
        if isinstance(self._sampler, CmaEs):
            with _experimental():
                adapted = optuna_samplers.CmaEs(seed, self._always, start_up=self._sampler.start_up)
            return _with_given(adapted, fixed)
        return optuna_sampler(self._sampler, seed, fixed, self._history)

    def _point(self, number: int) -> list[float]:
        """The point of the sequence with this number, one coordinate for each open argument."""
        if number >= len(self._sobol) and self._open:
            from scipy.stats import qmc  # half a second

            scrambling = np.random.default_rng([self._seed, UNSEEDED])
            sequence = qmc.Sobol(len(self._open), scramble=True, rng=scrambling)
            self._sobol = sequence.random_base2(max(6, number.bit_length()))
        coordinates: list[float] = self._sobol[number].tolist() if self._open else []
        return coordinates


def optuna_sampler(
    sampler: Sampler, seed: int, fixed: Mapping[str, Scalar], history: History | None = None
) -> BaseSampler:
    """Optuna's sampler for one trial, with some values given; a grid gives all of them.

    For those that need to know nothing of the sweep; `Samplers` has them all. `history` is of the study's trials before
    this one, where many are drawn.
    """
    return _with_given(_free(sampler, seed, history), fixed)


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


def distributions(sweep: Sweep, parameters: Mapping[str, Scalar]) -> dict[str, BaseDistribution]:
    """Optuna's distribution of each argument that a draw with these values asks for; they must fit the sweep."""
    found: dict[str, BaseDistribution] = {}

    def ask(path: str, domain: Domain) -> Scalar:
        found[path] = distribution(domain)
        return parameters[path]

    sweep.draw(ask)
    return found


def distribution(domain: Domain) -> BaseDistribution:
    """What a domain is in Optuna, as `suggest` asks for it."""
    if isinstance(domain, Float):
        return FloatDistribution(domain.low, domain.high, log=domain.log, step=domain.step)
    if isinstance(domain, Int):
        return IntDistribution(domain.low, domain.high, log=domain.log, step=domain.step)
    if isinstance(domain, Choice):
        return CategoricalDistribution(list(domain.labels))
    raise TypeError(f"no distribution is a {type(domain).__name__}")


def _with_given(free: BaseSampler, fixed: Mapping[str, Scalar]) -> BaseSampler:
    with _experimental():
        return PartialFixedSampler(dict(fixed), free) if fixed else free


def _free(sampler: Sampler, seed: int, history: History | None) -> BaseSampler:
    with _experimental():
        if isinstance(sampler, TPE):
            return optuna_samplers.Tpe(seed, start_up=sampler.start_up, history=history)
    if isinstance(sampler, (Random, Grid, BruteForce)):  # of a grid nothing is left to draw
        return optuna_samplers.Uniform(seed)
    raise TypeError(f"no way to draw as {sampler!r}")


def _experimental() -> warnings.catch_warnings:
    """Without Optuna's warnings of what is experimental: its version is pinned to a minor one."""
    quiet = warnings.catch_warnings(action="ignore", category=optuna.exceptions.ExperimentalWarning)
    return quiet
