"""The study of a search: it proposes groups of trials, takes in their reports, and decides which trials continue.

A trial that a killed process left unfinished is still open in the storage. Whoever opens the study next hands out the
same trial again, under its number.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
import optuna

from searchlab.fusion.groups import Group, NoGroupYet
from searchlab.pruning.learning_curves import LearningCurves
from searchlab.runs.events import EventHandler, Message
from searchlab.runs.file_lock import FileLock
from searchlab.runs.job import Job
from searchlab.runs.study_client import Decision
from searchlab.runs.trials import TrialRecord
from searchlab.study.group_proposer import GroupProposer
from searchlab.study.optuna_pruners import create_stopping_rule
from searchlab.study.storage.attributes import SEARCH_OVER
from searchlab.study.survivor_queue import SurvivorQueue
from searchlab.study.trial_store import TrialStore
from searchlab.training import EpochReport

SAMPLER_STOPPED_REASON = "the sampler has no more points"
LOCK_TIMEOUT = 30.0  # seconds to wait for the study of a killed driver to notice that it is alone


class Study:
    """The trials of a search: it proposes them, prunes them by their learning curves, and stores how they ended.

    Args:
        job: The sweep, its options, and where the study is stored.
        handler: Gets the events of the trials, and messages for people.

    Attributes:
        store: The trials.
        paused: Whether no more groups are handed out until the study is opened again.

    Raises:
        BlockingIOError: When another process of this machine owns the study.
        UserMistake: When a process of another machine owns the study, or it is another sweep's.
        WorldFault: When its storage cannot be opened.
    """

    def __init__(self, job: Job, handler: EventHandler) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.job, self.sweep, self._handler = job, job.sweep, handler
        self._lock = FileLock(job.owner_lock, timeout=LOCK_TIMEOUT) if job.owner_lock else None
        try:
            self.store = TrialStore(job, handler)
        except BaseException:
            self._release_lock()
            raise
        self._proposer = GroupProposer(job, self.store)
        goal, generations = job.sweep.primary_metric.goal, self._proposer.generation_start
        self._stopping_rule = create_stopping_rule(job.sweep.effective_pruner, goal, generations)
        self._survivors = SurvivorQueue(job.sweep)
        self._comparisons: dict[int, LearningCurves] = {}  # by open trial of a reproducible search; see _comparison
        self._notified: set[str] = set()
        self.paused = False
        self._limit_reason: str | None = None  # why a limit has ended the search
        self._ready = self._proposer.interrupted_groups()  # groups to be handed out next

    @property
    def workers(self) -> int:
        """The number of workers that train, at least 1: a group leaves enough trials for each of them."""
        return self._proposer.workers

    @workers.setter
    def workers(self, count: int) -> None:
        self._proposer.workers = max(1, count)

    @property
    def end_reason(self) -> str | None:
        """Why the search ended before all its trials; None otherwise."""
        is_open = self.store.open_trials or self.has_more()
        if self._limit_reason or is_open or not self.store.sampler_stopped or not self._proposer.trials_missing():
            return self._limit_reason
        return SAMPLER_STOPPED_REASON

    def is_done(self) -> bool:
        """Return whether no group will be handed out any more: all trials have ended, or the study is paused."""
        return not self.has_more() and (self.paused or bool(self.end_reason) or not self.store.open_trials)

    def has_more(self) -> bool:
        """Return whether there is a group to hand out, now or later."""
        if self.paused or self._limit_reason:
            return False
        return bool(self._ready) or bool(self._survivors) or self._proposer.trials_left() > 0

    def is_unfinished(self) -> bool:
        """Return whether trials are left to train, now or when a study that is paused is opened again."""
        return not self.end_reason and (bool(self.store.open_trials) or self._proposer.trials_left() > 0)

    def ask(self) -> Group | NoGroupYet | None:
        """Return the next group to train: first interrupted groups, then survivors that are ready, then new trials.

        Returns:
            The group; NoGroupYet where the trials that are being trained must end first; None when there is none left.
        """
        self._check_budget()
        if self.paused or self.end_reason:
            return None
        if not self._ready and self.job.generation and self._proposer.trials_left():
            if self.store.open_trials:
                return NoGroupYet()
            self._ready, self._comparisons = self._proposer.next_generation(), {}
        while self._ready:
            if group := self._open_part(self._ready.pop(0)):
                return group
        group = self._open_part(self._survivors.pop_ready(self._proposer.best_sizes, self.workers))
        is_closed = bool(self.job.generation) or self._proposer.must_wait()
        group = group or (None if is_closed else self._proposer.next_group())
        while not group and self._survivors:
            group = self._open_part(self._survivors.pop_largest())
        self._check_budget()  # proposed trials may have ended untrained, as infeasible or as duplicates
        if self._limit_reason:
            return None
        if group is None and self._proposer.must_wait():
            return NoGroupYet()
        return self._proposer.store_merged(group) if group else None

    def grow(self, group: Group, size: int) -> Group:
        """Return the group with more trials of its structure, up to `size` in all, as far as trials are left.

        None joins a group whose trial has ended, with the search, while its worker measured.
        """
        if not self.running(group.trials):
            return replace(group, max_followers=0)
        return self._proposer.grow(group, size)

    def running(self, numbers: Iterable[int]) -> list[int]:
        """Return those of these trials that have not ended."""
        return [number for number in numbers if number in self.store.open_trials]

    def report(self, numbers: Sequence[int], report: EpochReport) -> Decision:
        """Take in an epoch of these trials, side by side in this order, and decide which of them continue.

        A trial that diverged fails. A trial that meets the sweep's early stopping is complete. A trial that the sweep's
        pruner stops is pruned.
        """
        for number in self.running(self._add_epoch(numbers, report)):
            self._stop_if_due(number)
        self._check_budget()
        return Decision(tuple(self.running(numbers)), self.paused)

    def restore_reports(self, reports: Sequence[tuple[Sequence[int], EpochReport]]) -> None:
        """Take in epochs from before a restart, as a checkpoint holds them: they were decided upon then."""
        for numbers, report in reports:
            self._add_epoch(numbers, report)

    def finish(self, numbers: Sequence[int], report: EpochReport) -> None:
        """Take in the last epoch of these trials: their value is the mean over folds at the best epoch."""
        self._add_epoch(numbers, report)
        for number in self.running(numbers):
            self.store.complete(number)
        self._check_budget()

    def fail(self, numbers: Sequence[int], reason: str, traceback: str | None = None) -> None:
        """End these trials without a value; the traceback is that of an exception in their code."""
        for number in self.running(numbers):
            self.store.fail(number, reason, traceback)

    def return_survivors(self, group: Group, epoch: int) -> bool:
        """Queue the survivors of a group, whose checkpoint is kept, where others may join them.

        Trials that have ended are left out: of those that stopped after the latest epoch, the worker may not know yet.

        Returns:
            Whether they are queued, so that their worker is free; otherwise it continues with them.
        """
        survivors = group.subset(self.running(group.trials))
        if self.job.generation or self.paused or self.end_reason or not survivors.trials:
            return False
        if not (self._proposer.trials_left() or self._ready or self._survivors.has_match(survivors, epoch)):
            return False
        self._survivors.add(survivors, epoch)
        return True

    def return_group(self, group: Group) -> None:
        """Hand out this group, whose checkpoint is kept, before all others: its worker had to release its slot."""
        if not self.end_reason:
            self._ready.insert(0, group)

    def pause(self) -> None:
        """Hand out no more groups, and have every worker save its group after the current epoch."""
        self.paused = True

    def notify(self, topic: str, text: str) -> None:
        """Send a message to whoever watches, once per topic."""
        if topic not in self._notified:
            self._notified.add(topic)
            self._handler.handle(Message(text))

    def records(self) -> list[TrialRecord]:
        """Return the record of every trial so far."""
        return self.store.records()

    def close(self) -> None:
        """Close the study, so that another process can own it."""
        self.store.close()
        self._release_lock()

    def _release_lock(self) -> None:
        if self._lock:
            self._lock.release()

    def _add_epoch(self, numbers: Sequence[int], report: EpochReport) -> list[int]:
        """Add an epoch to the curves of trials, fail those that diverged, and return those for which it is new."""
        folds, new = len(report.score) // len(numbers), []
        for position, number in enumerate(numbers):
            replicas = slice(position * folds, (position + 1) * folds)
            if not self.store.add_epoch(number, report, replicas, share=1.0 / len(numbers)):
                continue
            new.append(number)
            failures = [(fold, reason) for fold, reason in enumerate(report.failures[replicas]) if reason]
            if failures:
                fold, reason = failures[0]
                self.store.fail(number, f"{reason} (fold {fold})")
        return new

    def _stop_if_due(self, number: int) -> None:
        """End a trial that early stopping or the pruner stops."""
        early_stopping, curve = self.sweep.early_stopping, self.store.open_curves[number]
        if early_stopping and early_stopping.should_stop(np.mean(curve.scores, axis=1).tolist(), self.store.goal):
            self.store.complete(number)
            return
        curves = self._comparison(number) if self.job.generation else self.store.learning_curves
        reason = self._stopping_rule.stop_reason(curves, number)
        if reason:
            self.store.prune(number, reason)

    def _comparison(self, number: int) -> LearningCurves:
        """Return the curves of earlier generations and the trial's own, which do not depend on the speed of workers."""
        if number not in self._comparisons:
            earlier = range(self._proposer.generation_start.get(number, 0))
            self._comparisons[number] = self.store.learning_curves.subset(earlier)
        curves = self._comparisons[number]
        for scores in self.store.open_curves[number].scores[curves.last_epoch(number) :]:
            curves.add_epoch(number, scores)
        return curves

    def _open_part(self, group: Group | None) -> Group | None:
        """Return the group without trials that have ended while it waited; None where none is left.

        A process that counts as dead may still report, behind a cut network.
        """
        numbers = self.running(group.trials) if group else []
        return group.subset(numbers) if group and numbers else None

    def _check_budget(self) -> None:
        """End the search when its budget is used up; a reproducible search ends only between generations."""
        if self.end_reason or self.paused or (self.job.generation and self.store.open_trials):
            return
        infeasible = self._proposer.no_feasible_reason
        reason = infeasible or self.sweep.budget.exhausted_reason(self.store.budget_usage, self.store.goal)
        if reason and (infeasible or self.store.open_trials or self.has_more()):
            self._limit_reason, self._ready, self._survivors = reason, [], SurvivorQueue(self.sweep)
            self.notify("over", f"the search is over: {reason}")
            while self.store.open_trials:  # the end of a trial also ends its duplicates
                self.store.prune(next(iter(self.store.open_trials)), f"{SEARCH_OVER}: {reason}")
