"""Seating: tells a search's desk how many workers may train at once, for as long as the search runs."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

import ray
from ray.exceptions import RayError

from searchlab.cluster.connection import on_this_node
from searchlab.cluster.slots import LEASE, LOOK, Allocator, Demand, Slots, nodes, shared
from searchlab.errors import WorldFault
from searchlab.runs.events import NoRecord, Tracker
from searchlab.runs.job import Job
from searchlab.space.byte_size import size

NAMESPACE, NAME = "searchlab", "seats"  # under which the table of a cluster is found
PATIENCE = 10.0  # seconds without a single seat until whoever watches is told what is missing


class SlotSource(Protocol):
    """How a search comes by its seats."""

    def arrange(self, desk: Any) -> None:
        """Tell the desk how many seats there are now. Called often; raises RayError when the desk is gone."""

    def leave(self) -> None:
        """The search is over."""


def slot_source_of(job: Job, tracker: Tracker) -> SlotSource:
    """A place at the table of a cluster that others use too; of a cluster of its own, all there is.

    Raises WorldFault where not one group fits on this machine.
    """
    most = job.workers
    if job.generation:  # a generation is some groups, and who waits for its end would only keep a seat from others
        most = min(most or job.generation, job.generation)
    demand = Demand.of(job.sweep.resources, job.device, most)
    if job.address:
        return Allocation(job.name, demand, tracker)
    seats = shared(nodes(), {job.name: demand})[job.name]
    if not seats:
        raise WorldFault(f"not one group fits on this machine: {_told(demand, nodes())}.")
    return _Own(seats)


class _Own:
    """All seats of a machine that is this search's alone."""

    def __init__(self, seats: Slots) -> None:
        self._seats: Slots | None = seats

    def arrange(self, desk: Any) -> None:
        if self._seats is not None:
            ray.get(desk.seat.remote(self._seats))
            self._seats = None  # told

    def leave(self) -> None:
        """Nothing: nobody else waits."""


class Allocation:
    """A place at the table of a cluster, which lives with the driver that set it up; another is set up when it is gone.

    It asks once a second, so that nodes that join are used, and others' sweeps get their share.
    """

    def __init__(self, sweep: str, demand: Demand, tracker: Tracker) -> None:
        self._sweep = f"{time.time():017.3f} {sweep}"  # whoever came first keeps the odd seat
        self._demand, self._tracker = demand, tracker
        self._table: Any = None
        self._asked, self._seated = float("-inf"), time.monotonic()
        self._busy, self._more = 0, True

    def arrange(self, desk: Any) -> None:
        if time.monotonic() - self._asked < LOOK:
            return
        self._asked = time.monotonic()
        seats = self.ask()
        if seats is None:
            return
        self._busy, self._more = ray.get(desk.seat.remote(seats), timeout=LEASE)
        if seats or self._busy or not self._more:
            self._seated = time.monotonic()
        elif time.monotonic() - self._seated > PATIENCE:
            self._seated = float("inf")  # told once
            self._tracker.note(f"waiting for a place on the cluster: {_told(self._demand, nodes())}")

    def leave(self) -> None:
        if self._table is not None:
            self._table.leave.remote(self._sweep)

    def ask(self) -> Slots | None:
        """The seats that there are for it now; None where the table does not answer, which is no reason to stop."""
        most = self._demand.most if self._more else self._busy  # at its end a sweep leaves what it does not use
        try:
            seats: Slots = ray.get(self._at().ask.remote(self._sweep, Demand(self._demand.needs, most)), timeout=LEASE)
        except RayError:
            self._table = None
            return None
        return seats

    def _at(self) -> Any:
        if self._table is None:
            options = {"num_cpus": 0, "name": NAME, "namespace": NAMESPACE, "get_if_exists": True}
            self._table = ray.remote(Allocator).options(scheduling_strategy=on_this_node(), **options).remote()
        return self._table


@contextmanager
def one_slot(job: Job) -> Iterator[None]:
    """Within the block the sweep has a place at the table for a single group, so that others leave it room."""
    demand = Demand.of(job.sweep.resources, job.device, 1)
    place, done = Allocation(job.name, demand, NoRecord()), threading.Event()

    def ask() -> None:
        while not done.is_set():
            place.ask()
            done.wait(LOOK)

    asking = threading.Thread(target=ask, name="one-seat", daemon=True)
    asking.start()
    try:
        yield
    finally:
        done.set()
        asking.join(LEASE)
        place.leave()


def _told(demand: Demand, there: list[Mapping[str, float]]) -> str:
    """What a group takes, and what the nodes have."""
    needs = " or ".join(f"{_words(need)} for a group on {device}" for device, need in demand.needs)
    have = "; ".join(sorted({_words(node) for node in there})) or "no node"
    return f"it takes {needs}, and there is {have}"


def _words(amounts: Mapping[str, float]) -> str:
    words = [f"{amounts[name]:g} {name}" for name in ("CPU", "GPU") if amounts.get(name)]
    words += [size(amounts["memory"])] if amounts.get("memory") else []
    return " and ".join(words) or "nothing"
