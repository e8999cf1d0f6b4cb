"""Seats: how many groups each sweep may train at once on a cluster that several share.

Ray has no say in it: it gives what is free to whoever asks first, and a sweep's workers stay until it ends. So each
sweep tells one small actor what it wants, once a second, and hears its share: dominant resource fairness (Ghodsi et al.
2011), where the sweep that has the least of what it uses most gets the next seat.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import ray
from ray.autoscaler.sdk import request_resources

from searchlab.backend import Device
from searchlab.space.resources import Placement, Resources, devices_of

LEASE = 10.0  # seconds after which a sweep that is not heard of any more has left
LOOK = 1.0  # seconds between two looks at the cluster's nodes
HAIR = 1e-9  # shares of a GPU do not add up to a whole one exactly

Node: TypeAlias = Mapping[str, float]  # what a node has in all, in Ray's names and units
Slots: TypeAlias = dict[Device, int]


@dataclass(frozen=True)
class Demand:
    """What a sweep wants: what a group takes on each device it may train on, the preferred first, and how many."""

    needs: tuple[tuple[Device, Mapping[str, float]], ...]
    most: int | None = None  # None: as many as there can be

    @classmethod
    def of(cls, resources: Resources, placement: Placement, most: int | None) -> Demand:
        """The demand of a sweep with these resources, for at most so many groups at once."""
        return cls(tuple((device, resources.on(device)) for device in devices_of(placement)), most)


def shared(nodes: Iterable[Node], demands: Mapping[str, Demand]) -> dict[str, Slots]:
    """How many groups each sweep may train at once on each device, when these sweeps share these nodes.

    One seat after the other goes to the sweep whose dominant share, of what there is in all, is the smallest, and of
    equals to the first by name; each seat lies on one node.
    """
    free = [dict(node) for node in nodes]
    total: dict[str, float] = {}
    for node in free:
        for name, amount in node.items():
            total[name] = total.get(name, 0.0) + amount
    given: dict[str, Slots] = {name: {} for name in demands}
    dominant = dict.fromkeys(demands, 0.0)
    taken = {name: dict[str, float]() for name in demands}
    hungry = {name for name, demand in demands.items() if demand.most is None or demand.most > 0}
    while hungry:
        name = min(hungry, key=lambda one: (dominant[one], one))
        found = _place(free, demands[name].needs)
        if found is None:
            hungry.remove(name)
            continue
        device, need = found
        given[name][device] = given[name].get(device, 0) + 1
        for resource, amount in need.items():
            taken[name][resource] = taken[name].get(resource, 0.0) + amount
        dominant[name] = max(taken[name][resource] / total[resource] for resource in taken[name])
        if sum(given[name].values()) == demands[name].most:
            hungry.remove(name)
    return given


def _place(
    free: list[dict[str, float]], needs: Sequence[tuple[Device, Mapping[str, float]]]
) -> tuple[Device, Mapping[str, float]] | None:
    """Take one group's needs from the first node that has them; the device it was placed on, None where nowhere.

    What needs no GPU goes to nodes without one first: their cores are what the GPUs are used by.
    """
    for device, need in needs:
        for node in free if "GPU" in need else sorted(free, key=lambda node: node.get("GPU", 0.0)):
            if all(node.get(name, 0.0) + HAIR >= amount for name, amount in need.items()):
                for name, amount in need.items():
                    node[name] -= amount
                return device, need
    return None


def wished(demands: Mapping[str, Demand], given: Mapping[str, Slots]) -> list[Node]:
    """What to ask of a cluster that can grow: for each sweep the seats that it has and as many again, up to its most.

    Shifts begin on seats alone, so nothing else would tell an autoscaler that more nodes were of use.
    """
    wishes: list[Node] = []
    for name, demand in demands.items():
        count = max(1, 2 * sum(given[name].values()))
        _, need = demand.needs[0]
        wishes += [need] * (count if demand.most is None else min(count, demand.most))
    return wishes


class Allocator:
    """Who shares a cluster: an actor, one for all sweeps. Whoever is silent for longer than a lease has left."""

    def __init__(self) -> None:
        self._demands: dict[str, tuple[Demand, float]] = {}
        self._nodes: list[Node] = []
        self._looked = float("-inf")
        self._shared: tuple[object, dict[str, Slots]] = (None, {})
        self._wished: list[Node] = []

    def ask(self, sweep: str, demand: Demand) -> Slots:
        """Hear what a sweep wants, and say how many groups it may train at once on each device."""
        now = time.monotonic()
        self._demands[sweep] = demand, now
        self._demands = {name: held for name, held in self._demands.items() if now - held[1] < LEASE}
        if now - self._looked > LOOK:
            self._nodes, self._looked = nodes(), now
        demands = {name: held[0] for name, held in self._demands.items()}
        if self._shared[0] != (demands, self._nodes):
            self._shared = (demands, self._nodes), shared(self._nodes, demands)
            self._wish(wished(demands, self._shared[1]))
        return self._shared[1][sweep]

    def leave(self, sweep: str) -> None:
        """A sweep has ended."""
        self._demands.pop(sweep, None)
        if not self._demands:
            self._wish([])

    def _wish(self, bundles: list[Node]) -> None:
        """Ask the autoscaler, where there is one, for room for these groups."""
        if bundles != self._wished:
            request_resources(bundles=[dict(bundle) for bundle in bundles])
            self._wished = bundles


def nodes() -> list[Node]:
    """What each living node of the cluster has in all."""
    alive: list[Node] = [node["Resources"] for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]
    return alive
