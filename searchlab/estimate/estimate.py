"""What a sweep will take, told before it is run: by structure what was measured, and in all what follows from it."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from math import fsum
from pathlib import Path
from typing import Any

import numpy as np

from searchlab.backend import Device
from searchlab.engine.memory_limits import allowance, cores, validate_memory, workers_here
from searchlab.errors import UserMistake
from searchlab.estimate.simulation import Simulation, SimulationConfig, simulate
from searchlab.estimate.structures import Structure, Structures, turns
from searchlab.fusion.groups import Fuse, group_size
from searchlab.pruning.pruner import NoPruning
from searchlab.runs.config import Engine, whole_trials
from searchlab.space.sweep import Sweep

START: Mapping[Engine, float] = {"tune": 6.0, "local": 1.0}  # seconds until the first trial: Ray, the record's store
CROWDED = 1.2  # times as long as at work: what is worth telling
END = 3.0  # seconds of the pictures and the record once the winner has been trained again


@dataclass(frozen=True)
class Estimate:
    """What a search is expected to take: from its first trial to its last with its pruning, and `whole` without.

    `slowed` is by how much other programs lengthened what was measured; it is part of all seconds.
    `start` and `winner` are seconds before and after. Early stopping is not foreseen, nor what a sampler makes of what
    it learns.
    """

    sweep: str
    trials: int
    workers: int
    machine: str
    structures: tuple[Structure, ...]
    search: Simulation
    whole: Simulation
    slowed: float
    start: float
    winner: float
    early_stopping: bool

    @property
    def told(self) -> str:
        """What a person asks first, in two lines."""
        told = f"about {seconds(self.search.seconds)} of searching on {_count(self.workers, 'worker')}"
        told += f", {self.search.epochs:,} epochs"
        if self.search.stopped:
            told += f"; without pruning {seconds(self.whole.seconds)}, {self.whole.epochs:,} epochs"
        told += f"\nbefore it about {seconds(self.start)} for the start, after it {seconds(self.winner)} for the winner"
        told += "; early stopping may end trials sooner" if self.early_stopping else ""
        if self.slowed > CROWDED:
            alone = seconds(self.search.seconds / self.slowed)
            told += f"\nother programs are at work here: with the machine to itself, the search takes about {alone}"
        return told

    def plain(self) -> dict[str, Any]:
        """The same as JSON values."""
        return {
            "sweep": self.sweep,
            "trials": self.trials,
            "workers": self.workers,
            "machine": self.machine,
            "seconds": {"start": self.start, "search": self.search.seconds, "winner": self.winner},
            "slowed": self.slowed,
            "epochs": self.search.epochs,
            "stopped": self.search.stopped,
            "without_pruning": {"search": self.whole.seconds, "epochs": self.whole.epochs},
            "structures": [_plain(structure) for structure in self.structures],
        }


def estimate(
    sweep: Sweep,
    *,
    trials: int | None = None,
    values: Mapping[str, Any] | None = None,
    workers: int | None = None,
    device: Device = "cpu",
    fuse: Fuse = "auto",
    engine: Engine = "tune",
    memory: float | None = None,
) -> Estimate:
    """Measure the structures of `sweep` and tell what `run` with the same arguments will take.

    Raises UserMistake where `run` would, and where no structure can be trained.
    """
    sweep = sweep.with_values(values or {})
    trials = sweep.asked(None if trials is None else whole_trials(trials))
    if workers is not None and workers < 1:
        raise UserMistake(f"--workers is at least 1, got {workers}.")
    workers = (workers or workers_here(sweep.resources)) if engine == "tune" else 1
    limit = allowance(memory, sweep.resources, device, workers, None)
    validate_memory(sweep, device, limit)
    fuse = 1 if sweep.sampler.alone(sweep) else fuse
    points, start_up = turns(sweep, trials), sweep.sampler.start_up
    begun = min(start_up, trials - 1)  # the largest groups come first once it has started up
    most = group_size(fuse, trials=trials, begun=begun, workers=workers, start_up=start_up, alike=points.alike)
    found = Structures(sweep, points, most=most, workers=workers, device=device, memory=limit)
    trained = [kind for point in points.points if (kind := found.of(point).kind)]
    ends = points.ends if len(trained) == len(points.points) else None
    cast = SimulationConfig(
        trained, trials, workers, sweep.validation.folds, found.slowed, workers >= cores(), fuse, start_up, ends,
        sweep.budget,
    )  # fmt: skip
    search, whole = (simulate(cast, pruner) for pruner in (sweep.chosen_pruner, NoPruning()))
    alone = fsum(one.share * one.kind.epochs * one.kind.epoch(1) for one in found.all if one.kind)
    return Estimate(
        sweep.name, trials, workers, _machine(device, workers), found.all, search, whole, found.slowed,
        found.slowed * START[engine], found.slowed * END + alone, sweep.early_stopping is not None,
    )  # fmt: skip


def seconds(number: float) -> str:
    """A span of time for people, as far as it is worth saying: 0.3 s, 35 s, 12 min, 3.4 h."""
    if number < 9.5:
        return f"{number:.1f} s"
    if number < 120:
        return f"{number:.0f} s"
    return f"{number / 60:.0f} min" if number < 5400 else f"{number / 3600:.1f} h"


def _plain(structure: Structure) -> dict[str, Any]:
    kind = structure.kind
    numbers = {"together": kind.together, "epochs": kind.epochs} if kind else {"together": 0, "epochs": 0}
    return {
        "structure": structure.name,
        "share": structure.share,
        "trials_in_a_group": numbers["together"],
        "step_seconds": structure.step,
        "epochs": numbers["epochs"],
        "trial_seconds": structure.seconds,
        "memory": structure.memory,
        "measured": structure.measured,
        "unavailable_reason": structure.unavailable_reason or None,
    }


def _machine(device: Device, workers: int) -> str:
    """What the figures were measured on."""
    model = platform.machine()
    with suppress(OSError, StopIteration, IndexError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
        model = next(line for line in lines if line.startswith("model name")).split(":", 1)[1].strip()
    place = f"{_count(cores(), 'core')} of {model}" + (", on its CUDA device" if device == "cuda" else "")
    return f"{place}, NumPy {np.__version__}, by {_count(workers, 'process')} at once"


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}{'es' if what.endswith('s') else 's'}"
