"""Retries after worker crashes: the group is trained again in ever smaller parts, until one trial is found to fail."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from searchlab.fusion.groups import Group
from searchlab.space.byte_size import format_bytes

if TYPE_CHECKING:
    from searchlab.study.study import Study

# worker crashes that a trial running alone may survive before it fails; a finished epoch resets the count
MAX_SOLO_CRASHES = 2


class CrashRetries:
    """The number of worker crashes of each group since its last finished epoch, and how the group is retried."""

    def __init__(self, study: Study) -> None:
        self._study = study
        self._crashes: dict[str, int] = {}  # by group id
        self._memory_notes: dict[int, str] = {}  # by trial: its estimated memory, as a sentence for people

    def report_memory(self, numbers: Sequence[int], needed: int, limit: int) -> None:
        """Record the estimated bytes that each of these trials needs, of the bytes that a worker may take."""
        note = f"it needs about {format_bytes(needed)} by estimate, and a worker may take {format_bytes(limit)}"
        self._memory_notes |= dict.fromkeys(numbers, note)

    def record_epoch(self, group: str) -> None:
        """Reset the count of the group with this id, because it has finished an epoch."""
        self._crashes.pop(group, None)

    def retry(self, group: Group) -> Group | None:
        """Return the group whose worker crashed, to be trained again; None when no trial of it is left.

        The first retry trains all trials side by side, because the crash may have an outside cause; each further one
        halves the number, down to each trial alone. A trial that crashes its worker then fails.
        """
        first, count = group.trials[0], self._crashes.get(group.id, 0) + 1
        self._crashes[group.id] = count
        trials = f"trials {', '.join(map(str, group.trials))}" if len(group.trials) > 1 else f"trial {first}"
        self._study.notify(f"crash {count} of {group.id}", f"a worker process died; {trials} will be retried")
        side_by_side, previous = (-(-len(group.trials) // 2 ** (count - retries)) for retries in (1, 2))
        if count <= MAX_SOLO_CRASHES or previous > 1:
            return replace(group, max_followers=0, max_side_by_side=side_by_side)
        note = self._memory_notes.get(first, "its memory is not known")
        self._study.fail(
            [first], f"infeasible: the worker process died before the trial, alone, ended an epoch; {note}"
        )
        return (
            replace(group.subset(group.trials[1:]), max_followers=0, max_side_by_side=1)
            if len(group.trials) > 1
            else None
        )
