"""The judge: the study as a worker sees it, in its own process or another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from searchlab.fusion.groups import Group
from searchlab.training import EpochReport

PendingDecision: TypeAlias = Callable[[], "Decision"]


@dataclass(frozen=True)
class Decision:
    """The trials of a group that go on, and whether they do so another day: their worker saves them and leaves."""

    stay: tuple[int, ...]
    pause: bool = False


class StudyUnreachable(Exception):
    """The judge cannot be reached; what was told may have been heard or not."""


class StudyClient(Protocol):
    """The study as a worker sees it, in this process or another."""

    def running(self, numbers: Sequence[int]) -> list[int]:
        """Those of these trials that have not ended."""

    def report(self, numbers: Sequence[int], report: EpochReport, *, at_once: bool) -> PendingDecision:
        """Take in an epoch; the answer, once it is asked for, says which trials go on.

        Unless `at_once`, it may be told with those after it, and the answer be that all go on.
        """

    def recall(self, reports: Sequence[tuple[Sequence[int], EpochReport]]) -> None:
        """Take in epochs that were judged before a kill, each with the trials that it is of."""

    def finish(self, numbers: Sequence[int], report: EpochReport) -> None:
        """Take in the last epoch of these trials."""

    def fail(self, numbers: Sequence[int], reason: str) -> None:
        """These trials ended without a value."""

    def note(self, about: str, text: str) -> None:
        """Something for whoever watches, told once for each thing it is about."""

    def grow(self, group: Group, pays: int) -> Group:
        """The group with as many more trials as make `pays`, as far as there are."""

    def take_back(self, group: Group, epoch: int) -> bool:
        """Whether these survivors wait for others to train with; their checkpoint is kept."""

    def weigh(self, numbers: Sequence[int], needed: int, memory: int) -> None:
        """Each of these trials, which have cost a worker its life, is reckoned to need so many bytes of so many."""
