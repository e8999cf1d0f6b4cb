"""Optuna's pruners as stopping rules: they read a study of Optuna's that follows the learning curves."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Container, Mapping

from optuna.storages import InMemoryStorage
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from searchlab.metrics import Goal
from searchlab.pruning.learning_curves import LearningCurves
from searchlab.pruning.optuna_pruner import OptunaPruner
from searchlab.pruning.pruner import Pruner, StoppingRule

STUDY_NAME = "searchlab"  # Hyperband chooses a trial's bracket by its number and the name of the study


def create_stopping_rule(pruner: Pruner, goal: Goal, generation_start: Mapping[int, int] | None = None) -> StoppingRule:
    """Return the rule that decides for a sweep's pruner: the pruner itself, or one that calls a pruner of Optuna's.

    Args:
        pruner: The pruner.
        goal: Whether larger or smaller scores are better.
        generation_start: For each trial of a reproducible search, the first trial of its generation; it may grow.
    """
    if not isinstance(pruner, OptunaPruner):
        return pruner
    return _OptunaRule(pruner, goal, {} if generation_start is None else generation_start)


class _OptunaRule:
    """Calls one of Optuna's pruners, with means over folds as intermediate values and the epochs, from 1, as steps.

    Optuna's pruners store notes about the trials that they were called for. So a rule serves one search, in which the
    curve of a trial only grows; which other trials have curves may differ from call to call. In a reproducible search
    the notes about a trial follow from its curve and those of earlier generations, whenever they are made.
    """

    def __init__(self, pruner: OptunaPruner, goal: Goal, generation_start: Mapping[int, int]) -> None:
        self._pruner = copy.deepcopy(pruner.pruner)  # it keeps notes on itself as well
        self._storage = _FilteredStorage()
        direction = StudyDirection.MAXIMIZE if goal == "max" else StudyDirection.MINIMIZE
        self._storage.create_new_study([direction], STUDY_NAME)
        self._study = Study(STUDY_NAME, self._storage)
        self._sign = 1.0 if goal == "max" else -1.0
        self._generation_start = generation_start
        self._reported_epochs: dict[int, int] = {}  # by trial
        self._finished: set[int] = set()

    def is_due(self, epoch: int) -> bool:
        """Return True: Optuna's pruners do not say at which epochs they decide."""
        return True

    def stop_reason(self, curves: LearningCurves, trial: int) -> str | None:
        """Return why the pruner stops this trial at its latest epoch; None to continue."""
        known = zip(curves.trials, curves.last_epochs.tolist(), strict=True)
        for number, last_epoch in sorted(each for each in known if each[0] != trial):
            if last_epoch > self._reported_epochs.get(number, 0):
                self._report(curves, number, last_epoch)
            if number in curves.finished and number not in self._finished:
                self._complete(curves, number)
        last_epoch = curves.last_epoch(trial)
        should_stop = self._report(curves, trial, last_epoch)
        return f"{type(self._pruner).__name__} stops it after epoch {last_epoch}" if should_stop else None

    def _report(self, curves: LearningCurves, trial: int, last_epoch: int) -> bool:
        """Report the new epochs of a trial one by one, as the pruner's notes need it; return its last decision."""
        should_stop, means = False, curves.fold_means[curves.row_of(trial)].tolist()
        self._storage.visible = self._compared(curves, trial)
        self._storage.create_up_to(self._study, trial)
        for epoch in range(self._reported_epochs.get(trial, 0), last_epoch):
            self._storage.set_trial_intermediate_value(trial, epoch + 1, self._sign * means[epoch])
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # about values that are not finite
                should_stop = self._pruner.prune(self._study, self._storage.get_trial(trial))
        self._reported_epochs[trial] = last_epoch
        return should_stop

    def _compared(self, curves: LearningCurves, trial: int) -> set[int]:
        """Return the trials that the pruner sees when it decides about this one, which is among them."""
        start = self._generation_start.get(trial)
        return {number for number in curves.trials if start is None or number < start or number == trial}

    def _complete(self, curves: LearningCurves, trial: int) -> None:
        """Report that a trial was trained to its end, and its value."""
        best = float(curves.best_means[curves.row_of(trial), curves.last_epoch(trial) - 1])
        self._storage.set_trial_state_values(trial, TrialState.COMPLETE, [self._sign * best])
        self._finished.add(trial)


class _FilteredStorage(InMemoryStorage):
    """A storage of trials whose ids are their numbers in the sweep; it returns only those that are `visible`."""

    def __init__(self) -> None:
        super().__init__()
        self.visible: set[int] = set()

    def create_up_to(self, study: Study, trial: int) -> None:
        """Create trials up to this number."""
        for _ in range(len(super().get_all_trials(study._study_id, deepcopy=False)), trial + 1):
            self.create_new_trial(study._study_id)

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        """Return the visible trials."""
        trials = super().get_all_trials(study_id, deepcopy=deepcopy, states=states)
        return [trial for trial in trials if trial.number in self.visible]

    def get_best_trial(self, study_id: int) -> FrozenTrial:
        """Return the best visible trial; raise ValueError when none of them is complete."""
        complete = self.get_all_trials(study_id, deepcopy=False, states=(TrialState.COMPLETE,))
        is_larger_better = self.get_study_directions(study_id)[0] == StudyDirection.MAXIMIZE
        if not complete:
            raise ValueError("no trial is complete yet")
        return (max if is_larger_better else min)(complete, key=lambda trial: trial.value or 0.0)
