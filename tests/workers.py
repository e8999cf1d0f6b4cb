"""Workers for tests, and the studies that they report to."""

from __future__ import annotations

import numpy as np

from searchlab.data.training_rows import TrainingRows
from searchlab.engine.checkpoints import Checkpoint, CheckpointStore
from searchlab.engine.worker import Worker
from searchlab.fusion.groups import Group
from searchlab.runs.study_client import Decision
from searchlab.training import EpochReport
from tests.sweeps import spiral_sweep


class RecordingStudy:
    """A study that records what is reported to it.

    It stops trials after an epoch, by number in `stop`, and pauses after the epoch `pause`.
    """

    def __init__(self, stop=None, pause=None):
        self.reports, self.done, self.failed = {}, [], {}  # losses and scores by trial and epoch; numbers; reasons
        self.epochs = []  # each reported epoch with its trials, in order
        self.notices, self.restore_calls, self.tracebacks = [], 0, {}
        self.stop, self.pause = dict(stop or {}), pause

    def running(self, numbers):
        return [number for number in numbers if number not in self.done and number not in self.failed]

    def report(self, numbers, report, urgent=True):
        self.epochs.append((report.epoch, tuple(numbers)))
        folds = len(report.score) // len(numbers)
        for position, number in enumerate(numbers):
            rows = slice(position * folds, (position + 1) * folds)
            scores = (report.loss[rows].tolist(), report.score[rows].tolist())
            self.reports.setdefault(number, {})[report.epoch] = scores
            if any(report.failures[rows]):
                self.failed[number] = next(filter(None, report.failures[rows]))
            if self.stop.get(number) == report.epoch:
                self.done.append(number)
        decision = Decision(tuple(self.running(numbers)), pause=self.pause == report.epoch)
        return lambda: decision

    def restore_reports(self, reports):
        self.restore_calls += 1
        for numbers, report in reports:
            self.report(numbers, report)

    def finish(self, numbers, report):
        self.done += self.report(numbers, report)().trials

    def fail(self, numbers, reason, traceback=None):
        self.tracebacks |= {number: traceback for number in self.running(numbers)}
        self.failed |= {number: reason for number in self.running(numbers)}

    def notify(self, topic, text):
        self.notices.append((topic, text))


class KilledStudy(RecordingStudy):
    """A study whose process is killed when this epoch is reported."""

    def __init__(self, epoch):
        super().__init__()
        self.epoch = epoch

    def report(self, numbers, report, urgent=True):
        decision = super().report(numbers, report)
        if report.epoch == self.epoch:
            raise KeyboardInterrupt
        return decision


def parameters(lr, dropout=0.2):
    """Parameters of a trial of `spiral_sweep`."""
    return {
        "model.hidden": 10,
        "model.dropout": dropout,
        "optimizer": "SGD",
        "optimizer.SGD.lr": lr,
        "training.clip_norm": 2.0,
    }


def make_group(*rates, numbers=None):
    """A group of trials with these learning rates, numbered from 0 unless given."""
    return Group("0", numbers or tuple(range(len(rates))), tuple(parameters(rate) for rate in rates), seed=7)


def make_worker(sweep, study, checkpoints, **changes):
    """A worker of this sweep; the changes are fields of Worker."""
    return Worker(sweep, TrainingRows(sweep.data), study, checkpoints, **changes)


def train_group(location, study, rates, sweep=None, numbers=None, **store_arguments):
    """Train trials with these learning rates to their end, and return the study."""
    checkpoints = CheckpointStore(location, **store_arguments)
    make_worker(sweep or spiral_sweep(epochs=5), study, checkpoints).train(make_group(*rates, numbers=numbers))
    return study


def make_checkpoint():
    """A checkpoint of trial 3 after two epochs, one of whose folds diverged."""
    report = EpochReport(2, np.array([1.0, np.nan]), np.array([0.5, 0.25]), (None, "why"), 0.1, 5.0)
    return Checkpoint((3,), (((3,), report),), {"parameters/0.W": np.ones((2, 3), np.float32)})
