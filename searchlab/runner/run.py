"""The whole course of a sweep: search, choose, record, in one call; and the same again for what was interrupted."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from searchlab import artifact
from searchlab.backend import unavailable_reason
from searchlab.cluster.address import validate_address
from searchlab.engine.blob_store import validate_location
from searchlab.engine.memory_limits import allowance, allowed, validate_memory, workers_here
from searchlab.errors import UserMistake
from searchlab.fusion.groups import Fuse
from searchlab.project import root_of
from searchlab.results.result import Result
from searchlab.runner.pipeline import SweepPipeline, Watcher
from searchlab.runs.config import Engine, RunConfig, free_name, sweep_file, whole_trials
from searchlab.runs.project_archive import keep
from searchlab.runs.urls import with_password_of
from searchlab.runs.workspace import SweepFolder, Workspace
from searchlab.space import loader
from searchlab.space.domains import Choice
from searchlab.space.resources import Placement, devices_of
from searchlab.space.space import Space
from searchlab.space.sweep import Sweep
from searchlab.study.warm_start import prior_trials_of


def run(
    sweep: Sweep,
    *,
    name: str | None = None,
    trials: int | None = None,
    values: Mapping[str, Any] | None = None,
    seed: int = 0,
    workers: int | None = None,
    device: Placement = "cpu",
    fuse: Fuse = "auto",
    engine: Engine = "tune",
    address: str | None = None,
    home: str | os.PathLike[str] = ".searchlab",
    tracking_uri: str | None = None,
    storage: str | None = None,
    checkpoints: str | None = None,
    ship_data: bool = False,
    memory: float | None = None,
    reproducible: bool = False,
    warm_start: str | None = None,
    spec: Path | None = None,
    watcher: Watcher | None = None,
) -> Result:
    """Search `sweep`, refit and test the winner, record it all, and return what came out.

    `values` fixes arguments by path, as --set does. `trials` counts instead of the sweep's own; of a grid, the first so
    many combinations are tried. `workers` are processes, one per core (of a cluster, as many as it has) unless told
    otherwise, and `memory` is what each may take, in GB, its share of what is free unless told otherwise. `address` is
    a Ray cluster's; there, `checkpoints` is a folder that every node sees or the URL of a store, and with `ship_data`
    the training rows are sent to the nodes. `reproducible` gives the same trials and scores with any number of workers;
    `warm_start` names an earlier sweep of this home whose trials the sampler learns from.
    Raises UserMistake for what cannot be done, before anything is written, and WorldFault when it had to stop early;
    `resume` then goes on.
    """
    sweep = sweep.with_values(values or {})
    trials = sweep.asked(None if trials is None else whole_trials(trials))
    address = address if engine == "tune" else None
    _check(sweep, device, workers, fuse, address)
    validate_address(address, storage, checkpoints)
    if checkpoints:
        validate_location(checkpoints)
    if workers is None and address is None:
        workers = workers_here(sweep.resources)
    limit = allowance(memory, sweep.resources, device, workers if engine == "tune" else 1, address)
    validate_memory(sweep, device, limit)
    place = Workspace.at(home, storage)
    if warm_start and sweep.plan():
        raise UserMistake(
            f"--warm-start teaches a sampler, and {sweep.sampler} tries every point whatever came before."
        )
    best = prior_trials_of(place, warm_start, sweep)[0][0] if warm_start else None
    name = free_name(sweep, place, name)
    if address:
        spec = _kept(spec, place.sweep(name))
    order = RunConfig(
        name, trials, sweep.fingerprint(), sweep.describe(), str(spec.absolute()) if spec else None, dict(values or {}),
        seed, workers, device, fuse, engine, address, tracking_uri, storage, memory,
        _generation(sweep, trials) if reproducible else 0, warm_start, [dict(best)] if best else [],
        {metric.name: metric.goal for metric in sweep.metrics}, checkpoints, ship_data,
    )  # fmt: skip
    return SweepPipeline(sweep, order, place, watcher).run()


def resume(
    name: str,
    *,
    home: str | os.PathLike[str] = ".searchlab",
    trials: int | None = None,
    seconds: float | None = None,
    address: str | None = None,
    storage: str | None = None,
    tracking_uri: str | None = None,
    sweep: Sweep | None = None,
    watcher: Watcher | None = None,
) -> Result:
    """Go on with a sweep that was interrupted, or extend a finished one to more trials, or to more seconds in all.

    Finished trials stand, unfinished ones go on from their last checkpoint. `address` is where its cluster is now;
    `storage` and `tracking_uri` give the passwords of its database and its record. `sweep` is needed only for one begun
    from Python. Raises UserMistake when the sweep file no longer means the same sweep.
    """
    place = Workspace.at(home, storage)
    folder = place.sweep(name)
    order = RunConfig.of(folder)
    if sweep is None:
        sweep = loader.load(sweep_file(order)).sweep
    if seconds is not None:
        order = replace(order, values={**order.values, "budget.seconds": seconds})
    sweep = sweep.with_values(order.values)
    if sweep.fingerprint() != order.fingerprint:
        raise UserMistake(
            f"{name!r} was begun with another space than {order.spec or 'this sweep'} has now; "
            "put the old one back to go on, or run the new one under another name."
        )
    if trials is not None and whole_trials(trials) < order.trials:
        raise UserMistake(f"{name!r} was asked for {order.trials} trials; it can be extended, not cut to {trials}.")
    if address and order.address:  # a sweep of this machine stays here, whatever the environment says
        order = replace(order, address=address)
    if order.tracking_uri:
        order = replace(order, tracking_uri=with_password_of(order.tracking_uri, tracking_uri))
    order = replace(order, trials=sweep.asked(trials or order.trials))
    _check(sweep, order.device, order.workers, order.fuse, order.address)
    workers = order.workers if order.engine == "tune" else 1
    validate_memory(sweep, order.device, allowance(order.memory, sweep.resources, order.device, workers, order.address))
    return SweepPipeline(sweep, order, place, watcher).run()


def _kept(spec: Path | None, folder: SweepFolder) -> Path | None:
    """The sweep file within a copy of its project, which goes to the cluster and stays with the sweep."""
    root = root_of(spec.absolute()) if spec else Path.cwd()
    keep(root, folder.project)
    return folder.project / spec.absolute().relative_to(root) if spec else None


def _check(sweep: Sweep, device: Placement, workers: int | None, fuse: Fuse, address: str | None) -> None:
    """Refuse what cannot work, before anything is written. What devices a cluster has, only the cluster can tell."""
    missing = None if address else unavailable_reason(devices_of(device)[-1])
    if missing:
        raise UserMistake(f"device {device!r} cannot be used here: {missing}.")
    refuse_options(None, workers, fuse, None)
    _check_names(sweep.model)


def refuse_options(trials: int | None, workers: int | None, fuse: Fuse, memory: float | None) -> None:
    """Raises UserMistake for numbers that make no sense, whatever the sweep."""
    if trials is not None:
        whole_trials(trials)
    if workers is not None and workers < 1:
        raise UserMistake(f"--workers is at least 1, got {workers}.")
    if fuse != "auto" and fuse < 1:
        raise UserMistake(f"--fuse is 'auto' or a number of at least 1, got {fuse}.")
    if memory is not None:
        allowed(memory)


def _generation(sweep: Sweep, trials: int) -> int:
    """How many trials a reproducible search draws at once: a tenth to a fifth of all, and enough for some workers."""
    if sweep.budget.seconds is not None:
        raise UserMistake("a search that ends by the clock cannot be reproducible: leave out one of the two.")
    return max(4, min(64, trials // 6))


def _check_names(part: Any) -> None:
    """Refuse what an artifact cannot name: a search of hours would end without one."""
    if isinstance(part, Space):
        held: Iterable[Any] = (part.target, *part.arguments.values())
    elif isinstance(part, Choice):
        held = part.options
    elif isinstance(part, partial):
        held = (part.func, *part.args, *part.keywords.values())
    else:
        held = part if isinstance(part, (list, tuple)) else ()
        if callable(part):
            artifact.import_path(part)
    for one in held:
        _check_names(one)
