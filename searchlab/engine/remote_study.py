"""The study as a worker in another process sees it: every call goes to the study's actor."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError

from searchlab.engine.group_result import GroupResult
from searchlab.fusion.groups import Group
from searchlab.runs.study_client import Decision, PendingDecision, StudyUnreachable
from searchlab.training import EpochReport

# seconds between two reports of a group whose epochs are shorter: a call costs both processes a millisecond
REPORT_INTERVAL = 0.02


class RemoteStudy:
    """A client of the study's actor. The reports of very short epochs are sent several at a time.

    Args:
        study_actor: The handle of the actor.

    Attributes:
        result: The result of the group in training, which gets every report; None where nobody asks for it.
    """

    def __init__(self, study_actor: Any) -> None:
        self._study_actor = study_actor
        self.result: GroupResult | None = None
        self._unsent: list[tuple[Sequence[int], EpochReport]] = []
        self._unread: list[Any] = []  # references of reports that may have been lost, in their order
        self._last_sent = 0.0  # monotonic time of the last call that sent reports

    def running(self, numbers: Sequence[int]) -> list[int]:
        return list(self._call("running", numbers))

    def report(self, numbers: Sequence[int], report: EpochReport, *, urgent: bool) -> PendingDecision:
        self._unsent.append((numbers, report))
        if self.result:
            self.result.add(numbers, report)
        if not urgent and time.monotonic() - self._last_sent < REPORT_INTERVAL:
            return lambda: Decision(tuple(numbers))
        self._last_sent = time.monotonic()
        self._send_reports()
        sent = tuple(self._unread)
        return lambda: self._read_decision(sent)

    def restore_reports(self, reports: Sequence[tuple[Sequence[int], EpochReport]]) -> None:
        self._call("restore_reports", reports)
        if self.result:
            self.result.restore(reports)

    def finish(self, numbers: Sequence[int], report: EpochReport) -> None:
        self._call("finish", numbers, report)
        if self.result:
            self.result.add(numbers, report)

    def fail(self, numbers: Sequence[int], reason: str, traceback: str | None = None) -> None:
        self._call("fail", numbers, reason, traceback)

    def notify(self, topic: str, text: str) -> None:
        self._call("notify", topic, text)

    def grow(self, group: Group, size: int) -> Group:
        grown: Group = self._call("grow", group, size)
        if self.result:
            self.result.group = grown
        return grown

    def return_survivors(self, group: Group, epoch: int) -> bool:
        return bool(self._call("return_survivors", group, epoch))

    def report_memory(self, numbers: Sequence[int], needed: int, limit: int) -> None:
        self._call("report_memory", numbers, needed, limit)

    def _call(self, method: str, *arguments: Any) -> Any:
        """Call the actor once it has all reports: Ray runs the calls of one caller in their order, but may lose some.

        A trial whose last epoch arrives without the one before it would be complete with a gap in its curve.
        """
        if self._unsent:
            self._send_reports()
        if self._unread:
            self._read_decision(tuple(self._unread))
        return _result(getattr(self._study_actor, method).remote(*arguments))

    def _send_reports(self) -> None:
        self._unread.append(self._study_actor.report_epochs.remote(self._unsent))
        self._unsent = []

    def _read_decision(self, sent: Sequence[Any]) -> Decision:
        """Return the decision about the last of these reports; raise StudyUnreachable when any of them was lost."""
        decisions: list[Decision] = [_result(reference) for reference in sent]
        self._unread = [reference for reference in self._unread if reference not in sent]
        return decisions[-1]


def _result(reference: Any) -> Any:
    """Return the result of a call; raise StudyUnreachable when the connection is cut, which is no trial's fault."""
    try:
        return ray.get(reference)
    except RayTaskError:
        raise  # the call reached the study, and failed there
    except RayError as error:
        raise StudyUnreachable(str(error).strip().splitlines()[0]) from error
