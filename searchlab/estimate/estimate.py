"""The estimate of what a sweep takes: measurements by structure, and a simulation of the search."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from math import fsum
from pathlib import Path
from typing import Any

import numpy as np

from searchlab.backend import Device
from searchlab.data.splits import fold_count
from searchlab.data.training_rows import TrainingRows
from searchlab.engine.memory_limits import available_cores, default_workers, validate_memory, worker_memory
from searchlab.errors import UserMistake
from searchlab.estimate.engine_simulation import START_SECONDS, simulate_engine
from searchlab.estimate.point_sample import PointSample, sample_points
from searchlab.estimate.simulation import SimulationConfig, SimulationResult
from searchlab.estimate.structures import Structure, StructureEstimates
from searchlab.fusion.groups import FuseOption, group_size
from searchlab.fusion.trial_check import validate_trials
from searchlab.pruning.pruner import NoPruning
from searchlab.runs.config import EngineName, RunConfig
from searchlab.space.sweep import Sweep

FINISH_SECONDS = 3.0  # of figures and recording, once the winner is refitted


@dataclass(frozen=True)
class Estimate:
    """What a search is expected to take.

    All seconds include the slowdown by other programs. Early stopping, and what the sampler learns, are not predicted.

    Attributes:
        sweep: Name of the sweep.
        trials: Number of trials.
        workers: Number of workers that train at the end of the search.
        machine: The machine that was measured.
        structures: The structures of the space, the most frequent first.
        search: The search from its first trial to its last, with its pruner.
        unpruned_search: The same without pruning.
        slowdown: Factor by which other programs slowed down the measurement.
        start_seconds: Seconds before the first trial.
        finalist_seconds: Seconds after the last trial, for running the best ones again with fresh seeds.
        winner_seconds: Seconds after that, for refitting the winner.
        has_early_stopping: Whether trials may end earlier by early stopping.
    """

    sweep: str
    trials: int
    workers: int
    machine: str
    structures: tuple[Structure, ...]
    search: SimulationResult
    unpruned_search: SimulationResult
    slowdown: float
    start_seconds: float
    finalist_seconds: float
    winner_seconds: float
    has_early_stopping: bool

    def to_json(self) -> dict[str, Any]:
        """Return the estimate as JSON values."""
        seconds = {"start": self.start_seconds, "search": self.search.seconds}
        seconds |= {"finalists": self.finalist_seconds, "winner": self.winner_seconds}
        unpruned = self.unpruned_search
        return {
            "sweep": self.sweep,
            "trials": self.trials,
            "workers": self.workers,
            "machine": self.machine,
            "seconds": seconds,
            "slowdown": self.slowdown,
            "epochs": self.search.epochs,
            "pruned": self.search.pruned,
            "without_pruning": {"search": unpruned.seconds, "epochs": unpruned.epochs},
            "structures": [_structure_json(structure) for structure in self.structures],
        }


def estimate(sweep: Sweep, config: RunConfig) -> Estimate:
    """Measure the structures of a sweep, and predict what a run with this configuration takes on this machine.

    Raises:
        UserMistake: When the run would raise it, no structure can be trained, or the device is "either".
    """
    sweep = sweep.with_values(config.values)
    trials, device = sweep.resolve_trials(config.trials), config.device
    if device == "either":
        raise UserMistake("a plan is for one device, got device 'either'; use 'cpu' or 'cuda'.")
    config = replace(config, workers=config.workers or default_workers(sweep.resources), address=None)
    workers = config.processes or 1
    memory_limit = worker_memory(config, sweep.resources)
    rows = TrainingRows(sweep.data)
    validate_memory(sweep, device, memory_limit, rows)
    validate_trials(sweep, rows.load())
    fuse: FuseOption = 1 if sweep.sampler.one_trial_per_group(sweep) else config.fuse
    sample = sample_points(sweep, trials)
    estimates = StructureEstimates(
        sweep,
        sample,
        max_trials=_largest_group(sweep, sample, trials=trials, workers=workers, fuse=fuse),
        workers=workers,
        device=device,
        memory_limit=memory_limit,
    )
    simulation = _simulation_config(sweep, sample, estimates, trials=trials, workers=workers, fuse=fuse)
    engine: EngineName = "tune" if config.engine == "auto" and device != "cpu" else config.engine
    last_workers, search = simulate_engine(engine, simulation, sweep.effective_pruner)
    structures = estimates.by_frequency
    mean_trial_seconds = fsum(
        structure.share * structure.kind.epochs * structure.kind.epoch_seconds(1)
        for structure in structures
        if structure.kind
    )
    return Estimate(
        sweep=sweep.name,
        trials=trials,
        workers=last_workers,
        machine=_machine_text(device, workers),
        structures=structures,
        search=search,
        unpruned_search=simulate_engine(engine, simulation, NoPruning())[1],
        slowdown=estimates.slowdown,
        start_seconds=estimates.slowdown * START_SECONDS[engine],
        finalist_seconds=_finalist_seconds(sweep, structures, trials=trials, workers=workers),
        winner_seconds=estimates.slowdown * FINISH_SECONDS + mean_trial_seconds,
        has_early_stopping=sweep.early_stopping is not None,
    )


def _finalist_seconds(sweep: Sweep, structures: Sequence[Structure], *, trials: int, workers: int) -> float:
    """Return the seconds of all finalists, of the mean structure, each with its seeds side by side."""
    finalists, seeds = min(sweep.winner.finalists, trials), sweep.winner.seeds
    if finalists < 2:
        return 0.0
    mean = fsum(s.share * s.kind.epochs * s.kind.epoch_seconds(seeds) for s in structures if s.kind)
    return -(-finalists // workers) * mean


def _largest_group(sweep: Sweep, sample: PointSample, *, trials: int, workers: int, fuse: FuseOption) -> int:
    """Return the size of the largest group: groups are largest right after the startup trials."""
    startup_trials = sweep.sampler.startup_trials
    return group_size(
        fuse,
        trials=trials,
        started=min(startup_trials, trials - 1),
        workers=workers,
        startup_trials=startup_trials,
        same_structure=sample.longest_structure_run,
    )


def _simulation_config(
    sweep: Sweep, sample: PointSample, estimates: StructureEstimates, *, trials: int, workers: int, fuse: FuseOption
) -> SimulationConfig:
    """Return the search to simulate, with the trials of the sample that can train."""
    kinds = [kind for point in sample.points if (kind := estimates.for_point(point).kind)]
    return SimulationConfig(
        kinds,
        trials=trials,
        workers=workers,
        folds=fold_count(sweep.validation),
        slowdown=estimates.slowdown,
        cores_are_busy=workers >= available_cores(),
        fuse=fuse,
        startup_trials=sweep.sampler.startup_trials,
        structure_ends=sample.structure_ends if len(kinds) == len(sample.points) else None,
        budget=sweep.budget,
    )


def _structure_json(structure: Structure) -> dict[str, Any]:
    kind = structure.kind
    return {
        "structure": structure.name,
        "share": structure.share,
        "trials_per_group": kind.group_size if kind else 0,
        "step_seconds": structure.step_seconds,
        "epochs": kind.epochs if kind else 0,
        "trial_seconds": structure.trial_seconds,
        "memory_bytes": structure.memory_bytes,
        "measured": structure.is_measured,
        "unavailable_reason": structure.unavailable_reason or None,
    }


def _machine_text(device: Device, workers: int) -> str:
    """Return what the estimate was measured on."""
    model = platform.machine()
    with suppress(OSError, StopIteration, IndexError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
        model = next(line for line in lines if line.startswith("model name")).split(":", 1)[1].strip()
    hardware = f"{_count(available_cores(), 'core')} of {model}" + (", on its CUDA device" if device == "cuda" else "")
    return f"{hardware}, NumPy {np.__version__}, by {_count(workers, 'process')} at once"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}{'es' if noun.endswith('s') else 's'}"
