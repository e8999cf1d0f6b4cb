"""Seating: tells a search's desk how many workers may train at once, for as long as the search runs."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Protocol

import ray
from ray.exceptions import RayActorError

from searchlab.errors import WorldFault
from searchlab.service.cluster.connection import on_this_node
from searchlab.service.cluster.seats import LEASE, LOOK, Demand, Seats, Table, nodes, shared
from searchlab.service.job import Job
from searchlab.sweep.amounts import size
from searchlab.tracking.tracker import Tracker

NAMESPACE, NAME = "searchlab", "seats"  # under which the table of a cluster is found
PATIENCE = 10.0  # seconds without a single seat until whoever watches is told what is missing


class Seating(Protocol):
    """How a search comes by its seats."""

    def arrange(self, desk: Any) -> None:
        """Tell the desk how many seats there are now. Called often; raises RayError when the desk is gone."""

    def leave(self) -> None:
        """The search is over."""


def seating_of(job: Job, tracker: Tracker) -> Seating:
    """A place at the table of a cluster that others use too; of a cluster of its own, all there is.

    Raises WorldFault where not one group fits on this machine.
    """
    demand = Demand.of(job.sweep.resources, job.device, job.workers)
    if job.address:
        return _Shared(f"{job.name} {time.time()}", demand, tracker)
    seats = shared(nodes(), {job.name: demand})[job.name]
    if not seats:
        raise WorldFault(f"not one group fits on this machine: {_told(demand, nodes())}.")
    return _Own(seats)


class _Own:
    """All seats of a machine that is this search's alone."""

    def __init__(self, seats: Seats) -> None:
        self._seats: Seats | None = seats

    def arrange(self, desk: Any) -> None:
        if self._seats is not None:
            ray.get(desk.seat.remote(self._seats))
            self._seats = None  # told

    def leave(self) -> None:
        """Nothing: nobody else waits."""


class _Shared:
    """A place at the table of a cluster, which lives with the driver that set it up; another is set up when it is gone.

    It asks once a second, so that nodes that join are used, and others' sweeps get their share.
    """

    def __init__(self, sweep: str, demand: Demand, tracker: Tracker) -> None:
        self._sweep, self._demand, self._tracker = sweep, demand, tracker
        self._table: Any = None
        self._asked, self._seated = float("-inf"), time.monotonic()
        self._busy, self._more = 0, True

    def arrange(self, desk: Any) -> None:
        if time.monotonic() - self._asked < LOOK:
            return
        self._asked = time.monotonic()
        seats = self._ask()
        self._busy, self._more = ray.get(desk.seat.remote(seats), timeout=LEASE)
        if seats or self._busy or not self._more:
            self._seated = time.monotonic()
        elif time.monotonic() - self._seated > PATIENCE:
            self._seated = float("inf")  # told once
            self._tracker.note(f"waiting for a place on the cluster: {_told(self._demand, nodes())}")

    def leave(self) -> None:
        if self._table is not None:
            self._table.leave.remote(self._sweep)

    def _ask(self) -> Seats:
        most = self._demand.most if self._more else self._busy  # at its end a sweep leaves what it does not use
        demand = Demand(self._demand.needs, most)
        try:
            seats: Seats = ray.get(self._at().ask.remote(self._sweep, demand), timeout=LEASE)
        except RayActorError:
            self._table = None
            seats = ray.get(self._at().ask.remote(self._sweep, demand), timeout=LEASE)
        return seats

    def _at(self) -> Any:
        if self._table is None:
            options = {"num_cpus": 0, "name": NAME, "namespace": NAMESPACE, "get_if_exists": True}
            self._table = ray.remote(Table).options(scheduling_strategy=on_this_node(), **options).remote()
        return self._table


def _told(demand: Demand, there: list[Mapping[str, float]]) -> str:
    """What a group takes, and what the nodes have."""
    needs = " or ".join(f"{_words(need)} for a group on {device}" for device, need in demand.needs)
    have = "; ".join(sorted({_words(node) for node in there})) or "no node"
    return f"it takes {needs}, and there is {have}"


def _words(amounts: Mapping[str, float]) -> str:
    words = [f"{amounts[name]:g} {name}" for name in ("CPU", "GPU") if amounts.get(name)]
    words += [size(amounts["memory"])] if amounts.get("memory") else []
    return " and ".join(words) or "nothing"
