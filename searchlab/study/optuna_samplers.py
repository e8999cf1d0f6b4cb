"""Optuna's samplers, adapted to studies whose trials are reopened after a kill and number in the thousands."""

from __future__ import annotations

import copy
import zlib
from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler, CmaEsSampler, RandomSampler, TPESampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from searchlab.space.domains import Scalar
from searchlab.study import tpe_observations
from searchlab.study.tpe_observations import TPEObservations

CANDIDATES = 24  # points that TPE draws, of which it takes the one with the largest ratio of densities


class ArgumentRandomSampler(RandomSampler):
    """A random sampler with a stream of random numbers for each argument: a value does not depend on the others."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed=seed)
        self._seed = seed

    def restart(self, seed: int) -> None:
        """Draw by this seed from now on."""
        self._seed = seed

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Return a value of the argument, drawn uniformly."""
        _seed_stream(self._rng.rng, self._seed, param_name)
        return super().sample_independent(study, trial, param_name, param_distribution)


class ConditionalTPESampler(TPESampler):
    """Optuna's TPE for conditional spaces and long studies: it reads the best and the latest trials.

    The good trials are exactly those of Optuna's own sampler; the others are the latest, to which it gives most weight
    in any case. Arguments that always occur together are drawn jointly when the first of them is suggested, from a
    stream of random numbers of their own: a trial that was killed while it was drawn gets the values that it would have
    had. All trials of a study should share the `observations`, which then read each trial when it starts and ends.

    Args:
        seed: Random seed of the trial.
        startup_trials: Number of trials that are drawn at random.
        observations: The trials before this one; default: read for this trial.
    """

    def __init__(self, seed: int, *, startup_trials: int, observations: TPEObservations | None = None) -> None:
        super().__init__(n_startup_trials=startup_trials, seed=seed, multivariate=True, group=True, constant_liar=True)
        self._by_argument = ArgumentRandomSampler(seed)
        self._random_sampler = self._by_argument  # Optuna's own name: it draws the first trials
        self._startup_trials = startup_trials
        self._view, self._observations = cast(Any, None), observations or TPEObservations()
        self.restart(seed)

    def restart(self, seed: int) -> None:
        """Prepare for another trial: a new sampler for each would take as long as the drawing."""
        self._seed = seed
        self._by_argument.restart(seed)
        self._groups: list[dict[str, BaseDistribution]] = []  # of arguments that always occur together
        self._known_space: Mapping[str, BaseDistribution] = {}  # of observed trials, without fixed arguments
        self._drawn: dict[str, Any] = {}

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Return the arguments of the observed trials."""
        self._view = self._observations.view(study, trial)
        self._groups = self._view.groups()
        return {name: each for group in self._groups for name, each in sorted(group.items()) if not each.single()}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Return no values yet: which conditional arguments are open is not known before others are drawn."""
        self._known_space = search_space
        return {}

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Return the value of an argument; those that always occur with it are drawn too, and kept."""
        is_known = self._known_space.get(param_name) == param_distribution
        if is_known and param_name not in self._drawn and self._view.ended_count >= self._startup_trials:
            group = next(group for group in self._groups if param_name in group)
            joint = {name: self._known_space[name] for name in sorted(group) if name in self._known_space}
            _seed_stream(self._rng.rng, self._seed, min(joint))
            with np.errstate(under="ignore"):  # the density far from all trials is 0
                self._drawn |= self._sample(self._view, trial, joint)
        if param_name in self._drawn:
            return self._drawn[param_name]
        _seed_stream(self._rng.rng, self._seed, param_name)
        with np.errstate(under="ignore"):
            return super().sample_independent(self._view, trial, param_name, param_distribution)

    def _sample(self, study: Any, trial: FrozenTrial, search_space: dict[str, BaseDistribution]) -> dict[str, Any]:
        """Return what Optuna's own method returns, from arrays that are kept between draws."""
        if not study.has_values_of(search_space):
            return super()._sample(study, trial, search_space)
        from searchlab.study.parzen_estimator import ParzenEstimator  # here alone: it imports SciPy

        good, others = (ParzenEstimator(values, search_space) for values in study.split(search_space))
        samples = good.sample(self._rng.rng, CANDIDATES)
        best = int(np.argmax(good.log_density(samples) - others.log_density(samples)))
        return {name: search_space[name].to_external_repr(values[best].item()) for name, values in samples.items()}

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Have the observations updated with a trial that starts, or is reopened."""
        self._observations.mark_changed(trial)

    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None) -> None:
        """Have the observations updated with a trial that ends; another sampler may have drawn it."""
        self._observations.mark_changed(trial)


class ResumableCmaEsSampler(CmaEsSampler):
    """Optuna's CMA-ES, which stores its state with the trials that it drew; reopening a trial does not change it.

    It adapts the ranges of `space` only; Optuna's own takes arguments that the first trials have for always open. Of a
    thousand trials it reads those of the latest generations.

    Args:
        seed: Random seed of the trial.
        space: The ranges that are open in every trial, by path.
        startup_trials: Number of trials that are drawn at random.
    """

    def __init__(self, seed: int, space: Mapping[str, BaseDistribution], *, startup_trials: int) -> None:
        super().__init__(
            n_startup_trials=startup_trials,
            seed=seed,
            independent_sampler=ArgumentRandomSampler(seed),
            warn_independent_sampling=False,
        )
        self._space = dict(space)

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Return the ranges that are open in every trial."""
        return dict(self._space)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Return values of the ranges; none for a reopened trial, which has them, and none where some are fixed.

        A reopened trial belongs to the generation in which it was drawn. A trial with fixed values is not a sample of
        any generation.
        """
        if search_space.keys() <= trial.params.keys() or search_space.keys() != self._space.keys():
            return {}
        return super().sample_relative(study, trial, search_space)

    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Any) -> None:
        """Return: Optuna's own only warns about constraints, and an infeasible trial is never trained here."""

    def _get_trials(self, study: Study) -> list[FrozenTrial]:
        """Return the latest trials with a value; pruned trials, which fill a generation sooner, get their last one."""
        ended = study._get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED), use_cache=True)
        with_value = [trial for trial in ended if trial.state is TrialState.COMPLETE or trial.intermediate_values]
        return [_with_latest_value(trial) for trial in with_value[-tpe_observations.MAX_LATEST :]]


class UnitPointSampler(BaseSampler):
    """A sampler that draws one point of the unit cube, each argument by its own coordinate.

    Args:
        coordinates: A number from 0 to below 1 for each argument, by path.
    """

    def __init__(self, coordinates: Mapping[str, float]) -> None:
        self._coordinates = coordinates

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Return no argument: none is drawn jointly."""
        return {}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Return no values."""
        return {}

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Return the value at the argument's coordinate."""
        return from_unit_interval(param_distribution, self._coordinates[param_name])


def from_unit_interval(distribution: BaseDistribution, unit: float) -> Scalar:
    """Map a number from 0 to below 1 onto a distribution; intervals of equal length are equally likely."""
    if isinstance(distribution, CategoricalDistribution):
        choice: Scalar = distribution.choices[int(unit * len(distribution.choices))]
        return choice
    if not isinstance(distribution, (FloatDistribution, IntDistribution)):
        raise TypeError(f"{distribution!r} is not a distribution of Optuna")
    low, high, step = distribution.low, distribution.high, distribution.step
    if step is not None and not distribution.log:
        return min(low + step * int(unit * (round((high - low) / step) + 1)), high)
    margin = 0.5 if isinstance(distribution, IntDistribution) else 0.0  # so that an interval of length 1 rounds to each
    first, last = low - margin, high + margin
    value = first * (last / first) ** unit if distribution.log else first + unit * (last - first)
    return min(max(round(value) if margin else value, low), high)


def _with_latest_value(trial: FrozenTrial) -> FrozenTrial:
    if trial.state is TrialState.COMPLETE:
        return trial
    valued = copy.copy(trial)
    valued.value = trial.intermediate_values[max(trial.intermediate_values)]
    return valued


def _seed_stream(generator: np.random.RandomState, seed: int, name: str) -> None:
    """Seed a generator for the argument, or the group of arguments, with this name."""
    generator.seed([seed, zlib.crc32(name.encode())])
