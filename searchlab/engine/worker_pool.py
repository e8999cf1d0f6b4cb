"""Shifts: which workers train, each by its Tune trial, what each holds, and who makes room when seats get fewer."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Mapping
from dataclasses import dataclass, field

from searchlab.backend import Device
from searchlab.fusion.groups import Group

Claim = tuple[float, int]  # the number of a shift's node, and when it came, counted: the smallest stay
NOWHERE = float("inf")


@dataclass
class WorkerPool:
    """The workers of one search, in the order in which they came.

    `seats` is how many may train at once on each device; None where nobody counts. When it falls, those leave that have
    no node yet, then those on the node that was used last, the newest first: a group of another sweep's that takes more
    than one of theirs finds room on one node. What is asked with every report takes as long for a thousand workers as
    for one.
    """

    seats: Mapping[Device, int] | None = None
    _there: dict[str, tuple[Claim, Device]] = field(default_factory=dict)
    _at: dict[Device, list[Claim]] = field(default_factory=dict)  # of those on this device, in order
    _nodes: dict[str, int] = field(default_factory=dict)  # in the order in which they were used first
    _absent: dict[str, Device] = field(default_factory=dict)  # whose worker is gone, and who are begun anew
    _begun: int = 0
    _held: dict[str, Group] = field(default_factory=dict)  # by the shift that trains it
    _holders: dict[str, str] = field(default_factory=dict)  # by group: an id is held by one shift at a time
    _leaving: set[str] = field(default_factory=set)  # told to save what they hold and make room

    def __len__(self) -> int:
        return len(self._there)

    def __contains__(self, shift: str) -> bool:
        return shift in self._there

    def free(self) -> Device | None:
        """A device that one more shift may begin on, the preferred one first; None where every seat is taken."""
        return next((device for device in self.seats or {} if self.has_free(device)), None)

    def has_free(self, device: Device) -> bool:
        """Whether one more shift may begin on this device; a seat is kept for one that is begun anew."""
        absent = sum(there == device for there in self._absent.values())
        return len(self._at.get(device, ())) + absent < (self.seats or {}).get(device, 0)

    def lose(self, shift: str) -> None:
        """The shift's worker is gone, and will be another: it has no say in who makes room until it is there."""
        device = self._there[shift][1] if shift in self else None
        self.end(shift)
        if device is not None:
            self._absent[shift] = device

    def back(self, shift: str) -> None:
        """A shift that was lost is there again, and wants a seat as any other."""
        self._absent.pop(shift, None)

    def begin(self, shift: str, device: Device, node: str | None = None) -> None:
        """A shift has a seat on this device, of this node once it is known; told again, it came when told first."""
        before = self._give_up(shift)
        if before is None:
            before, self._begun = (NOWHERE, self._begun), self._begun + 1
        number = before[0] if node is None else self._nodes.setdefault(node, len(self._nodes))
        self._there[shift] = claim, _ = (number, before[1]), device
        insort(self._at.setdefault(device, []), claim)

    def end(self, shift: str) -> Group | None:
        """The shift is over; what it held."""
        self._give_up(shift)
        self._absent.pop(shift, None)
        self._leaving.discard(shift)
        return self.let_go(shift)

    def too_many(self, shift: str) -> bool:
        """Whether the seats do not reach for this shift any more."""
        if self.seats is None or shift not in self._there:
            return False
        claim, device = self._there[shift]
        alike, reach = self._at[device], self.seats.get(device, 0)
        return reach < len(alike) and claim >= alike[reach]

    def ask_to_leave(self, group: str) -> bool:
        """Whether the shift that holds this group is to save it and make room; it is remembered that it was told."""
        shift = self.holder(group)
        if shift is not None and self.too_many(shift):
            self._leaving.add(shift)
        return shift in self._leaving

    def was_asked(self, shift: str) -> bool:
        """Whether this shift was told to make room: it has saved what it holds, and did not die with it."""
        return shift in self._leaving

    def hold(self, shift: str, group: Group) -> None:
        """The shift trains this group, and what it had before no more."""
        self.let_go(shift)
        self._held[shift], self._holders[group.id] = group, shift

    def let_go(self, shift: str) -> Group | None:
        """The shift holds nothing any more; what it held."""
        group = self._held.pop(shift, None)
        if group and self._holders.get(group.id) == shift:
            del self._holders[group.id]
        return group

    def holder(self, group: str) -> str | None:
        """The shift that holds the group with this id."""
        return self._holders.get(group)

    def drop(self, group: str) -> None:
        """Nobody holds the group with this id any more."""
        shift = self.holder(group)
        if shift is not None:
            self.let_go(shift)

    def _give_up(self, shift: str) -> Claim | None:
        """The shift leaves its seat; its claim to it, None if it had none."""
        claim, device = self._there.pop(shift, (None, None))
        if claim is not None and device is not None:
            del self._at[device][bisect_left(self._at[device], claim)]
        return claim
