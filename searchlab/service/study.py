"""The study: the one owner of the search's truth, and the only file that talks to Optuna.

It proposes groups, takes in their reports, and tells Optuna how every trial ended. A trial that a killed process left
unfinished is still open in the storage; whoever opens the study next hands out the same trial again, under its number.
"""

from __future__ import annotations

import errno
import json
import os
import time
import warnings
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, Trial, TrialState

from searchlab.errors import WorldFault
from searchlab.service.home import Lock
from searchlab.service.job import Job
from searchlab.service.records import Curve, State, TrialRecord
from searchlab.sweep.domains import Choice, Domain, Float, Int, Scalar
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
        self._lock = Lock(job.storage.with_suffix(".lock"), wait=ORPHAN) if isinstance(job.storage, Path) else None
        direction = StudyDirection.MAXIMIZE if job.sweep.metric.goal == "max" else StudyDirection.MINIMIZE
        self._study = optuna.create_study(
            storage=_open(job.storage), study_name=job.name, direction=direction, load_if_exists=True
        )
        self._running: dict[int, Trial] = {}
        self._curves: dict[int, Curve] = {}
        self._unfinished = self._take_up()

    def more(self) -> bool:
        """Whether there is a group to ask for."""
        return bool(self._unfinished) or len(self._study.get_trials(deepcopy=False)) < self.job.trials

    def ask(self) -> Group | None:
        """The next group to train: first what a killed process left, then new trials; None when all are handed out."""
        if self._unfinished:
            return self._unfinished.pop(0)
        begun = len(self._study.get_trials(deepcopy=False))
        size = group_size(self.job.fuse, trials=self.job.trials, begun=begun, workers=self.job.workers)
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
        """Take in an epoch of these trials, side by side in this order, and say which go on."""
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
        return self.running(numbers)

    def finish(self, numbers: Sequence[int], report: Report) -> None:
        """Take in the last epoch of these trials: their value is the best epoch's mean over folds."""
        for number in self.report(numbers, report):
            epoch, value = self._curves[number].best(self.sweep.metric.goal)
            self._end(number, "COMPLETE", value, epoch, None)

    def fail(self, numbers: Sequence[int], reason: str) -> None:
        """These trials ended without a value, for this reason."""
        for number in self.running(numbers):
            self._end(number, "FAIL", None, None, reason)

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
        groups = []
        for group, trials in left.items():
            opened = [Trial(self._study, trial._trial_id) for trial in trials]
            # a trial killed while it was drawn has some of its values: the same call gives those and draws the others
            groups.append(self._hand_out(group, {trial: self._settle(trial) for trial in opened}))
        return groups

    def _draw(self, number: int, fixed: dict[str, Scalar]) -> tuple[Trial, dict[str, Scalar]]:
        """A new trial, with these values given. Its sampler's seed depends on the sweep's seed and its number alone, so
        what is drawn depends on the trials before it and not on restarts."""
        seed = int(np.random.SeedSequence([self.job.seed, number]).generate_state(1)[0])
        self._study.sampler = _sampler(seed, fixed)
        trial = self._study.ask()
        return trial, self._settle(trial)

    def _settle(self, trial: Trial) -> dict[str, Scalar]:
        parameters: dict[str, Scalar] = {}

        def ask(path: str, domain: Domain) -> Scalar:
            parameters[path] = _suggest(trial, path, domain)
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
    opened = RDBStorage(storage) if isinstance(storage, str) else _journal(storage)
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


def _sampler(seed: int, fixed: dict[str, Scalar]) -> optuna.samplers.BaseSampler:
    """TPE that models conditional arguments apart and running trials as bad ones, with some values given."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)  # the version is pinned to a minor one
        tpe = optuna.samplers.TPESampler(seed=seed, multivariate=True, group=True, constant_liar=True)
        return optuna.samplers.PartialFixedSampler(fixed, tpe) if fixed else tpe


def _suggest(trial: Trial, path: str, domain: Domain) -> Scalar:
    if isinstance(domain, Float):
        return trial.suggest_float(path, domain.low, domain.high, log=domain.log, step=domain.step)
    if isinstance(domain, Int):
        return trial.suggest_int(path, domain.low, domain.high, log=domain.log, step=domain.step)
    if isinstance(domain, Choice):
        choice: Scalar = trial.suggest_categorical(path, list(domain.labels))
        return choice
    raise TypeError(f"no way to ask for a {type(domain).__name__}")


def _seconds(moment: datetime | None) -> float:
    return moment.timestamp() if moment else time.time()


def _open(storage: Path | str) -> BaseStorage:
    if isinstance(storage, str):
        return RDBStorage(storage)
    _cut_torn_line(storage)
    return _journal(storage)


def _journal(path: Path) -> JournalStorage:
    return JournalStorage(_Journal(path))


class _Journal(JournalFileBackend):
    """Optuna's journal file, for one owner: no lock at each write, and synced to the disk when a trial ends.

    The study's own lock is held for as long as the journal is open and outlives no kill. A write that is not synced
    survives the death of every process; only a power cut could lose it, and with it nothing that had ended.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(str(path), lock_obj=JournalFileOpenLock(str(path)))
        self._path = path

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        lines = "".join(json.dumps(log, separators=(",", ":")) + "\n" for log in logs).encode()
        size = self._path.stat().st_size
        try:
            with self._path.open("ab", buffering=0) as file:
                written = file.write(lines)
                if written < len(lines):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                if any("state" in log for log in logs):
                    os.fsync(file.fileno())
        except OSError as error:
            os.truncate(self._path, size)  # half a line would spoil all that follow
            raise WorldFault(
                f"the study {self._path} cannot be written ({error.strerror}); every trial that had ended is kept."
            ) from error


def _cut_torn_line(journal: Path) -> None:
    """Drop a last line that a kill or a full disk left without its end: Optuna would refuse the whole journal."""
    if not journal.exists():
        return
    with journal.open("rb+") as file:
        content = file.read()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            file.truncate(whole)
