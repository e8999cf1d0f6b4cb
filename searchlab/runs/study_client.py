"""The study as a worker sees it: an interface that works in the study's process and from another one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from searchlab.fusion.groups import Group
from searchlab.training import EpochReport

PendingDecision: TypeAlias = Callable[[], "Decision"]  # waits for the decision when it is called


@dataclass(frozen=True)
class Decision:
    """What the study decided about a group after an epoch.

    Attributes:
        trials: Numbers of the trials that continue.
        pause: Whether the worker must save the group and return it, to be continued later.
    """

    trials: tuple[int, ...]
    pause: bool = False


class StudyUnreachable(Exception):
    """The study cannot be reached; it may or may not have received the last call."""


class StudyClient(Protocol):
    """The calls that a worker makes to the study, in the same process or across processes.

    Numbers are those of trials; a report holds the replicas of its trials side by side, in the order of the numbers.
    """

    def running(self, numbers: Sequence[int]) -> list[int]:
        """Return those of these trials that have not ended."""

    def report(self, numbers: Sequence[int], report: EpochReport, *, urgent: bool) -> PendingDecision:
        """Report an epoch; the returned callable gives the decision.

        Unless `urgent`, the report may be sent together with later ones, and the decision be that all trials continue.
        """

    def restore_reports(self, reports: Sequence[tuple[Sequence[int], EpochReport]]) -> None:
        """Report epochs from before a restart, which were decided upon then, each with the trials it belongs to."""

    def finish(self, numbers: Sequence[int], report: EpochReport) -> None:
        """Report the last epoch of these trials."""

    def fail(self, numbers: Sequence[int], reason: str, traceback: str | None = None) -> None:
        """Report that these trials ended without a value; the traceback is that of an exception in their code."""

    def notify(self, topic: str, text: str) -> None:
        """Send a line to whoever watches the run, once per topic."""

    def grow(self, group: Group, size: int) -> Group:
        """Return the group with more trials of its structure, up to `size` in all, as far as trials are left."""

    def return_survivors(self, group: Group, epoch: int) -> bool:
        """Offer the survivors of a group, whose checkpoint is kept; return whether they wait for others to join."""

    def report_memory(self, numbers: Sequence[int], needed: int, limit: int) -> None:
        """Report the estimated bytes that each of these trials needs, of the bytes that a worker may take."""
