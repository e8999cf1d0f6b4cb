"""Optuna's pruners at work: they ask a study of Optuna's, which is kept in step with the curves."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Container

from optuna.storages import InMemoryStorage
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from searchlab.metrics import Goal
from searchlab.pruning.learning_curves import LearningCurves
from searchlab.pruning.optuna import OptunaPruner
from searchlab.pruning.pruner import Pruner, StoppingRule

NAME = "searchlab"  # Hyperband chooses a trial's bracket by its number and the name of the study


def stopping_rule_of(pruner: Pruner, goal: Goal) -> StoppingRule:
    """What decides for a sweep's pruner: the pruner itself, or a judge that asks one of Optuna's."""
    return pruner if not isinstance(pruner, OptunaPruner) else _OptunaRule(pruner, goal)


class _OptunaRule:
    """Asks one of Optuna's pruners, with the means over folds as intermediate values and the epochs, from 1, as steps.

    Optuna's pruners keep notes on the trials that they were asked about. So all questions are about one search, and the
    curves of a trial only ever get longer; which other trials are known may differ from question to question.
    """

    def __init__(self, pruner: OptunaPruner, goal: Goal) -> None:
        self._pruner = copy.deepcopy(pruner.pruner)  # it keeps notes on itself as well
        self._storage = _Storage()
        direction = StudyDirection.MAXIMIZE if goal == "max" else StudyDirection.MINIMIZE
        self._storage.create_new_study([direction], NAME)
        self._study = Study(NAME, self._storage)
        self._sign = 1.0 if goal == "max" else -1.0
        self._told: dict[int, int] = {}  # epochs of each trial that Optuna knows
        self._finished: set[int] = set()

    def due(self, epoch: int) -> bool:
        """Always: Optuna's pruners do not say what they wait for."""
        return True

    def why_stop(self, curves: LearningCurves, trial: int) -> str | None:
        """Which pruner stops this trial at its newest epoch; None to go on."""
        known = curves.trials
        self._storage.shown = set(known)
        for number, length in zip(known, curves.lengths.tolist(), strict=True):
            if number != trial and length > self._told.get(number, 0):
                self._catch_up(curves, number, length)
        for number in sorted(curves.finished - self._finished - {trial}):
            self._complete(curves, number)
        stop = self._catch_up(curves, trial, curves.length(trial))
        return f"{type(self._pruner).__name__} stops it after epoch {curves.length(trial)}" if stop else None

    def _catch_up(self, curves: LearningCurves, trial: int, length: int) -> bool:
        """Tell what is new of a trial, epoch by epoch, for so the pruner takes its notes; its answer to the last."""
        stop, means = False, curves.means[curves.row(trial)].tolist()
        self._storage.hold(self._study, trial)
        for epoch in range(self._told.get(trial, 0), length):
            self._storage.set_trial_intermediate_value(trial, epoch + 1, self._sign * means[epoch])
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of values that are not finite
                stop = self._pruner.prune(self._study, self._storage.get_trial(trial))
        self._told[trial] = length
        return stop

    def _complete(self, curves: LearningCurves, trial: int) -> None:
        """Tell that a trial ran to its end, and what it is worth."""
        best = float(curves.best[curves.row(trial), curves.length(trial) - 1])
        self._storage.set_trial_state_values(trial, TrialState.COMPLETE, [self._sign * best])
        self._finished.add(trial)


class _Storage(InMemoryStorage):
    """Trials whose ids are their numbers in the sweep; only those are seen that are `shown`."""

    def __init__(self) -> None:
        super().__init__()
        self.shown: set[int] = set()

    def hold(self, study: Study, trial: int) -> None:
        """Make trials up to this number."""
        for _ in range(len(super().get_all_trials(study._study_id, deepcopy=False)), trial + 1):
            self.create_new_trial(study._study_id)

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        """Those that are shown."""
        found = super().get_all_trials(study_id, deepcopy=deepcopy, states=states)
        return [trial for trial in found if trial.number in self.shown]

    def get_best_trial(self, study_id: int) -> FrozenTrial:
        """The best of those that are shown; raises ValueError when none of them is complete."""
        complete = self.get_all_trials(study_id, deepcopy=False, states=(TrialState.COMPLETE,))
        larger = self.get_study_directions(study_id)[0] == StudyDirection.MAXIMIZE
        if not complete:
            raise ValueError("no trial is complete yet")
        return (max if larger else min)(complete, key=lambda trial: trial.value or 0.0)
