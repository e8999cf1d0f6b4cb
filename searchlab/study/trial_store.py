"""The ledger: every trial of a study, those still open with their curves, and how the others ended. It alone writes."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence

import optuna
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, Trial, TrialState, create_trial

from searchlab.errors import UserMistake
from searchlab.metrics import Goal
from searchlab.pruning.learning_curves import LearningCurves
from searchlab.runs.events import Ending, Tracker
from searchlab.runs.job import Job
from searchlab.runs.trials import LearningCurve, State, TrialRecord
from searchlab.space.budget import Spent
from searchlab.space.domains import Scalar
from searchlab.study.reading import KNOWN, order_of, record_of, seconds_of
from searchlab.study.samplers import distributions
from searchlab.study.storage import journal
from searchlab.training import EpochReport

ORDER = "order"  # the id of the sweep that a study is of
SECONDS = "seconds"  # of searching, up to when a trial last ended
OPTUNA_STATE = {"INFEASIBLE": "PRUNED"}  # Optuna calls a trial infeasible by its constraint, not by its state


class TrialStore:
    """The trials of one study by number, in Optuna's storage. One process at a time owns it.

    `open` and `curves` hold the trials that have not ended; `scores` those of all trials, for the pruner. What a trial
    is worth is a value for each metric, means over folds at the epoch that is best by the first.
    """

    def __init__(self, job: Job, tracker: Tracker) -> None:
        self.sweep, self.tracker = job.sweep, tracker
        self.open: dict[int, Trial] = {}
        self.curves: dict[int, LearningCurve] = {}
        self.scores = LearningCurves(self.goal)
        self.count, self.infeasible = 0, 0  # trials begun, and those of them that broke the constraint
        self._first: dict[frozenset[tuple[str, Scalar]], int] = {}  # of the trials with these parameters
        self._followers: dict[int, list[int]] = {}  # of an open trial: those that end as it does
        self._best: float | None = None
        self._since_best, self._ended = 0, 0
        self._storage = journal.own(job.storage, tracker.note, job.name)
        try:
            self.study = self._study_of(job)
            self.known = self._learn(job.known)
            self._before, self._opened = float(self.study.user_attrs.get(SECONDS, 0.0)), time.monotonic()
            self._read()
        except BaseException:
            journal.release(self._storage)  # else nobody could open it for as long as this process lives
            raise

    @property
    def goal(self) -> Goal:
        """Which way of the primary metric is better."""
        return self.sweep.primary.goal

    @property
    def spent(self) -> Spent:
        """What the search has used up."""
        seconds = self._before + time.monotonic() - self._opened
        return Spent(seconds, self.scores.epochs, self._best, self._since_best)

    def left_open(self) -> list[tuple[int, FrozenTrial]]:
        """What a killed process left unfinished: number and trial."""
        left = self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        return [(trial.number - self.known, trial) for trial in left]

    def begin(self, number: int, trial: Trial, parameters: Mapping[str, Scalar]) -> None:
        """A trial is drawn, its parameters are stored."""
        self.open[number], self.curves[number] = trial, LearningCurve()
        self.tracker.start(number, parameters, seconds_of(trial.datetime_start))

    def follow(self, number: int, parameters: Mapping[str, Scalar]) -> bool:
        """Whether an earlier trial has exactly these parameters: this one then ends as that one does, untrained."""
        twin = self._first.setdefault(frozenset(parameters.items()), number)
        if twin == number:
            return False
        if twin in self.open:
            self._followers.setdefault(twin, []).append(number)
        else:
            self._repeat(number, twin)
        return True

    def belongs(self, number: int, group: Mapping[str, object]) -> None:
        """Write down the group that a trial trains in, for whoever takes it up after a kill."""
        self.open[number].set_user_attr("group", dict(group))

    def add(self, number: int, report: EpochReport, replicas: slice, share: float) -> bool:
        """Add an epoch to an open trial's curve; False where it is known already or the trial has ended."""
        if number not in self.open or not self.curves[number].add(report, replicas, share):
            return False
        curve = self.curves[number]
        if self.scores.length(number) < report.epoch:
            self.scores.add(number, curve.scores[-1])
        self._log(number, report.epoch)
        return True

    def complete(self, number: int) -> None:
        """The trial has ended well, and is worth its best epoch."""
        self._end(number, "COMPLETE", None)

    def prune(self, number: int, reason: str) -> None:
        """The trial was stopped; what it had reached is kept."""
        self._end(number, "PRUNED", reason)

    def fail(self, number: int, reason: str) -> None:
        """The trial ended without a value."""
        self._end(number, "FAIL", reason)

    def constrain(self, number: int, excess: float) -> None:
        """Tell the sampler how far a trial is over the constraint; 0 or less is feasible."""
        if not self.open[number].constraints:  # a trial that is taken up was told already
            self.open[number].set_constraint("constraint", excess)

    def rule_out(self, number: int, reason: str) -> None:
        """The trial breaks the sweep's constraint, and is not trained."""
        self.infeasible += 1
        self.open[number].set_user_attr("infeasible", reason)
        self._end(number, "INFEASIBLE", reason)

    def close(self) -> None:
        """All of it is stored, and another process may own it."""
        journal.release(self._storage)

    def record(self, number: int) -> TrialRecord:
        """One trial."""
        storage, at = self.study._storage, number + self.known
        trial = storage.get_trial(storage.get_trial_id_from_study_id_trial_number(self.study._study_id, at))
        return record_of(trial, number, self.curves.get(number))

    def records(self) -> list[TrialRecord]:
        """Every trial so far."""
        trials = self.study.get_trials(deepcopy=False)[self.known :]
        return [record_of(trial, number, self.curves.get(number)) for number, trial in enumerate(trials)]

    def _repeat(self, number: int, twin: int) -> None:
        """The trial ends as its twin has, whose curve it shares."""
        there = self.record(twin)
        self.curves[number] = curve = LearningCurve(**{**vars(there.curve), "seconds": 0.0})
        for epoch in range(1, 1 + len(curve.scores)):  # told, and not added to the scores: nobody trained them
            self._log(number, epoch)
        self._end(number, there.state, f"the same parameters as trial {twin}")

    def _log(self, number: int, epoch: int) -> None:
        curve, at = self.curves[number], epoch - 1
        self.tracker.log(number, epoch, curve.scores[at], curve.losses[at], curve.times[at], curve.others[at])

    def _end(self, number: int, state: State, reason: str | None) -> None:
        trial, curve = self.open.pop(number), self.curves.pop(number)
        epoch, value = curve.best(self.goal) if curve.scores and state in ("COMPLETE", "PRUNED") else (None, None)
        values = curve.values(epoch) if epoch else None
        if state == "PRUNED" and value is not None and len(self.sweep.metrics) == 1:
            trial.report(value, len(curve.scores))  # Optuna takes it for the value of a stopped trial
        # the curve as text: Optuna copies what it stores deeply, and a journal is read without parsing it
        end = {"state": state, "order": self._ended, "epoch": epoch, "reason": reason, "curve": json.dumps(vars(curve))}
        trial.set_user_attr("end", end)
        if self.sweep.budget.seconds is not None:
            self.study.set_user_attr(SECONDS, self.spent.seconds)
        # last: until here a kill leaves the trial open
        self.study.tell(
            trial, values if state == "COMPLETE" else None, state=TrialState[OPTUNA_STATE.get(state, state)]
        )
        if state == "COMPLETE" and self.scores.length(number):
            self.scores.finish(number)
        self._rank(state, value)
        others = values[1:] if values else ()
        self.tracker.finish(number, Ending(state, value, epoch, reason, curve.seconds, time.time(), others))
        for follower in self._followers.pop(number, []):
            if follower in self.open:
                self._repeat(follower, number)

    def _rank(self, state: State, value: float | None) -> None:
        self._ended += 1
        better = value is not None and (
            self._best is None or (value > self._best if self.goal == "max" else value < self._best)
        )
        if state == "COMPLETE" and better:
            self._best, self._since_best = value, 0
        elif state != "INFEASIBLE":
            self._since_best += 1

    def _study_of(self, job: Job) -> optuna.Study:
        """The study of this name, begun or as it stands.

        Raises UserMistake where a database that others use too has one of this name that is another sweep's.
        """
        ways = {"max": StudyDirection.MAXIMIZE, "min": StudyDirection.MINIMIZE}
        directions = [ways[metric.goal] for metric in job.sweep.metrics]
        study = optuna.create_study(
            storage=self._storage, study_name=job.name, directions=directions, load_if_exists=True
        )
        there = study.user_attrs.get(ORDER)
        if job.id and there is None:
            study.set_user_attr(ORDER, job.id)
        elif job.id and there != job.id:
            raise UserMistake(
                f"the database has a study called {job.name!r} of another home's sweep; nothing of it is touched: "
                "choose another name with --name."
            )
        journal.sign(self._storage, study)
        return study

    def _learn(self, known: Sequence[tuple[Mapping[str, Scalar], Sequence[float]]]) -> int:
        """Put trials of an earlier sweep first, before any of this one, once; how many there are."""
        if KNOWN in self.study.user_attrs:
            return int(self.study.user_attrs[KNOWN])
        begun = len(self.study.get_trials(deepcopy=False))  # not 0: killed on the way
        for parameters, values in known[begun:]:
            there = distributions(self.sweep, parameters)
            self.study.add_trial(create_trial(params=dict(parameters), distributions=there, values=list(values)))
        self.study.set_user_attr(KNOWN, len(known))
        return len(known)

    def _read(self) -> None:
        """What is stored already."""
        records = self.records()
        self.count = len(records)
        for record in records:
            if record.state == "RUNNING":
                continue
            self.infeasible += record.state == "INFEASIBLE"
            if self._first.setdefault(frozenset(record.parameters.items()), record.number) == record.number:
                for scores in record.curve.scores:
                    self.scores.add(record.number, scores)
                if record.state == "COMPLETE":
                    self.scores.finish(record.number)
        order = {trial.number - self.known: order_of(trial) for trial in self.study.get_trials(deepcopy=False)}
        for record in sorted((r for r in records if r.ended is not None), key=lambda record: order[record.number]):
            self._rank(record.state, record.value)
