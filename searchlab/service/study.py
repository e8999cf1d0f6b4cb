"""The study: the one owner of the search's truth. It and its two neighbours (journal, samplers) alone know Optuna.

It proposes groups, takes in their reports, and tells Optuna how every trial ended. A trial that a killed process left
unfinished is still open in the storage; whoever opens the study next hands out the same trial again, under its number.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

import numpy as np
import optuna
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, Trial, TrialState

from searchlab.service import journal
from searchlab.service.home import Lock
from searchlab.service.job import Job
from searchlab.service.records import Curve, State, TrialRecord
from searchlab.service.samplers import optuna_sampler, suggest
from searchlab.sweep.domains import Domain, Scalar
from searchlab.sweep.groups import Group, group_size, structural
from searchlab.tracking.tracker import Ending, Tracker
from searchlab.training import Report

ORPHAN = 30.0  # seconds to wait for the study of a killed driver to notice that it is alone


class Study:
    """Proposes trials, keeps their curves, and stores how they ended. One process at a time owns it.

    Raises BlockingIOError when another process owns the embedded journal.
    """

    def __init__(self, job: Job, tracker: Tracker) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.job, self.sweep, self.tracker = job, job.sweep, tracker
        self._plan = job.sweep.plan()
        self._lock = Lock(job.storage.with_suffix(".lock"), wait=ORPHAN) if isinstance(job.storage, Path) else None
        direction = StudyDirection.MAXIMIZE if job.sweep.metric.goal == "max" else StudyDirection.MINIMIZE
        self._study = optuna.create_study(
            storage=journal.own(job.storage), study_name=job.name, direction=direction, load_if_exists=True
        )
        self._running: dict[int, Trial] = {}
        self._curves: dict[int, Curve] = {}
        self._noted: set[str] = set()
        self._unfinished = self._take_up()

    def more(self) -> bool:
        """Whether there is a group to ask for."""
        return bool(self._unfinished) or len(self._study.get_trials(deepcopy=False)) < self.job.trials

    def ask(self) -> Group | None:
        """The next group to train: first what a killed process left, then new trials; None when all are handed out."""
        if self._unfinished:
            return self._unfinished.pop(0)
        begun = len(self._study.get_trials(deepcopy=False))
        size = self._size(begun)
        if size == 0:
            return None
        leader, parameters = self._draw(begun, {})
        drawn = {leader: parameters}
        for number in range(begun + 1, begun + size):
            follower, parameters = self._draw(number, structural(self.sweep, drawn[leader]))
            drawn[follower] = parameters
        return self._hand_out(str(leader.number), drawn)

    def running(self, numbers: Sequence[int]) -> list[int]:
        """Those of these trials that have not ended."""
        return [number for number in numbers if number in self._running]

    def report(self, numbers: Sequence[int], report: Report) -> list[int]:
        """Take in an epoch of these trials, side by side in this order, and say which go on.

        One that diverged has failed; one whose curve is done, by the sweep's early stopping, is complete.
        """
        folds = len(report.score) // len(numbers)
        for position, number in enumerate(numbers):
            replicas = slice(position * folds, (position + 1) * folds)
            if number not in self._running or not self._curves[number].add(report, replicas, 1.0 / len(numbers)):
                continue
            curve = self._curves[number]
            self.tracker.log(number, report.epoch, curve.scores[-1], curve.losses[-1], report.time)
            broken = [(fold, why) for fold, why in enumerate(report.failures[replicas]) if why]
            if broken:
                fold, why = broken[0]
                self.fail([number], f"{why} (fold {fold})")
            elif self._done(curve):
                self._complete(number)
        return self.running(numbers)

    def finish(self, numbers: Sequence[int], report: Report) -> None:
        """Take in the last epoch of these trials: their value is the best epoch's mean over folds."""
        for number in self.report(numbers, report):
            self._complete(number)

    def fail(self, numbers: Sequence[int], reason: str) -> None:
        """These trials ended without a value, for this reason."""
        for number in self.running(numbers):
            self._end(number, "FAIL", None, None, reason)

    def note(self, about: str, text: str) -> None:
        """Tell whoever watches, once for each thing it is about."""
        if about not in self._noted:
            self._noted.add(about)
            self.tracker.note(text)

    def records(self) -> list[TrialRecord]:
        """Every trial so far."""
        trials = self._study.get_trials(deepcopy=False)
        return [_record(trial, self._curves.get(trial.number)) for trial in trials]

    def close(self) -> None:
        """Let another process own the study."""
        if self._lock:
            self._lock.release()

    def _take_up(self) -> list[Group]:
        """Open trials of a killed process, in the groups they were handed out in."""
        left: dict[str, list[FrozenTrial]] = {}
        for trial in self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            left.setdefault(trial.user_attrs.get("group", str(trial.number)), []).append(trial)
        return [self._hand_out(group, dict(map(self._reopen, trials))) for group, trials in left.items()]

    def _size(self, begun: int) -> int:
        """How many trials the next group holds."""
        job, start_up = self.job, self.sweep.sampler.start_up
        alike = self._plan.alike(begun) if self._plan else None
        return group_size(job.fuse, trials=job.trials, begun=begun, workers=job.workers, start_up=start_up, alike=alike)

    def _draw(self, number: int, fixed: Mapping[str, Scalar]) -> tuple[Trial, dict[str, Scalar]]:
        """A new trial, with these values given."""
        self._prepare(number, fixed)
        trial = self._study.ask()
        return trial, self._settle(trial)

    def _reopen(self, trial: FrozenTrial) -> tuple[Trial, dict[str, Scalar]]:
        """An open trial. One killed while it was drawn has some of its values: those stay, and the others are drawn."""
        self._prepare(trial.number, {})
        opened = Trial(self._study, trial._trial_id)
        return opened, self._settle(opened)

    def _prepare(self, number: int, fixed: Mapping[str, Scalar]) -> None:
        """Set Optuna's sampler for this trial.

        Its seed depends on the sweep's seed and the trial's number alone, its point of a plan on the number: what is
        drawn depends on the trials before it and not on restarts.
        """
        seed = int(np.random.SeedSequence([self.job.seed, number]).generate_state(1)[0])
        given = self._plan.points[number] if self._plan else fixed
        self._study.sampler = optuna_sampler(self.sweep.sampler, seed, given)

    def _settle(self, trial: Trial) -> dict[str, Scalar]:
        parameters: dict[str, Scalar] = {}

        def ask(path: str, domain: Domain) -> Scalar:
            parameters[path] = suggest(trial, path, domain)
            return parameters[path]

        self.sweep.draw(ask)
        return parameters

    def _hand_out(self, group: str, drawn: dict[Trial, dict[str, Scalar]]) -> Group:
        for trial, parameters in drawn.items():
            if group != str(trial.number) or len(drawn) > 1:  # a trial alone is its own group without being told
                trial.set_user_attr("group", group)
            self._running[trial.number], self._curves[trial.number] = trial, Curve()
            self.tracker.start(trial.number, parameters, _seconds(trial.datetime_start))
        numbers = tuple(trial.number for trial in drawn)
        return Group(group, numbers, tuple(drawn.values()), self.job.seed)

    def _done(self, curve: Curve) -> bool:
        rule, goal = self.sweep.early_stopping, self.sweep.metric.goal
        return rule is not None and rule.done(np.mean(curve.scores, axis=1).tolist(), goal)

    def _complete(self, number: int) -> None:
        """The trial has ended well: its value is the best epoch's mean over folds."""
        epoch, value = self._curves[number].best(self.sweep.metric.goal)
        self._end(number, "COMPLETE", value, epoch, None)

    def _end(self, number: int, state: State, value: float | None, epoch: int | None, reason: str | None) -> None:
        trial, curve = self._running.pop(number), self._curves.pop(number)
        for step, scores in enumerate(curve.scores, start=1):
            trial.report(float(np.mean(scores)), step)
        trial.set_user_attr("end", {"epoch": epoch, "reason": reason, "curve": vars(curve)})
        self._study.tell(trial, value, state=TrialState[state])  # last: until here a kill leaves the trial open
        self.tracker.finish(number, Ending(state, value, epoch, reason, curve.seconds, time.time()))


def peek(storage: Path | str, name: str) -> list[TrialRecord]:
    """The trials of a study that another process may own, as far as they are stored; none when there is no study."""
    if isinstance(storage, Path) and not storage.exists():
        return []
    opened = journal.look(storage)
    if name not in optuna.get_all_study_names(opened):
        return []
    study = optuna.load_study(study_name=name, storage=opened)
    return [_record(trial, None) for trial in study.get_trials(deepcopy=False)]


def _record(trial: FrozenTrial, open_curve: Curve | None) -> TrialRecord:
    end = trial.user_attrs.get("end", {"epoch": None, "reason": None, "curve": {}})
    curve = open_curve or Curve(**end["curve"])
    state: State = trial.state.name  # type: ignore[assignment]  # WAITING does not occur: nothing is enqueued
    return TrialRecord(
        trial.number, state, trial.params, trial.value, end["epoch"], end["reason"], curve,
        _seconds(trial.datetime_start), _seconds(trial.datetime_complete) if trial.datetime_complete else None,
    )  # fmt: skip


def _seconds(moment: datetime | None) -> float:
    return moment.timestamp() if moment else time.time()
