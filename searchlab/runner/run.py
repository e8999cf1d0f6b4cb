"""Run a new sweep: validate it, write its manifest, and carry it out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from searchlab.backend import unavailable_reason
from searchlab.cluster.address import validate_address
from searchlab.cluster.reachable import require_cluster
from searchlab.cluster.temporary_folder import validate_temporary_folder
from searchlab.data.examples import Examples
from searchlab.data.rare_classes import rare_class_warnings
from searchlab.data.training_rows import TrainingRows
from searchlab.display.python_display import python_display
from searchlab.engine.blob_store import validate_folder, validate_location
from searchlab.engine.memory_limits import default_workers, validate_memory, worker_memory
from searchlab.errors import UserMistake
from searchlab.fusion.trial_check import validate_trials
from searchlab.nn.import_paths import import_path
from searchlab.project import project_root
from searchlab.results.result import Result
from searchlab.runner.outcome import require_winner
from searchlab.runner.pipeline import SweepPipeline
from searchlab.runs.config import RunConfig
from searchlab.runs.events import EventHandler, Message
from searchlab.runs.manifest import SweepManifest, free_name, renamed_text
from searchlab.runs.project_archive import copy_project
from searchlab.runs.sweep_code import hash_code, root_of
from searchlab.runs.urls import validate_storage
from searchlab.runs.workspace import SweepFolder, Workspace
from searchlab.space.domains import Choice
from searchlab.space.own_loop import MISSING, OwnLoop
from searchlab.space.resources import allowed_devices
from searchlab.space.space import Space
from searchlab.space.sweep import Sweep
from searchlab.study.warm_start import load_prior_trials
from searchlab.tables.leakage import disguised_columns
from searchlab.tracking.early_writer import EarlyWriter


def run(
    sweep: Sweep,
    config: RunConfig,
    *,
    spec: Path | None = None,
    display: EventHandler | None = None,
    early: EarlyWriter | None = None,
) -> Result:
    """Search `sweep`, refit and test the winner, record everything, and return the result.

    `spec` is the sweep's file, where it comes from one; `display` handles the events of the run; `early` is the process
    that writes the record, where it was started before. Raises UserMistake for what cannot be done, and WorldFault when
    no cluster answers, both before anything is written. Raises WorldFault also when the run had to stop early; `resume`
    continues it.
    """
    sweep = sweep.with_values(config.values)
    trials = sweep.resolve_trials(config.trials)
    config = _resolved(config, sweep)
    rows = TrainingRows(sweep.data)
    validate_run(sweep, config, rows)
    validate_trials(sweep, rows.load())
    if display:
        for sentence in _warnings(sweep, rows):
            display.handle(Message(sentence))
    workspace = Workspace.at(config.home, config.storage)
    best = load_prior_trials(workspace, config.warm_start, sweep)[0].parameters if config.warm_start else None
    generation = _generation_size(sweep, trials) if config.reproducible else 0
    name = free_name(sweep, workspace, config.name)
    if display and name != (config.name or sweep.name):
        display.handle(Message(renamed_text(sweep.name, name)))
    if config.address:
        spec = keep_project(sweep, spec, workspace.sweep(name))
    manifest = SweepManifest.of(
        sweep,
        name=name,
        trials=trials,
        spec=str(spec.absolute()) if spec else None,
        root=None if spec else str(root_of(sweep)),
        config=config,
        generation=generation,
        initial_points=[dict(best)] if best else [],
        code=hash_code(sweep, spec, workspace.sweep(name).project if config.address else None),
    )
    return SweepPipeline(sweep, manifest, workspace, rows, display, early).run()


def _warnings(sweep: Sweep, rows: TrainingRows) -> list[str]:
    """Return what to consider about the data of a sweep."""
    loaded = rows.load()
    disguised = disguised_columns(loaded) if isinstance(loaded, Examples) else []
    return [f"warning: {text}" for text in (*disguised, *rare_class_warnings(loaded, sweep.validation))]


def run_with_options(sweep: Sweep, options: Mapping[str, Any]) -> Result:
    """Run a sweep with options by name, as `Sweep.run` takes them, and show its progress.

    Raises SearchFailed where no trial could be trained, besides what `run` raises.
    """
    config = RunConfig.of(options)
    with (
        EarlyWriter(config.tracking is not None, config.tracking_uri) as early,
        python_display(sweep.primary_metric, progress=config.progress) as display,
    ):
        result = run(sweep, config, display=display, early=early)
    return require_winner(result, stacklevel=3)  # the line that calls Sweep.run


def validate_run(sweep: Sweep, config: RunConfig, rows: TrainingRows) -> None:
    """Raise UserMistake for what cannot work, and WorldFault where no cluster answers at the address.

    Which devices a cluster has, only the cluster can tell.
    """
    if sweep.training.target is OwnLoop:
        raise UserMistake(MISSING)
    missing = None if config.address else unavailable_reason(allowed_devices(config.device)[-1])
    if missing:
        raise UserMistake(f"device {config.device!r} cannot be used here: {missing}.")
    validate_storage(config.storage)
    validate_address(config.address, config.storage, config.checkpoints)
    if config.ray_dashboard and config.address:
        raise UserMistake("ray_dashboard is for a Ray of this machine: a cluster has a dashboard of its own.")
    if config.engine == "local" and sweep.callbacks:
        raise UserMistake("Ray Tune calls callbacks, and engine='local' does not use it; use engine='auto' or 'tune'.")
    needs_ray = config.engine == "tune" or config.ray_dashboard or bool(sweep.callbacks)
    if needs_ray and not config.address:
        validate_temporary_folder()
    if config.checkpoints:
        validate_location(config.checkpoints)
    if config.warm_start and sweep.grid_points():
        raise UserMistake(f"warm_start teaches a sampler, and {sweep.sampler} tries every point whatever came before.")
    _validate_names(sweep.model)
    validate_memory(sweep, config.device, worker_memory(config, sweep.resources), rows)
    require_cluster(config.address)
    if config.checkpoints and not (config.address or "").startswith("ray://"):  # through it, other machines write them
        validate_folder(config.checkpoints)


def _resolved(config: RunConfig, sweep: Sweep) -> RunConfig:
    """Return the configuration with its defaults that depend on the sweep and the machine."""
    address = None if config.engine == "local" else config.address
    engine, workers = "tune" if address else config.engine, config.workers
    if workers is None and address is None:
        workers = default_workers(sweep.resources)
    return replace(config, engine=engine, address=address, workers=workers)


def keep_project(sweep: Sweep, spec: Path | None, folder: SweepFolder) -> Path | None:
    """Copy the project into the sweep's folder, which is sent to the cluster; return the sweep file in the copy."""
    root = project_root(spec.absolute()) if spec else root_of(sweep)
    copy_project(root, folder.project)
    return folder.project / spec.absolute().relative_to(root) if spec else None


def _generation_size(sweep: Sweep, trials: int) -> int:
    """Return how many trials a reproducible search draws at a time: about a sixth of all, enough for some workers."""
    if sweep.budget.seconds is not None:
        raise UserMistake("a search with a time budget cannot be reproducible: leave out one of the two.")
    return max(4, min(64, trials // 6))


def _validate_names(part: Any) -> None:
    """Raise UserMistake for parts that an artifact cannot name: a search of hours would end without one."""
    if isinstance(part, Space):
        inner: Iterable[Any] = (part.target, *part.arguments.values())
    elif isinstance(part, Choice):
        inner = part.options
    elif isinstance(part, partial):
        inner = (part.func, *part.args, *part.keywords.values())
    else:
        inner = part if isinstance(part, (list, tuple)) else ()
        if callable(part):
            import_path(part)
    for value in inner:
        _validate_names(value)
