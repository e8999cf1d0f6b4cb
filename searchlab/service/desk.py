"""The study as a Ray actor: the desk that workers on any machine report to, and the driver asks for news."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import cloudpickle
import ray

from searchlab.service.records import TrialRecord
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
        self._groups: dict[str, Group] = {}
        self._halted: str | None = None

    def next(self) -> str | None:
        """The id of the next group to train; None when there is none."""
        group = None if self._halted else self._study.ask()
        if group:
            self._groups[group.id] = group
        return group.id if group else None

    def group(self, id: str) -> Group:
        """The group with this id."""
        return self._groups[id]

    def running(self, numbers: Sequence[int]) -> list[int]:
        return self._study.running(numbers)

    def report(self, numbers: Sequence[int], report: Report) -> list[int]:
        return self._study.report(numbers, report)

    def finish(self, numbers: Sequence[int]) -> None:
        self._study.finish(numbers)

    def fail(self, numbers: Sequence[int], reason: str) -> None:
        self._study.fail(numbers, reason)

    def abandon(self, id: str, reason: str) -> None:
        """No worker could bring this group to its end."""
        self._study.fail(self._groups[id].trials, reason)

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

    def running(self, numbers: Sequence[int]) -> list[int]:
        running: list[int] = ray.get(self._desk.running.remote(numbers))
        return running

    def report(self, numbers: Sequence[int], report: Report) -> list[int]:
        survivors: list[int] = ray.get(self._desk.report.remote(numbers, report))
        return survivors

    def finish(self, numbers: Sequence[int]) -> None:
        ray.get(self._desk.finish.remote(numbers))

    def fail(self, numbers: Sequence[int], reason: str) -> None:
        ray.get(self._desk.fail.remote(numbers, reason))
