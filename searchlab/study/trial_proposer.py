"""Proposals of single trials: their values come from a sampler, a grid, or the points that the user wants tried first.

They depend on the sweep's seed, the trial's number and the trials before it, and not on restarts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np
import optuna
from optuna.trial import FrozenTrial, Trial, TrialState, create_trial

from searchlab.runs.job import Job
from searchlab.space.domains import Domain, Scalar
from searchlab.space.initial_points import enqueued_points
from searchlab.space.structure import structural_parameters
from searchlab.study.optuna_study import prior_seed
from searchlab.study.samplers import SamplerFactory, suggest

Values: TypeAlias = dict[str, Scalar]  # parameters of one trial by path


class TrialProposer:
    """Proposes the trials of one study.

    Args:
        job: The sweep and its options.
        study: Optuna's study, which stores the trials.
    """

    def __init__(self, job: Job, study: optuna.Study) -> None:
        self.sweep, self._study = job.sweep, study
        self._grid = job.sweep.grid_points()
        is_resumed = bool(study.get_trials(deepcopy=False))
        self._samplers = SamplerFactory(job.sweep, job.config.seed, is_resumed=is_resumed, prior_seed=prior_seed(study))
        self._initial_points: Sequence[Mapping[str, Scalar]] = [*job.initial_points, *enqueued_points(job.sweep)]

    @property
    def has_grid(self) -> bool:
        """Whether all points are known in advance, so that a sampler learns nothing between them."""
        return self._grid is not None

    def propose(
        self, number: int, fixed: Mapping[str, Scalar], attributes: Mapping[str, object] | None = None
    ) -> tuple[Trial, Values]:
        """Create the trial of this number with these values fixed, and return it with all its values.

        `attributes` are stored with the trial from its first moment.
        """
        self._set_sampler(number, fixed)
        with np.errstate(all="ignore"):
            trial = _create_trial(self._study, attributes)
        return trial, self._suggest_values(trial)

    def reopen(
        self, number: int, trial: FrozenTrial, fixed: Mapping[str, Scalar] | None = None
    ) -> tuple[Trial, Values]:
        """Return an open trial with all its values; those that a kill kept from being stored are drawn now.

        `fixed` are the values that were fixed when the trial was created, as far as they are known.
        """
        self._set_sampler(number, fixed or {})
        opened = Trial(self._study, trial._trial_id)
        return opened, self._suggest_values(opened)

    def structure_run(self, number: int) -> int | None:
        """Return how many points of the grid from this number on have one structure; None without a grid."""
        return self._grid.structure_run(number) if self._grid else None

    def fits_structure(self, number: int, structure: Mapping[str, Scalar]) -> bool:
        """Return whether this trial can have this structure; in a grid, another worker may have taken the last one."""
        return not self._grid or structural_parameters(self.sweep, self._grid.points[number]) == structure

    def trains_alone(self, number: int) -> bool:
        """Return whether this trial is a group of its own: an initial point, or by the sampler's choice."""
        is_initial = self._grid is None and number < len(self._initial_points)
        return is_initial or self.sweep.sampler.one_trial_per_group(self.sweep)

    def _set_sampler(self, number: int, fixed: Mapping[str, Scalar]) -> None:
        self._study.sampler = self._samplers.create(number, self._known_values(number) or fixed)

    def _known_values(self, number: int) -> Mapping[str, Scalar]:
        """Return the values of this trial that are known in advance."""
        if self._grid:
            return self._grid.points[number]
        return self._initial_points[number] if number < len(self._initial_points) else {}

    def _suggest_values(self, trial: Trial) -> Values:
        values: Values = {}

        def suggest_value(path: str, domain: Domain) -> Scalar:
            values[path] = suggest(trial, path, domain)
            return values[path]

        with np.errstate(all="ignore"):  # densities in a sampler may underflow
            self.sweep.suggest_configuration(suggest_value)
        return values


def _create_trial(study: optuna.Study, attributes: Mapping[str, object] | None) -> Trial:
    """Return a new trial, created as `Study.ask` of Optuna 5.0 does, without its look at the queue.

    User attributes are part of the operation that creates the trial: no kill leaves it without them.

    `Study.ask` calls `Study._pop_waiting_trial_id`, which goes through all trials each time; here no trial is ever
    enqueued in Optuna. The first line makes samplers that use Optuna's cache read the trials anew.
    """
    study._thread_local.cached_all_trials = None
    template = create_trial(state=TrialState.RUNNING, user_attrs=dict(attributes)) if attributes else None
    return Trial(study, study._storage.create_new_trial(study._study_id, template_trial=template))
