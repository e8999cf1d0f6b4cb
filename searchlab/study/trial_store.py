"""The trials of a study: those that are open, with their learning curves, and how the others ended."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

from optuna.trial import FrozenTrial, Trial, TrialState

from searchlab.metrics import Goal
from searchlab.pruning.learning_curves import LearningCurves
from searchlab.runs.events import EventHandler, Message, TrialFinished, TrialStarted
from searchlab.runs.job import Job
from searchlab.runs.overfitting import is_overfitted
from searchlab.runs.secrets import mask
from searchlab.runs.trials import LearningCurve, State, TrialRecord
from searchlab.space.budget import BudgetUsage
from searchlab.space.domains import Scalar
from searchlab.study.best_score import BestScore
from searchlab.study.intermediate_values import report_curve
from searchlab.study.optuna_study import add_prior_trials, load_study
from searchlab.study.reading import end_order, to_record, to_timestamp
from searchlab.study.storage.attributes import END, GROUP, INFEASIBLE, SAMPLER_STOPPED, SEARCH_SECONDS
from searchlab.study.storage.opening import open_owned
from searchlab.training import EpochReport

OPTUNA_STATE = {"INFEASIBLE": "PRUNED"}  # for Optuna a trial is infeasible by its constraint, not by its state


class TrialStore:
    """The trials of one study by number, in Optuna's storage. One process at a time owns it, and it alone writes.

    The value of a trial is a mean over folds for each metric, at the epoch that is the best by the first metric.

    Args:
        job: The sweep, and where its study is stored.
        handler: Gets the events of the trials.

    Attributes:
        study: Optuna's study.
        open_trials: The trials that have not ended.
        open_curves: Their learning curves.
        learning_curves: The curves of all trials that were trained, for the pruner.
        trial_count: Number of trials that have started.
        infeasible_count: Number of those that violate the constraint.
        sampler_stopped: Whether the sampler has ended the search, because it has no more points.
        prior_count: Number of an earlier sweep's trials that stand before the first trial in Optuna's storage.

    Raises:
        WorldFault: When the storage cannot be opened.
        UserMistake: When another process owns the study, or it is another sweep's.
    """

    def __init__(self, job: Job, handler: EventHandler) -> None:
        self.sweep, self._handler = job.sweep, handler
        self.open_trials: dict[int, Trial] = {}
        self.open_curves: dict[int, LearningCurve] = {}
        self.learning_curves = LearningCurves(self.goal)
        self.trial_count, self.infeasible_count = 0, 0
        self._first_with: dict[frozenset[tuple[str, Scalar]], int] = {}  # the first trial with these parameters
        self._duplicates: dict[int, list[int]] = {}  # by open trial: the later trials with the same parameters
        self._best = BestScore(self.goal, by_number=bool(job.generation))
        self._storage = open_owned(job.storage, job.study, lambda text: handler.handle(Message(text)))
        try:
            self.study = load_study(self._storage, job)
            self.sampler_stopped = bool(self.study.user_attrs.get(SAMPLER_STOPPED))
            self.study.stop = self._stop  # type: ignore[method-assign]  # Optuna's own works within `optimize` alone
            self.prior_count = add_prior_trials(self.study, self.sweep, job.prior_trials)
            self._earlier_seconds = float(self.study.user_attrs.get(SEARCH_SECONDS, 0.0))
            self._opened_at = time.monotonic()
            self._load_trials()
        except BaseException:
            self._storage.close()  # else no process could open it for as long as this one lives
            raise

    @property
    def goal(self) -> Goal:
        """The direction in which the primary metric is better."""
        return self.sweep.primary_metric.goal

    @property
    def budget_usage(self) -> BudgetUsage:
        """What the search has used so far."""
        seconds = self._earlier_seconds + time.monotonic() - self._opened_at
        return BudgetUsage(seconds, self.learning_curves.total_epochs, *self._best.usage())

    def interrupted_trials(self) -> list[tuple[int, FrozenTrial]]:
        """Return the trials that a killed process left open, each with its number."""
        trials = self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        return [(trial.number - self.prior_count, trial) for trial in trials]

    def generation_in_drawing(self) -> dict[int, FrozenTrial]:
        """Return the trials of the latest generation by number, if a process was killed while it drew them; else none.

        No trial is trained before the last one of its generation is drawn: a trained one ends the drawing.
        """
        trials = dict(enumerate(self.study.get_trials(deepcopy=False)[self.prior_count :]))
        start = trials[max(trials)].user_attrs.get(GROUP, {}).get("since") if trials else None
        latest = {number: trial for number, trial in trials.items() if start is not None and number >= start}
        return {} if any(self._is_trained(number, trial) for number, trial in latest.items()) else latest

    def generation_starts(self) -> dict[int, int]:
        """Return the first trial of its generation for each trial of a reproducible search, by number."""
        trials = self.study.get_trials(deepcopy=False)[self.prior_count :]
        return {number: trial.user_attrs.get(GROUP, {}).get("since", 0) for number, trial in enumerate(trials)}

    def rewind(self, number: int) -> None:
        """Count only the trials before this one, because the others are proposed again."""
        earlier = self.study.get_trials(deepcopy=False)[self.prior_count : self.prior_count + number]
        self.trial_count = number
        self.infeasible_count = sum(INFEASIBLE in trial.user_attrs for trial in earlier)

    def start(self, number: int, trial: Trial, parameters: Mapping[str, Scalar]) -> None:
        """Add a trial whose parameters have been drawn, once they are stored."""
        self.open_trials[number], self.open_curves[number] = trial, LearningCurve()
        self._storage.flush()
        self._handler.handle(TrialStarted(number, parameters, to_timestamp(trial.datetime_start)))

    def link_duplicate(self, number: int, parameters: Mapping[str, Scalar]) -> bool:
        """Return whether an earlier trial has the same parameters; this one then ends as that one does, untrained."""
        first = self._first_with.setdefault(frozenset(parameters.items()), number)
        if first == number:
            return False
        if first in self.open_trials:
            self._duplicates.setdefault(first, []).append(number)
        else:
            self._end_as(number, first)
        return True

    def open_original(self, parameters: Mapping[str, Scalar]) -> int | None:
        """Return the open trial that has these parameters and is trained; None where there is none."""
        first = self._first_with.get(frozenset(parameters.items()))
        return first if first in self.open_trials else None

    def store_group(self, numbers: Sequence[int], group: Mapping[str, object]) -> None:
        """Store the group that these open trials train in, for whoever resumes them."""
        for number in numbers:
            self.open_trials[number].set_user_attr(GROUP, dict(group))
        self._storage.flush()

    def add_epoch(self, number: int, report: EpochReport, replicas: slice, share: float) -> bool:
        """Add an epoch to an open trial's curve, and return whether it was new.

        Args:
            number: Number of the trial; one that has ended is ignored.
            report: The epoch of the group.
            replicas: The replicas of the trial in it.
            share: The trial's part of the group's training time.
        """
        if number not in self.open_trials or not self.open_curves[number].add(report, replicas, share):
            return False
        curve = self.open_curves[number]
        if self.learning_curves.last_epoch(number) < report.epoch:
            self.learning_curves.add_epoch(number, curve.scores[-1])
        self._emit_epoch(number, report.epoch)
        return True

    def complete(self, number: int) -> None:
        """End a trial that was trained to its end."""
        self._end(number, "COMPLETE", None)

    def prune(self, number: int, reason: str) -> None:
        """End a trial early; the best epoch so far gives its value."""
        self._end(number, "PRUNED", reason)

    def fail(self, number: int, reason: str, traceback: str | None = None) -> None:
        """End a trial without a value; the traceback is that of an exception in its code.

        What its parts say of their failure may hold a secret, such as a URL's.
        """
        self._end(number, "FAIL", mask(reason), traceback and mask(traceback))

    def report_violation(self, number: int, violation: float) -> None:
        """Report to the sampler how far a trial violates the constraint; 0 or less is feasible."""
        if not self.open_trials[number].constraints:  # a resumed trial has it already
            self.open_trials[number].set_constraint("constraint", violation)

    def mark_infeasible(self, number: int, reason: str) -> None:
        """End a trial that violates the constraint, and is not trained."""
        self.infeasible_count += 1
        self.open_trials[number].set_user_attr(INFEASIBLE, reason)
        self._end(number, "INFEASIBLE", reason)

    def close(self) -> None:
        """Close the storage, so that another process can own the study."""
        self._storage.close()

    def record(self, number: int) -> TrialRecord:
        """Return the record of one trial."""
        storage, optuna_number = self.study._storage, number + self.prior_count
        trial_id = storage.get_trial_id_from_study_id_trial_number(self.study._study_id, optuna_number)
        return to_record(storage.get_trial(trial_id), number, self.open_curves.get(number))

    def records(self) -> list[TrialRecord]:
        """Return the record of every trial so far."""
        trials = self.study.get_trials(deepcopy=False)[self.prior_count :]
        return [to_record(trial, number, self.open_curves.get(number)) for number, trial in enumerate(trials)]

    def _stop(self) -> None:
        """Take in that the sampler has no more points, as `GridSampler` says after its last trial."""
        if not self.sampler_stopped:
            self.sampler_stopped = True
            self.study.set_user_attr(SAMPLER_STOPPED, True)

    def _is_trained(self, number: int, trial: FrozenTrial) -> bool:
        """Return whether a trial has ended after training: it is neither infeasible nor another's duplicate."""
        is_untrained = INFEASIBLE in trial.user_attrs or self._first_with.get(frozenset(trial.params.items())) != number
        return trial.state.is_finished() and not is_untrained

    def _end_as(self, number: int, first: int) -> None:
        """End a trial as the first trial with its parameters has ended, with the same curve."""
        record = self.record(first)
        self.open_curves[number] = LearningCurve(**{**vars(record.curve), "seconds": 0.0})
        for epoch in range(1, 1 + len(record.curve.scores)):  # not in `learning_curves`: nobody trained them
            self._emit_epoch(number, epoch)
        self._end(number, record.state, f"the same parameters as trial {first}")

    def _emit_epoch(self, number: int, epoch: int) -> None:
        self._handler.handle(self.open_curves[number].event(number, epoch))

    def _end(self, number: int, state: State, reason: str | None, traceback: str | None = None) -> None:
        """Store the end of a trial and of its duplicates, and emit it."""
        trial, curve = self.open_trials.pop(number), self.open_curves.pop(number)
        epoch, value = curve.best(self.goal) if curve.scores and state in ("COMPLETE", "PRUNED") else (None, None)
        values = curve.values(epoch) if epoch else ()
        if value is not None and len(self.sweep.metrics) == 1:
            report_curve(trial, number, curve, value if state == "PRUNED" else None)
        # the curve is stored as text: Optuna copies what it stores deeply, and text is not parsed with the journal
        curve_text = json.dumps(vars(curve))
        end = {"state": state, "order": self._best.ended, "epoch": epoch, "reason": reason, "curve": curve_text}
        trial.set_user_attr(END, end | ({"traceback": traceback} if traceback else {}))
        if self.sweep.budget.seconds is not None:
            self.study.set_user_attr(SEARCH_SECONDS, self.budget_usage.seconds)
        optuna_state = TrialState[OPTUNA_STATE.get(state, state)]
        # the state comes last: a kill before it leaves the trial open
        self.study.tell(trial, values if state == "COMPLETE" else None, state=optuna_state)
        if state == "COMPLETE" and self.learning_curves.last_epoch(number):
            self.learning_curves.mark_finished(number)
        elif state == "FAIL":
            self.learning_curves.mark_failed(number)
        self._best.add(number, state, value)
        overfitted = bool(epoch) and is_overfitted(curve.scores, curve.training_scores, self.goal)
        ended = TrialFinished(number, state, value, epoch, reason, curve.seconds, time.time(), values[1:], traceback)
        self._handler.handle(replace(ended, overfitted=overfitted))
        for duplicate in self._duplicates.pop(number, []):
            if duplicate in self.open_trials:
                self._end_as(duplicate, number)

    def _load_trials(self) -> None:
        """Take in the trials that are stored already."""
        records = self.records()
        self.trial_count = len(records)
        for record in records:
            if record.state == "RUNNING":
                continue
            self.infeasible_count += record.state == "INFEASIBLE"
            if self._first_with.setdefault(frozenset(record.parameters.items()), record.number) == record.number:
                for scores in record.curve.scores:
                    self.learning_curves.add_epoch(record.number, scores)
                if record.state == "COMPLETE":
                    self.learning_curves.mark_finished(record.number)
                elif record.state == "FAIL":
                    self.learning_curves.mark_failed(record.number)
        trials = self.study.get_trials(deepcopy=False)
        order = {trial.number - self.prior_count: end_order(trial) for trial in trials}
        for record in sorted((r for r in records if r.ended is not None), key=lambda record: order[record.number]):
            self._best.add(record.number, record.state, record.value)
