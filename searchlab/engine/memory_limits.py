"""How much memory a worker may take, and whether a sweep fits into it at all."""

from __future__ import annotations

import os
from contextlib import suppress

from searchlab.backend import Device, free_memory, total_memory
from searchlab.data.training_rows import TrainingRows
from searchlab.engine.refit import available_device
from searchlab.errors import UserMistake
from searchlab.fusion.corner_points import corner_point
from searchlab.fusion.memory import MemoryModel
from searchlab.machine import available_memory
from searchlab.runs.config import RunConfig
from searchlab.space.resources import DeviceOption, Resources, allowed_devices
from searchlab.space.sweep import Sweep

# fraction of the memory that groups may take; the rest is for the processes, the record, and allocator overhead
USABLE_FRACTION = 0.8


def available_cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def default_workers(resources: Resources) -> int:
    """Return the number of workers that this machine has cores for."""
    return max(1, int(available_cores() / resources.cpus))


def worker_memory(config: RunConfig, resources: Resources) -> int | None:
    """Return the bytes that each worker may take: the configuration's `memory`, or what the sweep's resources say.

    None where each worker finds out by itself, as on a cluster.
    """
    if config.memory is not None:
        return int(config.memory * 1e9)
    if resources.memory_bytes is not None or config.address or config.processes is None or config.device == "either":
        return resources.memory_bytes
    return memory_per_worker(available_device(config.device), config.processes, resources.gpus)


def memory_per_worker(device: Device, workers: int, gpus: float = 1.0) -> int | None:
    """Return the bytes that each of this many workers may take of what is free on this machine; None if unknown.

    A worker on a GPU has it to itself, unless `gpus` is a fraction of one.
    """
    if device == "cuda":
        free, total = free_memory(), total_memory()
        return int(USABLE_FRACTION * min(free, total * min(gpus, 1.0)))
    available = available_memory()
    return None if available is None else int(USABLE_FRACTION * available / workers)


def cluster_worker_memory(device: Device, resources: Resources) -> int:
    """Return the bytes that a worker may take on this node of a cluster, when workers use all of the node's cores.

    The node's total memory counts, not what is free now, because other sweeps' workers come and go.
    """
    if device == "cuda":
        return int(USABLE_FRACTION * total_memory() * min(resources.gpus, 1.0))
    import ray  # here, because this machine's memory is read without a cluster too

    node_id, nodes = ray.get_runtime_context().get_node_id(), ray.nodes()  # type: ignore[no-untyped-call]
    total: dict[str, float] = next(node["Resources"] for node in nodes if node["NodeID"] == node_id)
    return int(USABLE_FRACTION * total["memory"] / max(1, int(total.get("CPU", 1.0) / resources.cpus)))


def validate_memory(sweep: Sweep, placement: DeviceOption, limit: int | None, rows: TrainingRows) -> None:
    """Raise UserMistake when not even one trial of the smallest structure fits, or the data cannot be split.

    Errors that the space's own parts raise concern no memory, and are left for the search to report.
    """
    model, shortage = MemoryModel(sweep, rows.load(), allowed_devices(placement)[-1]), None
    with suppress(Exception):  # in a network's own code
        shortage = None if limit is None else _shortage(sweep, model, limit)
    if shortage:
        raise UserMistake(f"{shortage}; use fewer workers, so that each has more memory, or set --memory.")


def _shortage(sweep: Sweep, model: MemoryModel, limit: int) -> str | None:
    """Return why not even one trial of the smallest structure fits; None if one does."""
    point = corner_point(sweep, largest=False)
    if model.max_trials([point], limit):
        return None
    point = corner_point(sweep, largest=False, cost=lambda parameters: model.measure(parameters).replica_bytes)
    return None if model.max_trials([point], limit) else model.shortage_message(point, limit)
