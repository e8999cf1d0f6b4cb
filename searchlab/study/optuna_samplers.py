"""Optuna's samplers made to fit a study whose trials are opened again after a kill and number in the thousands."""

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
from searchlab.study import tpe_history
from searchlab.study.tpe_history import History


class Uniform(RandomSampler):
    """Draws each argument at random, from its own stream of numbers: what is drawn before it does not matter."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed=seed)
        self._seed = seed

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """A value, every one as likely."""
        _begin_stream(self._rng.rng, self._seed, param_name)
        return super().sample_independent(study, trial, param_name, param_distribution)


class Tpe(TPESampler):
    """Optuna's, on the best and the latest trials, and with the arguments of a condition drawn when they are asked for.

    Of all trials the good ones are exactly those of Optuna's own; the bad ones are the latest, to which it gives most
    weight in any case. Arguments that always come together are drawn jointly, from a stream of numbers of their own: a
    trial that a kill left half drawn goes on with the values that it would have had. All trials of a study should be
    drawn with one `history`, which then reads each trial when it begins and when it ends, and no other.
    """

    def __init__(self, seed: int, *, start_up: int, history: History | None = None) -> None:
        super().__init__(n_startup_trials=start_up, seed=seed, multivariate=True, group=True, constant_liar=True)
        self._random_sampler = Uniform(seed)
        self._seed, self._seen, self._history = seed, cast(Any, None), history or History()
        self._known: Mapping[str, BaseDistribution] = {}  # of the arguments that are not given and earlier trials have
        self._drawn: dict[str, Any] = {}

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """What earlier trials have."""
        self._seen = self._history.seen(study, trial)
        return super().infer_relative_search_space(self._seen, trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Nothing yet: which arguments are open under which condition is not known before it is drawn."""
        self._known = search_space
        return {}

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """The value of an argument; those that always come with it are drawn too, and kept."""
        if self._known.get(param_name) == param_distribution and param_name not in self._drawn:
            groups = self._search_space_group.search_spaces if self._search_space_group else []
            group = next(group for group in groups if param_name in group)
            together = {name: self._known[name] for name in sorted(group) if name in self._known}
            _begin_stream(self._rng.rng, self._seed, min(together))
            with np.errstate(under="ignore"):  # the density far from all trials is 0
                self._drawn |= self._sample_relative(self._seen, trial, together)
        if param_name in self._drawn:
            return self._drawn[param_name]
        _begin_stream(self._rng.rng, self._seed, param_name)
        with np.errstate(under="ignore"):
            return super().sample_independent(self._seen, trial, param_name, param_distribution)

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """A trial begins, or is opened again."""
        self._history.changed(trial)

    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None) -> None:
        """A trial ends: one that was drawn with this history, and not always by this sampler."""
        self._history.changed(trial)


class CmaEs(CmaEsSampler):
    """Optuna's, which keeps its state with the trials it drew; opening one of them again changes none of it.

    It adapts the ranges of `space`, and takes no other arguments for open in every trial because the first trials have
    them. Of a thousand trials it needs those that its latest generations drew.
    """

    def __init__(self, seed: int, space: Mapping[str, BaseDistribution], *, start_up: int) -> None:
        super().__init__(
            n_startup_trials=start_up, seed=seed, independent_sampler=Uniform(seed), warn_independent_sampling=False
        )
        self._space = dict(space)

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """The ranges that are open in every trial."""
        return dict(self._space)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Nothing for a trial that has its values, for it belongs to the generation that it was drawn in.

        Nor for one that is given some of them, which would be no sample of the generation.
        """
        if search_space.keys() <= trial.params.keys() or search_space.keys() != self._space.keys():
            return {}
        return super().sample_relative(study, trial, search_space)

    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Any) -> None:
        """Nothing: it would only warn of constraints, which keep a candidate from being trained in any case."""

    def _get_trials(self, study: Study) -> list[FrozenTrial]:
        """The latest that ended with a value; stopped ones by what they had reached, else a generation takes ages."""
        ended = study._get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED), use_cache=True)
        valued = [trial for trial in ended if trial.state is TrialState.COMPLETE or trial.intermediate_values]
        return [_by_what_it_reached(trial) for trial in valued[-tpe_history.LATEST :]]


class At(BaseSampler):
    """Draws one point of the unit cube, each argument by its own coordinate."""

    def __init__(self, coordinates: Mapping[str, float]) -> None:
        self._coordinates = coordinates

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Nothing: each argument is drawn in its turn."""
        return {}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Nothing."""
        return {}

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """The value at this argument's coordinate."""
        return along(param_distribution, self._coordinates[param_name])


def _by_what_it_reached(trial: FrozenTrial) -> FrozenTrial:
    if trial.state is TrialState.COMPLETE:
        return trial
    reached = copy.copy(trial)
    reached.value = trial.intermediate_values[max(trial.intermediate_values)]
    return reached


def _begin_stream(numbers: np.random.RandomState, seed: int, name: str) -> None:
    numbers.seed([seed, zlib.crc32(name.encode())])


def along(distribution: BaseDistribution, unit: float) -> Scalar:
    """The value this far along a distribution, from 0 to below 1: equal stretches are equally likely."""
    if isinstance(distribution, CategoricalDistribution):
        choice: Scalar = distribution.choices[int(unit * len(distribution.choices))]
        return choice
    assert isinstance(distribution, (FloatDistribution, IntDistribution))
    low, high, step = distribution.low, distribution.high, distribution.step
    if step is not None and not distribution.log:
        return min(low + step * int(unit * (round((high - low) / step) + 1)), high)
    half = 0.5 if isinstance(distribution, IntDistribution) else 0.0  # of the whole number at either end
    first, last = low - half, high + half
    value = first * (last / first) ** unit if distribution.log else first + unit * (last - first)
    return min(max(round(value) if half else value, low), high)
