"""Slots: how many groups each sweep may train at the same time on a cluster that several sweeps share.

Ray does not share a cluster fairly: it gives free resources to whoever asks first, and a sweep's workers stay until the
sweep ends. So each sweep reports its demand to a small actor once a second and gets its share by dominant resource
fairness (Ghodsi et al. 2011): the next slot goes to the sweep with the smallest share of the resource it uses most.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import ray
from ray.autoscaler.sdk import request_resources

from searchlab.backend import Device
from searchlab.space.resources import DeviceOption, Resources, allowed_devices

LEASE_SECONDS = 10.0  # a sweep that has not reported its demand for so long has left
REFRESH_SECONDS = 1.0  # between two reports of a demand, and between two reads of the cluster's nodes
TOLERANCE = 1e-9  # fractions of a GPU do not add up to exactly one

NodeResources: TypeAlias = Mapping[str, float]  # all that a node has, in Ray's names and units
Slots: TypeAlias = dict[Device, int]  # groups that may train at the same time, by device


@dataclass(frozen=True)
class Demand:
    """What a sweep asks of a cluster.

    Attributes:
        needs: The resources that a group needs on each device it may train on, the preferred device first.
        max_groups: The number of groups that can train at the same time; None for as many as there is room for.
    """

    needs: tuple[tuple[Device, NodeResources], ...]
    max_groups: int | None = None

    @classmethod
    def of(cls, resources: Resources, placement: DeviceOption, max_groups: int | None) -> Demand:
        """Return the demand of a sweep with these resources, for at most so many groups at the same time."""
        return cls(
            tuple((device, resources.ray_resources(device)) for device in allowed_devices(placement)), max_groups
        )

    def is_met_by(self, slots: Slots) -> bool:
        """Return whether the sweep has no use for more slots than these."""
        return self.max_groups is not None and sum(slots.values()) >= self.max_groups


def fair_slots(nodes: Iterable[NodeResources], demands: Mapping[str, Demand]) -> dict[str, Slots]:
    """Return the slots of each sweep, by name, when these sweeps share these nodes.

    One slot after the other goes to the sweep with the smallest dominant share, which is its largest share of any
    resource of the whole cluster; of equal sweeps to the first by name. Each slot lies on one node.
    """
    free = [dict(node) for node in nodes]
    totals: dict[str, float] = {}
    for node in free:
        _add(totals, node)
    slots: dict[str, Slots] = {name: {} for name in demands}
    used = {name: dict[str, float]() for name in demands}
    dominant_share = dict.fromkeys(demands, 0.0)
    unmet = {name for name, demand in demands.items() if not demand.is_met_by({})}
    while unmet:
        name = min(unmet, key=lambda candidate: (dominant_share[candidate], candidate))
        placed = _place_group(free, demands[name].needs)
        if placed is None:
            unmet.remove(name)
            continue
        device, need = placed
        slots[name][device] = slots[name].get(device, 0) + 1
        _add(used[name], need)
        dominant_share[name] = max(used[name][resource] / totals[resource] for resource in used[name])
        if demands[name].is_met_by(slots[name]):
            unmet.remove(name)
    return slots


def bundles_to_request(demands: Mapping[str, Demand], slots: Mapping[str, Slots]) -> list[NodeResources]:
    """Return the bundles to request from an autoscaler: twice the slots of each sweep, up to what it can use.

    Workers start on slots alone, so nothing else would tell an autoscaler that more nodes are of use.
    """
    bundles: list[NodeResources] = []
    for name, demand in demands.items():
        count = max(1, 2 * sum(slots[name].values()))
        _, need = demand.needs[0]
        bundles += [need] * (count if demand.max_groups is None else min(count, demand.max_groups))
    return bundles


class Allocator:
    """An actor that shares a cluster, one for all sweeps. A sweep that is silent for longer than a lease has left."""

    def __init__(self) -> None:
        self._demands: dict[str, tuple[Demand, float]] = {}  # by sweep, with when it was reported
        self._nodes: list[NodeResources] = []
        self._nodes_read = float("-inf")  # when
        self._shared: tuple[object, dict[str, Slots]] = (None, {})  # the latest slots, and what they were computed from
        self._requested: list[NodeResources] = []

    def allocate(self, sweep: str, demand: Demand) -> Slots:
        """Take in the demand of a sweep, and return its slots."""
        now = time.monotonic()
        self._demands[sweep] = demand, now
        self._demands = {
            name: (latest, time_) for name, (latest, time_) in self._demands.items() if now - time_ < LEASE_SECONDS
        }
        if now - self._nodes_read > REFRESH_SECONDS:
            self._nodes, self._nodes_read = node_resources(), now
        demands = {name: latest for name, (latest, _) in self._demands.items()}
        if self._shared[0] != (demands, self._nodes):
            self._shared = (demands, self._nodes), fair_slots(self._nodes, demands)
            self._request(bundles_to_request(demands, self._shared[1]))
        return self._shared[1][sweep]

    def release(self, sweep: str) -> None:
        """Give the slots of a sweep that has ended to the others."""
        self._demands.pop(sweep, None)
        if not self._demands:
            self._request([])

    def _request(self, bundles: list[NodeResources]) -> None:
        """Ask the autoscaler, where there is one, for room for these groups."""
        if bundles != self._requested:
            request_resources(bundles=[dict(bundle) for bundle in bundles])
            self._requested = bundles


def node_resources() -> list[NodeResources]:
    """Return all that each living node of the cluster has."""
    alive: list[NodeResources] = [node["Resources"] for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]
    return alive


def _place_group(
    free: list[dict[str, float]], needs: Sequence[tuple[Device, NodeResources]]
) -> tuple[Device, NodeResources] | None:
    """Take the needs of one group from the first node that has them, and return them; None where no node has.

    Groups that need no GPU go to nodes without one first, because GPUs need the cores beside them.
    """
    for device, need in needs:
        for node in free if "GPU" in need else sorted(free, key=lambda node: node.get("GPU", 0.0)):
            if all(node.get(resource, 0.0) + TOLERANCE >= amount for resource, amount in need.items()):
                _add(node, need, sign=-1.0)
                return device, need
    return None


def _add(resources: dict[str, float], more: NodeResources, sign: float = 1.0) -> None:
    for resource, amount in more.items():
        resources[resource] = resources.get(resource, 0.0) + sign * amount
