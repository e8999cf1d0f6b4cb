"""The study as a Ray actor: the desk that workers on any machine report to, and the driver asks for news."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import cloudpickle
import ray

from searchlab.service.judge import Answer, Verdict
from searchlab.service.records import TrialRecord
from searchlab.sweep.groups import Group, Later
from searchlab.sweep.memory import size
from searchlab.tracking.tracker import Buffer, Event
from searchlab.training import Report

OFTEN = 0.02  # seconds between two reports of a group whose epochs take less: a call costs both sides a millisecond
INNOCENT = 2  # deaths of a worker that a trial alone in it is forgiven, where it finished no epoch in between


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
        self._deaths: dict[str, int] = {}  # by group: workers that died with it since it last finished an epoch
        self._group_of: dict[int, str] = {}
        self._weights: dict[int, str] = {}  # by trial: what it is reckoned to need, for people
        self._halted: str | None = None

    def more(self) -> bool:
        """Whether there may be a group to take."""
        return not self._halted and self._study.more()

    def take(self, holder: str) -> Group | Later | None:
        """A group for this Tune trial: the one its worker died with, else the next; None when there is none."""
        held = self._held.get(holder)
        if held and (left := self._study.running(held.trials)) and (again := self._again(held.of(left))):
            return again
        group = None if self._halted else self._study.ask()
        if isinstance(group, Group):
            self._hold(holder, group)
        return group

    def grow(self, group: Group, pays: int) -> Group:
        grown = self._study.grow(group, pays)
        holder = next((name for name, held in self._held.items() if held.id == group.id), None)
        if holder:
            self._hold(holder, grown)
        return grown

    def running(self, numbers: Sequence[int]) -> list[int]:
        return self._study.running(numbers)

    def reports(self, epochs: Sequence[tuple[Sequence[int], Report]]) -> Verdict:
        """Take in one epoch of a group or several in a row; who goes on after the last."""
        self._deaths.pop(self._group_of.get(epochs[0][0][0], ""), None)
        return [self._study.report(numbers, report) for numbers, report in epochs][-1]

    def recall(self, numbers: Sequence[int], report: Report) -> None:
        self._study.recall(numbers, report)

    def finish(self, numbers: Sequence[int], report: Report) -> None:
        self._study.finish(numbers, report)

    def fail(self, numbers: Sequence[int], reason: str) -> None:
        self._study.fail(numbers, reason)

    def note(self, about: str, text: str) -> None:
        self._study.note(about, text)

    def take_back(self, group: Group, epoch: int) -> bool:
        taken = self._study.take_back(group, epoch)
        if taken:
            self._held = {name: held for name, held in self._held.items() if held.id != group.id}
        return taken

    def weigh(self, numbers: Sequence[int], needed: int, memory: int) -> None:
        told = f"it is reckoned to need {size(needed)}, and a worker may take {size(memory)}"
        self._weights |= dict.fromkeys(numbers, told)

    def pause(self, text: str) -> None:
        """Hand out no more, and have every group saved after its epoch."""
        self._study.note("pause", text)
        self._study.pause()

    def abandon(self, holder: str, reason: str) -> None:
        """No worker could bring the group of this Tune trial to its end."""
        if holder in self._held:
            self._study.fail(self._held[holder].trials, reason)

    def halt(self, reason: str) -> None:
        """Hand out no more: every group would meet the same fault. Open trials stay open, for another day."""
        self._halted = reason

    def halted(self) -> str | None:
        return self._halted

    def over(self) -> str | None:
        return self._study.over

    def drain(self) -> list[Event]:
        return self._buffer.drain()

    def records(self) -> list[TrialRecord]:
        return self._study.records()

    def close(self) -> None:
        self._study.close()

    def _hold(self, holder: str, group: Group) -> None:
        self._held[holder] = group
        self._group_of |= dict.fromkeys(group.trials, group.id)

    def _again(self, group: Group) -> Group | None:
        """The group that a worker died with, smaller each time, at last each trial alone, until one is given up.

        A death may be nobody's fault: what finishes an epoch starts from the beginning. None when nothing is left.
        """
        first, deaths = group.trials[0], self._deaths.get(group.id, 0) + 1
        self._deaths[group.id] = deaths
        several = f"trials {', '.join(map(str, group.trials))} are" if len(group.trials) > 1 else f"trial {first} is"
        self._study.note(f"death {deaths} of {group.id}", f"a worker died; {several} taken up again")
        most, before = (-(-len(group.trials) // 2 ** (deaths - ago)) for ago in (1, 2))
        if deaths <= INNOCENT or before > 1:
            return replace(group, room=0, most=most)
        told = self._weights.get(first, "what it needs is not known")
        reason = f"infeasible: the process that trained it alone was killed before an epoch was over; {told}"
        self._study.fail([first], reason)
        return replace(group.of(group.trials[1:]), room=0, most=1) if len(group.trials) > 1 else None


class RemoteStudy:
    """The study as a worker sees it from another process. Epochs that take no time are told a handful at a time."""

    def __init__(self, desk: Any) -> None:
        self._desk = desk
        self._untold: list[tuple[Sequence[int], Report]] = []
        self._told = 0.0  # when reports were last sent

    def running(self, numbers: Sequence[int]) -> list[int]:
        return list(self._ask("running", numbers))

    def report(self, numbers: Sequence[int], report: Report, *, at_once: bool) -> Answer:
        self._untold.append((numbers, report))
        if not at_once and time.monotonic() - self._told < OFTEN:
            return lambda: Verdict(tuple(numbers))
        self._told = time.monotonic()
        sent, self._untold = self._desk.reports.remote(self._untold), []
        answer: Answer = lambda: ray.get(sent)  # noqa: E731
        return answer

    def recall(self, numbers: Sequence[int], report: Report) -> None:
        self._ask("recall", numbers, report)

    def finish(self, numbers: Sequence[int], report: Report) -> None:
        self._ask("finish", numbers, report)

    def fail(self, numbers: Sequence[int], reason: str) -> None:
        self._ask("fail", numbers, reason)

    def note(self, about: str, text: str) -> None:
        self._ask("note", about, text)

    def grow(self, group: Group, pays: int) -> Group:
        grown: Group = self._ask("grow", group, pays)
        return grown

    def take_back(self, group: Group, epoch: int) -> bool:
        return bool(self._ask("take_back", group, epoch))

    def weigh(self, numbers: Sequence[int], needed: int, memory: int) -> None:
        self._ask("weigh", numbers, needed, memory)

    def _ask(self, method: str, *given: Any) -> Any:
        """The desk's answer, which has heard everything before it: a caller's calls are served in their order."""
        if self._untold:
            self._desk.reports.remote(self._untold)
            self._untold = []
        return ray.get(getattr(self._desk, method).remote(*given))
