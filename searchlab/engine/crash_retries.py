"""Deaths of workers: a group that one died with is tried again, smaller each time, until the guilty trial is found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from searchlab.fusion.groups import Group
from searchlab.space.byte_size import size

MAX_SOLO_CRASHES = 2  # deaths of a worker that a trial alone in it is forgiven, where it finished no epoch in between


class Told(Protocol):
    """Who hears of it: the study."""

    def note(self, about: str, text: str) -> None: ...

    def fail(self, numbers: Sequence[int], reason: str) -> None: ...


class CrashRetries:
    """How often a worker died with each group since that last finished an epoch."""

    def __init__(self, study: Told) -> None:
        self._study = study
        self._counts: dict[str, int] = {}  # by group
        self._weights: dict[int, str] = {}  # by trial: what it is reckoned to need, for people

    def weigh(self, numbers: Sequence[int], needed: int, memory: int) -> None:
        """These trials are reckoned to need so many bytes, where a worker may take so many."""
        told = f"it is reckoned to need {size(needed)}, and a worker may take {size(memory)}"
        self._weights |= dict.fromkeys(numbers, told)

    def lives(self, group: str) -> None:
        """The group with this id has finished an epoch: whatever killed its workers before is forgotten."""
        self._counts.pop(group, None)

    def again(self, group: Group) -> Group | None:
        """The group that a worker died with, smaller each time, at last each trial alone, until one is given up.

        A death may be nobody's fault: what finishes an epoch starts from the beginning. None when nothing is left.
        """
        first, deaths = group.trials[0], self._counts.get(group.id, 0) + 1
        self._counts[group.id] = deaths
        several = f"trials {', '.join(map(str, group.trials))} are" if len(group.trials) > 1 else f"trial {first} is"
        self._study.note(f"death {deaths} of {group.id}", f"a worker died; {several} taken up again")
        most, before = (-(-len(group.trials) // 2 ** (deaths - ago)) for ago in (1, 2))
        if deaths <= MAX_SOLO_CRASHES or before > 1:
            return replace(group, room=0, most=most)
        told = self._weights.get(first, "what it needs is not known")
        reason = f"infeasible: the process that trained it alone was killed before an epoch was over; {told}"
        self._study.fail([first], reason)
        return replace(group.of(group.trials[1:]), room=0, most=1) if len(group.trials) > 1 else None
