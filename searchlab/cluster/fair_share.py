"""Slot sources: how many groups a search may train at the same time, for as long as it runs."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import ray
from ray.exceptions import RayError

from searchlab.cluster.connection import on_this_node
from searchlab.cluster.slots import (
    LEASE_SECONDS,
    REFRESH_SECONDS,
    Allocator,
    Demand,
    NodeResources,
    Slots,
    fair_slots,
    node_resources,
)
from searchlab.errors import WorldFault
from searchlab.runs.events import EventHandler, Message, NullHandler
from searchlab.runs.job import Job
from searchlab.space.byte_size import format_bytes

NAMESPACE, ACTOR_NAME = "searchlab", "slot-allocator"  # under which all sweeps of a cluster find the allocator
NOTIFY_AFTER = 10.0  # seconds without a slot after which a message says what is missing


class SlotSource(Protocol):
    """Where a search gets its slots from."""

    def update(self, study: Any) -> None:
        """Send the study's actor the number of slots. The engine calls this often; it raises RayError without actor."""

    def close(self) -> None:
        """Release the slots; the search is over."""


def create_slot_source(job: Job, handler: EventHandler) -> SlotSource:
    """Return a fair share of a cluster that others use too, or all slots of a cluster that is the job's own.

    Raises:
        WorldFault: When not even one group fits on this machine.
    """
    max_groups = job.config.workers
    if job.generation:  # of a generation only so many groups can train; more slots would be kept from others
        max_groups = min(max_groups or job.generation, job.generation)
    demand = Demand.of(job.sweep.resources, job.config.device, max_groups)
    if job.config.address:
        return FairShare(job.name, demand, handler)
    slots = fair_slots(node_resources(), {job.name: demand})[job.name]
    if not slots:
        raise WorldFault(f"not one group fits on this machine: {_missing(demand, node_resources())}.")
    return _AllSlots(slots)


class _AllSlots:
    """All slots of a cluster that no other sweep uses."""

    def __init__(self, slots: Slots) -> None:
        self._slots, self._is_sent = slots, False

    def update(self, study: Any) -> None:
        if not self._is_sent:
            ray.get(study.set_slots.remote(self._slots))
            self._is_sent = True

    def close(self) -> None:
        """Return: no other sweep waits for the slots."""


class FairShare:
    """The slots that a cluster's allocator gives to one sweep.

    The allocator lives with the driver that started it; when it is gone, the next sweep that asks starts another one.
    The share is refreshed once a second, so that new nodes are used and other sweeps get theirs.

    Args:
        sweep: Name of the sweep.
        demand: What it asks for.
        handler: Gets a message when the sweep waits for a slot.
    """

    def __init__(self, sweep: str, demand: Demand, handler: EventHandler) -> None:
        self._key = f"{time.time():017.3f} {sweep}"  # of two equal sweeps, the earlier one gets the odd slot
        self._demand, self._handler = demand, handler
        self._allocator: Any = None
        self._last_update, self._last_busy = float("-inf"), time.monotonic()
        self._working, self._has_more = 0, True

    def update(self, study: Any) -> None:
        if time.monotonic() - self._last_update < REFRESH_SECONDS:
            return
        self._last_update = time.monotonic()
        slots = self.request()
        if slots is None:
            return
        self._working, self._has_more = ray.get(study.set_slots.remote(slots), timeout=LEASE_SECONDS)
        if slots or self._working or not self._has_more:
            self._last_busy = time.monotonic()
        elif time.monotonic() - self._last_busy > NOTIFY_AFTER:
            self._last_busy = float("inf")  # it is reported once
            missing = _missing(self._demand, node_resources())
            self._handler.handle(Message(f"waiting for a slot on the cluster: {missing}"))

    def close(self) -> None:
        if self._allocator is not None:
            self._allocator.release.remote(self._key)

    def request(self) -> Slots | None:
        """Return the slots that the sweep has now; None when the allocator does not answer, which stops nothing."""
        # at its end a sweep asks only for what it still uses
        max_groups = self._demand.max_groups if self._has_more else self._working
        demand = Demand(self._demand.needs, max_groups)
        try:
            slots: Slots = ray.get(self._actor().allocate.remote(self._key, demand), timeout=LEASE_SECONDS)
        except RayError:
            self._allocator = None
            return None
        return slots

    def _actor(self) -> Any:
        if self._allocator is None:
            options = {"num_cpus": 0, "name": ACTOR_NAME, "namespace": NAMESPACE, "get_if_exists": True}
            actor: Any = ray.remote(Allocator)
            self._allocator = actor.options(scheduling_strategy=on_this_node(), **options).remote()
        return self._allocator


@contextmanager
def reserve_one_slot(job: Job) -> Iterator[None]:
    """Within the block the job has one slot of the cluster, so that other sweeps leave room for one group."""
    demand = Demand.of(job.sweep.resources, job.config.device, 1)
    share, done = FairShare(job.name, demand, NullHandler()), threading.Event()

    def renew() -> None:
        while not done.is_set():
            share.request()
            done.wait(REFRESH_SECONDS)

    renewal = threading.Thread(target=renew, name="one-slot", daemon=True)
    renewal.start()
    try:
        yield
    finally:
        done.set()
        renewal.join(LEASE_SECONDS)
        share.close()


def _missing(demand: Demand, nodes: Sequence[NodeResources]) -> str:
    """Return what a group needs and what the nodes have, for people."""
    needs = " or ".join(f"{_resources(need)} for a group on {device}" for device, need in demand.needs)
    available = "; ".join(sorted({_resources(node) for node in nodes})) or "no node"
    return f"it needs {needs}, and there is {available}"


def _resources(amounts: Mapping[str, float]) -> str:
    parts = [f"{amounts[name]:g} {name}" for name in ("CPU", "GPU") if amounts.get(name)]
    parts += [format_bytes(amounts["memory"])] if amounts.get("memory") else []
    return " and ".join(parts) or "nothing"
