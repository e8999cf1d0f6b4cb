"""Shifts: which workers train, each by its Tune trial, what each holds, and who makes room when seats get fewer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from searchlab.backend import Device
from searchlab.sweep.groups import Group


@dataclass
class Shifts:
    """The workers of one search, in the order in which they came.

    `seats` is how many may train at once on each device; None where nobody counts. When it falls, the newest leave.
    """

    seats: Mapping[Device, int] | None = None
    held: dict[str, Group] = field(default_factory=dict)  # by the shift that trains it
    _there: dict[str, Device] = field(default_factory=dict)
    _leaving: set[str] = field(default_factory=set)  # told to save what they hold and make room

    def __len__(self) -> int:
        return len(self._there)

    def free(self) -> Device | None:
        """A device that one more shift may begin on, the preferred one first; None where every seat is taken."""
        for device, count in (self.seats or {}).items():
            if sum(there == device for there in self._there.values()) < count:
                return device
        return None

    def begin(self, shift: str, device: Device) -> None:
        """A shift has a seat on this device."""
        self._there[shift] = device

    def end(self, shift: str) -> Group | None:
        """The shift is over; what it held."""
        self._there.pop(shift, None)
        self._leaving.discard(shift)
        return self.held.pop(shift, None)

    def too_many(self, shift: str) -> bool:
        """Whether the seats do not reach for this shift any more."""
        if self.seats is None or shift not in self._there:
            return False
        device = self._there[shift]
        alike = [other for other, there in self._there.items() if there == device]
        return alike.index(shift) >= self.seats.get(device, 0)

    def ask_to_leave(self, group: str) -> bool:
        """Whether the shift that holds this group is to save it and make room; it is remembered that it was told."""
        shift = self.holder(group)
        if shift is not None and self.too_many(shift):
            self._leaving.add(shift)
        return shift in self._leaving

    def was_asked(self, shift: str) -> bool:
        """Whether this shift was told to make room: it has saved what it holds, and did not die with it."""
        return shift in self._leaving

    def holder(self, group: str) -> str | None:
        """The shift that holds the group with this id."""
        return next((shift for shift, held in self.held.items() if held.id == group), None)

    def drop(self, group: str) -> None:
        """Nobody holds the group with this id any more."""
        self.held = {shift: held for shift, held in self.held.items() if held.id != group}
