"""Proposals: how the values of a trial are drawn, by Optuna's samplers, a plan, or what the sweep file would try first.

What is drawn depends on the sweep's seed, the trial's number and the trials before it, and not on restarts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import optuna
from optuna.trial import FrozenTrial, Trial

from searchlab.runs.job import Job
from searchlab.space.domains import Domain, Scalar
from searchlab.space.initial_points import enqueued
from searchlab.space.structure import structural
from searchlab.study.samplers import Samplers, suggest

Values = dict[str, Scalar]


class TrialProposer:
    """Draws the trials of one study."""

    def __init__(self, job: Job, study: optuna.Study) -> None:
        self.job, self.sweep, self._study = job, job.sweep, study
        self._plan = job.sweep.plan()
        self._samplers = Samplers(job.sweep, job.seed, resumed=bool(study.get_trials(deepcopy=False)))
        self._first: Sequence[Mapping[str, Scalar]] = [*job.first, *enqueued(job.sweep)]

    @property
    def listed(self) -> bool:
        """Whether the points are known beforehand: there is nothing to learn between them."""
        return self._plan is not None

    def draw(self, number: int, fixed: Mapping[str, Scalar]) -> tuple[Trial, Values]:
        """A new trial, with these values given."""
        self._prepare(number, fixed)
        with np.errstate(all="ignore"):
            trial = _begun(self._study)
        return trial, self._settle(trial)

    def reopen(self, number: int, trial: FrozenTrial) -> tuple[Trial, Values]:
        """An open trial. One killed while it was drawn has some of its values: those stay, and the others are drawn."""
        self._prepare(number, {})
        opened = Trial(self._study, trial._trial_id)
        return opened, self._settle(opened)

    def alike(self, number: int) -> int | None:
        """How many points of a plan from this one on have one structure; None where there is no plan."""
        return self._plan.alike(number) if self._plan else None

    def follows(self, number: int, structure: Mapping[str, Scalar]) -> bool:
        """Whether this trial can have this structure: of a plan, another worker may have taken the last that does."""
        return not self._plan or structural(self.sweep, self._plan.points[number]) == structure

    def alone(self, number: int) -> bool:
        """Whether this trial is a group of its own: one to be tried first, or one of a sampler that draws so."""
        return (self._plan is None and number < len(self._first)) or self.sweep.sampler.alone(self.sweep)

    def _prepare(self, number: int, fixed: Mapping[str, Scalar]) -> None:
        """Set Optuna's sampler for this trial."""
        self._study.sampler = self._samplers.of(number, self._given(number) or fixed)

    def _given(self, number: int) -> Mapping[str, Scalar]:
        if self._plan:
            return self._plan.points[number]
        return self._first[number] if number < len(self._first) else {}

    def _settle(self, trial: Trial) -> Values:
        parameters: Values = {}

        def ask(path: str, domain: Domain) -> Scalar:
            parameters[path] = suggest(trial, path, domain)
            return parameters[path]

        with np.errstate(all="ignore"):  # densities that underflow are a sampler's own affair
            self.sweep.draw(ask)
        return parameters


def _begun(study: optuna.Study) -> Trial:
    """A new trial, begun as `Study.ask` of Optuna 5.0 begins one, without a look at its queue.

    That look, `Study._pop_waiting_trial_id`, goes through all the trials there are, at every draw; here nothing is ever
    enqueued in Optuna. The rest of `ask` is this: what samplers read by `use_cache` is read anew for each trial.
    """
    study._thread_local.cached_all_trials = None
    return Trial(study, study._storage.create_new_trial(study._study_id))
