"""The study: the one owner of the search's truth. It hands out groups, takes in their reports, and says who goes on.

A trial that a killed process left unfinished is still open in the storage; whoever opens the study next hands out the
same trial again, under its number.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import optuna

from searchlab.fusion.groups import Group, Later
from searchlab.pruning.learning_curves import LearningCurves
from searchlab.runs.events import Tracker
from searchlab.runs.file_lock import FileLock
from searchlab.runs.job import Job
from searchlab.runs.study_client import Decision
from searchlab.runs.trials import TrialRecord
from searchlab.study.group_proposer import GroupProposer
from searchlab.study.optuna_pruners import stopping_rule_of
from searchlab.study.survivor_queue import SurvivorQueue
from searchlab.study.trial_store import TrialStore
from searchlab.training import EpochReport

ORPHAN = 30.0  # seconds to wait for the study of a killed driver to notice that it is alone


class Study:
    """Proposes trials, judges their curves, and stores how they ended. One process at a time owns it.

    `over` says why the search ended before its trials were used up. Raises BlockingIOError when another process of this
    machine owns the study, UserMistake when one elsewhere does.
    """

    def __init__(self, job: Job, tracker: Tracker) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.job, self.sweep, self.tracker = job, job.sweep, tracker
        self._lock = FileLock(job.owner_lock, wait=ORPHAN) if job.owner_lock else None
        try:
            self.ledger = TrialStore(job, tracker)
        except BaseException:
            self._let_go()
            raise
        self._drawing = GroupProposer(job, self.ledger)
        self._pruner = stopping_rule_of(job.sweep.chosen_pruner, job.sweep.primary.goal)
        self._waiting = SurvivorQueue(job.sweep)
        self._compared: dict[
            int, LearningCurves
        ] = {}  # by trial under way, where reproducible: the curves it is held against
        self._noted: set[str] = set()
        self.paused = False
        self.over: str | None = None
        self._ready = self._drawing.take_up()

    @property
    def workers(self) -> int:
        """How many train: groups are no larger than leaves each of them something to do."""
        return self._drawing.workers

    @workers.setter
    def workers(self, count: int) -> None:
        self._drawing.workers = max(1, count)

    def done(self) -> bool:
        """Whether there will be no group to ask for any more: all have ended, or the rest is for another day."""
        return not self.more() and (self.paused or bool(self.over) or not self.ledger.open)

    def more(self) -> bool:
        """Whether there is a group to ask for, now or later."""
        if self.paused or self.over:
            return False
        return bool(self._ready) or bool(self._waiting) or self._drawing.left() > 0

    def ask(self) -> Group | Later | None:
        """The next group to train: what a killed process left, survivors that have waited long enough, new trials.

        Later where nothing can be said before the trials at work have ended; None when all are handed out.
        """
        self._check_budget(settled=not self.ledger.open)
        if self.paused or self.over:
            return None
        if not self._ready and self.job.generation and self._drawing.left():
            if self.ledger.open:
                return Later()
            self._ready, self._compared = self._drawing.next_generation(), {}
        if self._ready:
            return self._ready.pop(0)
        waited = self._waiting.ready(self._drawing.pays, self.workers)
        group = waited or (None if self.job.generation else self._drawing.group()) or self._waiting.rest()
        self._check_budget(settled=True)  # drawing may have found that there is nothing to draw
        return self._drawing.merge(group) if group else None

    def grow(self, group: Group, pays: int) -> Group:
        """The group with as many more trials as make `pays` in all, as far as it has room and trials are left."""
        return self._drawing.grow(group, pays)

    def running(self, numbers: Iterable[int]) -> list[int]:
        """Those of these trials that have not ended."""
        return [number for number in numbers if number in self.ledger.open]

    def report(self, numbers: Sequence[int], report: EpochReport) -> Decision:
        """Take in an epoch of these trials, side by side in this order, and say which go on.

        One that diverged has failed; one whose curve is done, by the sweep's early stopping, is complete; one that the
        sweep's pruner stops is pruned.
        """
        for number in self.running(self._take_in(numbers, report)):
            self._judge(number)
        self._check_budget()
        return Decision(tuple(self.running(numbers)), self.paused)

    def recall(self, reports: Sequence[tuple[Sequence[int], EpochReport]]) -> None:
        """Take in epochs from before a kill, as a checkpoint has them: they were judged then."""
        for numbers, report in reports:
            self._take_in(numbers, report)

    def finish(self, numbers: Sequence[int], report: EpochReport) -> None:
        """Take in the last epoch of these trials: their value is the best epoch's mean over folds."""
        self._take_in(numbers, report)
        for number in self.running(numbers):
            self.ledger.complete(number)
        self._check_budget()

    def fail(self, numbers: Sequence[int], reason: str) -> None:
        """These trials ended without a value, for this reason."""
        for number in self.running(numbers):
            self.ledger.fail(number, reason)

    def take_back(self, group: Group, epoch: int) -> bool:
        """Whether these survivors, all that is left of a group, are better off waiting for others to train with.

        Where they are, their worker is free; their state lies in the group's checkpoint.
        """
        others = self._drawing.left() or self._ready or self._waiting.joins(group, epoch)
        if self.job.generation or self.paused or self.over or not others:
            return False
        self._waiting.add(group, epoch)
        return True

    def put_back(self, group: Group) -> None:
        """This group, whose state is saved, is the next to be handed out: its worker had to make room."""
        if not self.over:
            self._ready.insert(0, group)

    def pause(self) -> None:
        """Hand out no more, and let every group be saved after the epoch it is in."""
        self.paused = True

    def note(self, about: str, text: str) -> None:
        """Tell whoever watches, once for each thing it is about."""
        if about not in self._noted:
            self._noted.add(about)
            self.tracker.note(text)

    def records(self) -> list[TrialRecord]:
        """Every trial so far."""
        return self.ledger.records()

    def close(self) -> None:
        """Let another process own the study."""
        self.ledger.close()
        self._let_go()

    def _let_go(self) -> None:
        if self._lock:
            self._lock.release()

    def _take_in(self, numbers: Sequence[int], report: EpochReport) -> list[int]:
        """Add an epoch to the curves of these trials, and fail those that diverged; those for which it was news."""
        folds, news = len(report.score) // len(numbers), []
        for position, number in enumerate(numbers):
            replicas = slice(position * folds, (position + 1) * folds)
            if not self.ledger.add(number, report, replicas, 1.0 / len(numbers)):
                continue
            news.append(number)
            broken = [(fold, why) for fold, why in enumerate(report.failures[replicas]) if why]
            if broken:
                fold, why = broken[0]
                self.ledger.fail(number, f"{why} (fold {fold})")
        return news

    def _judge(self, number: int) -> None:
        """End a trial that is done, or stopped."""
        rule, curves = self.sweep.early_stopping, self.ledger.scores
        if rule and rule.done(np.mean(self.ledger.curves[number].scores, axis=1).tolist(), self.ledger.goal):
            self.ledger.complete(number)
            return
        if self.job.generation:
            curves = self._before(number)
        reason = self._pruner.why_stop(curves, number)
        if reason:
            self.ledger.prune(number, reason)

    def _before(self, number: int) -> LearningCurves:
        """The curves of earlier generations, and the trial's own: what is known must not depend on who was faster."""
        if number not in self._compared:
            self._compared[number] = self.ledger.scores.only(range(self._drawing.generation.get(number, 0)))
        curves = self._compared[number]
        for scores in self.ledger.curves[number].scores[curves.length(number) :]:
            curves.add(number, scores)
        return curves

    def _check_budget(self, *, settled: bool = False) -> None:
        """End the search when its budget is used up; between generations alone, where it is to be reproducible."""
        if self.over or self.paused or (self.job.generation and not settled):
            return
        reason = self._drawing.in_vain or self.sweep.budget.why_over(self.ledger.spent, self.ledger.goal)
        if reason and (self._drawing.in_vain or self.ledger.open or self.more()):
            self.over, self._ready, self._waiting = reason, [], SurvivorQueue(self.sweep)
            self.note("over", f"the search is over: {reason}")
            for number in list(self.ledger.open):
                self.ledger.prune(number, f"the search was over: {reason}")
