"""The study as a Ray actor: the desk that workers on any machine report to, and the driver asks for news."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import cloudpickle
import ray

from searchlab.service.records import TrialRecord
from searchlab.service.worker import Answer
from searchlab.sweep.groups import Group
from searchlab.tracking.tracker import Buffer, Event
from searchlab.training import Report


def extend_path(path: Sequence[str]) -> None:
    """Put the sweep's project first on this process' import path, once."""
    sys.path[:0] = [entry for entry in path if entry not in sys.path]


class Desk:
    """The study as an actor, with a buffer of what it has to tell."""

    def __init__(self, parcel: bytes, path: list[str]) -> None:
        extend_path(path)
        from searchlab.service.study import Study  # here alone: a worker imports this file and needs no Optuna

        self._buffer = Buffer()
        self._study = Study(cloudpickle.loads(parcel), self._buffer)
        self._held: dict[str, Group] = {}  # by the Tune trial that trains it
        self._halted: str | None = None

    def more(self) -> bool:
        """Whether there may be a group to take."""
        return not self._halted and self._study.more()

    def take(self, holder: str) -> Group | None:
        """A group for this Tune trial: the one its worker died with, else the next; None when there is none."""
        held = self._held.get(holder)
        if held and self._study.running(held.trials):
            return held.of(self._study.running(held.trials))
        group = None if self._halted else self._study.ask()
        if group:
            self._held[holder] = group
        return group

    def report(self, numbers: Sequence[int], report: Report) -> list[int]:
        return self._study.report(numbers, report)

    def finish(self, numbers: Sequence[int], report: Report) -> None:
        self._study.finish(numbers, report)

    def fail(self, numbers: Sequence[int], reason: str) -> None:
        self._study.fail(numbers, reason)

    def note(self, about: str, text: str) -> None:
        self._study.note(about, text)

    def abandon(self, holder: str, reason: str) -> None:
        """No worker could bring the group of this Tune trial to its end."""
        if holder in self._held:
            self._study.fail(self._held[holder].trials, reason)

    def halt(self, reason: str) -> None:
        """Hand out no more: every group would meet the same fault. Open trials stay open, for another day."""
        self._halted = reason

    def halted(self) -> str | None:
        return self._halted

    def drain(self) -> list[Event]:
        return self._buffer.drain()

    def records(self) -> list[TrialRecord]:
        return self._study.records()

    def close(self) -> None:
        self._study.close()


class RemoteStudy:
    """The study as a worker sees it from another process."""

    def __init__(self, desk: Any) -> None:
        self._desk = desk

    def report(self, numbers: Sequence[int], report: Report) -> Answer:
        sent = self._desk.report.remote(numbers, report)
        return lambda: list(ray.get(sent))

    def finish(self, numbers: Sequence[int], report: Report) -> None:
        ray.get(self._desk.finish.remote(numbers, report))

    def fail(self, numbers: Sequence[int], reason: str) -> None:
        ray.get(self._desk.fail.remote(numbers, reason))

    def note(self, about: str, text: str) -> None:
        ray.get(self._desk.note.remote(about, text))
