"""How much memory a worker may take on this machine, and whether a sweep fits into it at all."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from searchlab.backend import Device, free_memory, total_memory
from searchlab.engine.refit import device_here
from searchlab.errors import UserMistake
from searchlab.fusion.corner_points import extreme
from searchlab.fusion.memory import Needs
from searchlab.space.resources import Placement, Resources, devices_of
from searchlab.space.sweep import Sweep

SHARE = 0.8  # of what is free: the rest is for the processes themselves, the record, and what an allocator loses
MEMINFO, GROUP = Path("/proc/meminfo"), Path("/sys/fs/cgroup")


def cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def allowance(
    memory: float | None, resources: Resources, placement: Placement, workers: int | None, address: str | None
) -> int | None:
    """Bytes that each worker may take: `memory` GB if given, or what the sweep's resources say.

    None where each worker is to say, as on a cluster. Raises UserMistake for less than nothing.
    """
    if memory is not None:
        return allowed(memory)
    if resources.bytes is not None or address or workers is None or placement == "either":
        return resources.bytes
    return share(device_here(placement), workers, resources.gpus)


def allowed(memory: float) -> int:
    """Bytes of so many GB; raises UserMistake for no such amount."""
    if not 0.0 < memory < float("inf"):
        raise UserMistake(f"--memory is a number of GB above 0, got {memory}.")
    return int(memory * 1e9)


def share(device: Device, workers: int, gpus: float = 1.0) -> int | None:
    """Bytes that each of so many workers may take here; None where the machine does not say what is free.

    A worker on a GPU has it to itself, unless `gpus` says that others share it.
    """
    if device == "cuda":
        free, total = free_memory(), total_memory()
        return int(SHARE * min(free, total * min(gpus, 1.0)))
    free_here = available()
    return None if free_here is None else int(SHARE * free_here / workers)


def node_share(device: Device, resources: Resources) -> int:
    """Bytes that a worker of a cluster may take: of all this node has, as many workers as it has cores for.

    Not of what is free at the moment: others' workers come and go.
    """
    if device == "cuda":
        return int(SHARE * total_memory() * min(resources.gpus, 1.0))
    import ray  # here alone: whoever reads the memory of this machine needs no cluster

    here, nodes = ray.get_runtime_context().get_node_id(), ray.nodes()  # type: ignore[no-untyped-call]
    node: dict[str, float] = next(one["Resources"] for one in nodes if one["NodeID"] == here)
    return int(SHARE * node["memory"] / max(1, int(node.get("CPU", 1.0) / resources.cpus)))


def workers_here(resources: Resources) -> int:
    """Workers that this machine has cores for."""
    return max(1, int(cores() / resources.cpus))


def available() -> int | None:
    """Bytes of this machine that are free or can be had at once, or of the container that it is; None if unknown."""
    machine = _field(MEMINFO, "MemAvailable:")
    container = _container()
    known = [bytes_ for bytes_ in (machine and machine * 1024, container) if bytes_ is not None]
    return min(known) if known else None


def validate_memory(sweep: Sweep, placement: Placement, limit: int | None) -> None:
    """Raises UserMistake when not even one trial of the smallest structure fits, or the data cannot be split.

    What the space's own parts refuse is no matter of memory, and is left to the search to tell.
    """
    needs, told = Needs(sweep, sweep.data.training(), devices_of(placement)[-1]), None
    with suppress(Exception):  # in a model's own code
        told = None if limit is None else _too_large(sweep, needs, limit)
    if told:
        raise UserMistake(f"{told}; fewer workers would leave each of them more, and --memory says how much.")


def _too_large(sweep: Sweep, needs: Needs, limit: int) -> str | None:
    """Why not one trial of the smallest structure fits; None if one does."""
    point = extreme(sweep, largest=False)
    if needs.most([point], limit):
        return None
    point = extreme(sweep, largest=False, weigh=lambda one: needs.of(one).replica)
    return None if needs.most([point], limit) else needs.told(point, limit)


def _container() -> int | None:
    """Bytes that the container's limit leaves; the pages it only keeps of files count as free."""
    with suppress(OSError, ValueError):
        most = int((GROUP / "memory.max").read_text())  # "max" where there is no limit
        used = int((GROUP / "memory.current").read_text()) - (_field(GROUP / "memory.stat", "inactive_file") or 0)
        return max(0, most - used)
    return None


def _field(path: Path, name: str) -> int | None:
    with suppress(OSError, ValueError, IndexError):
        for line in path.read_text().splitlines():
            words = line.split()
            if words and words[0] == name:
                return int(words[1])
    return None
