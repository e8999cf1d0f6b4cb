"""The workers of a search: their slots, the groups they train, and which of them leave when slots are withdrawn."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from searchlab.backend import Device
from searchlab.fusion.groups import Group

Priority: TypeAlias = tuple[float, int]  # number of the worker's node, order of arrival; the smallest keep their slots
UNKNOWN_NODE = float("inf")  # node number of a worker that has no process yet


@dataclass
class WorkerPool:
    """The workers of one search, each with a slot, in the order in which they arrived.

    When the number of slots falls, workers without a node are preempted first, then those on the node that was used
    last, the newest first. So a group of another sweep that needs several of these slots finds room on one node. The
    queries that come with every report take as long for a thousand workers as for one.

    Args:
        slots: Number of workers that may train at the same time on each device; default: unlimited.
    """

    slots: Mapping[Device, int] | None = None
    _active: dict[str, tuple[Priority, Device]] = field(default_factory=dict)  # by worker
    _priorities: dict[Device, list[Priority]] = field(default_factory=dict)  # of the active workers, sorted
    _node_numbers: dict[str, int] = field(default_factory=dict)  # in the order in which nodes were used first
    _restarting: dict[str, Device] = field(default_factory=dict)  # workers whose process died, until Tune restarts them
    _arrivals: int = 0
    _group_by_worker: dict[str, Group] = field(default_factory=dict)
    _worker_by_group: dict[str, str] = field(default_factory=dict)  # by the group's id
    _preempted: set[str] = field(default_factory=set)  # workers that must save their group and give up their slot
    _process_by_worker: dict[str, str] = field(default_factory=dict)
    _abandoned: set[str] = field(default_factory=set)  # processes that count as dead, and may run behind a cut network

    def __len__(self) -> int:
        return len(self._active)

    def __contains__(self, worker: str) -> bool:
        return worker in self._active

    def is_current_process(self, worker: str, process: str) -> bool:
        """Return whether this is the worker's latest process; from now on, processes before it count as dead."""
        if process in self._abandoned:
            return False
        known = self._process_by_worker.setdefault(worker, process)
        if known != process:
            self._abandoned.add(known)
            self._process_by_worker[worker] = process
        return True

    def abandon_process(self, worker: str) -> None:
        """Count the worker's latest process as dead."""
        process = self._process_by_worker.pop(worker, "")
        if process:
            self._abandoned.add(process)

    def next_free_device(self) -> Device | None:
        """Return a device with a free slot, the preferred device first; None when every slot is taken."""
        return next((device for device in self.slots or {} if self.has_free_slot(device)), None)

    def has_free_slot(self, device: Device) -> bool:
        """Return whether one more worker may start on this device; a restarting worker keeps its slot."""
        restarting = sum(other == device for other in self._restarting.values())
        return len(self._priorities.get(device, ())) + restarting < (self.slots or {}).get(device, 0)

    def mark_lost(self, worker: str) -> None:
        """Record that the worker's process died and Tune restarts it; until then it does not count in preemption."""
        device = self._active[worker][1] if worker in self else None
        self.remove(worker)
        if device is not None:
            self._restarting[worker] = device

    def mark_restarted(self, worker: str) -> None:
        """Record that a lost worker is back; it needs a slot like any other."""
        self._restarting.pop(worker, None)

    def assign_slot(self, worker: str, device: Device, node: str | None = None) -> None:
        """Give the worker a slot on this device, or record its node; it keeps its order of arrival."""
        priority = self._release_slot(worker)
        if priority is None:
            priority, self._arrivals = (UNKNOWN_NODE, self._arrivals), self._arrivals + 1
        number = priority[0] if node is None else self._node_numbers.setdefault(node, len(self._node_numbers))
        priority = (number, priority[1])
        self._active[worker] = priority, device
        insort(self._priorities.setdefault(device, []), priority)

    def remove(self, worker: str) -> Group | None:
        """Remove a worker that has ended, and return the group that it was training."""
        self._release_slot(worker)
        self._restarting.pop(worker, None)
        self._preempted.discard(worker)
        return self.release_group(worker)

    def exceeds_slots(self, worker: str) -> bool:
        """Return whether there are no longer enough slots for this worker."""
        if self.slots is None or worker not in self._active:
            return False
        priority, device = self._active[worker]
        priorities, slots = self._priorities[device], self.slots.get(device, 0)
        return slots < len(priorities) and priority >= priorities[slots]

    def preempt(self, group: str) -> bool:
        """Return whether the worker of this group must save it and leave, and remember that it was requested to."""
        worker = self.worker_of(group)
        if worker is not None and self.exceeds_slots(worker):
            self._preempted.add(worker)
        return worker in self._preempted

    def is_preempted(self, worker: str) -> bool:
        """Return whether this worker was requested to leave: it has saved its group, and did not crash."""
        return worker in self._preempted

    def assign_group(self, worker: str, group: Group) -> None:
        """Record that the worker trains this group, and no longer its previous one."""
        self.release_group(worker)
        self._group_by_worker[worker], self._worker_by_group[group.id] = group, worker

    def release_group(self, worker: str) -> Group | None:
        """Record that the worker trains no group, and return the group that it was training."""
        group = self._group_by_worker.pop(worker, None)
        if group and self._worker_by_group.get(group.id) == worker:
            del self._worker_by_group[group.id]
        return group

    def worker_of(self, group: str) -> str | None:
        """Return the worker that trains the group with this id."""
        return self._worker_by_group.get(group)

    def group_of(self, worker: str) -> Group | None:
        """Return the group that this worker trains."""
        return self._group_by_worker.get(worker)

    def forget_group(self, group: str) -> None:
        """Record that no worker trains the group with this id."""
        worker = self.worker_of(group)
        if worker is not None:
            self.release_group(worker)

    def _release_slot(self, worker: str) -> Priority | None:
        """Take the worker's slot away, and return its priority; None if it had no slot."""
        priority, device = self._active.pop(worker, (None, None))
        if priority is not None and device is not None:
            del self._priorities[device][bisect_left(self._priorities[device], priority)]
        return priority
