"""The study as a worker sees it from another process: what it asks goes to the desk and is answered from there."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError

from searchlab.fusion.groups import Group
from searchlab.runs.study_client import Decision, PendingDecision, StudyUnreachable
from searchlab.training import EpochReport

OFTEN = 0.02  # seconds between two reports of a group whose epochs take less: a call costs both sides a millisecond


class RemoteStudy:
    """The study as a worker sees it from another process. Epochs that take no time are told a handful at a time."""

    def __init__(self, desk: Any) -> None:
        self._desk = desk
        self._untold: list[tuple[Sequence[int], EpochReport]] = []
        self._told = 0.0  # when reports were last sent

    def running(self, numbers: Sequence[int]) -> list[int]:
        return list(self._ask("running", numbers))

    def report(self, numbers: Sequence[int], report: EpochReport, *, at_once: bool) -> PendingDecision:
        self._untold.append((numbers, report))
        if not at_once and time.monotonic() - self._told < OFTEN:
            return lambda: Decision(tuple(numbers))
        self._told = time.monotonic()
        sent, self._untold = self._desk.reports.remote(self._untold), []
        answer: PendingDecision = lambda: _heard(sent)  # noqa: E731
        return answer

    def recall(self, reports: Sequence[tuple[Sequence[int], EpochReport]]) -> None:
        self._ask("recall", reports)

    def finish(self, numbers: Sequence[int], report: EpochReport) -> None:
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
        return _heard(getattr(self._desk, method).remote(*given))


def _heard(answer: Any) -> Any:
    """The desk's answer; raises Parted where the way to it is cut, which is no trial's fault."""
    try:
        return ray.get(answer)
    except RayTaskError:
        raise  # it was reached, and this is what it says
    except RayError as error:
        raise StudyUnreachable(str(error).strip().splitlines()[0]) from error
