"""What an engine is handed, a sweep, how much of it, on what, and where its truth is kept; and what it brings back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from searchlab.backend import Device
from searchlab.service.records import TrialRecord
from searchlab.sweep.domains import Scalar
from searchlab.sweep.groups import Fuse
from searchlab.sweep.sweep import Sweep

Known: TypeAlias = tuple[Mapping[str, Scalar], Sequence[float]]  # a trial's parameters by path and its values


@dataclass(frozen=True)
class Job:
    """A sweep to be carried out by an engine.

    `storage` is the path of the study's embedded journal or the URL of a database. `root` is the project's folder,
    put on the workers' path so that they can import its models. `address` is that of a Ray cluster; None starts one.
    `memory` is what a worker may take for the data and its group, in bytes; None where that is not known beforehand.
    `generation` makes the search reproducible: so many trials are drawn at once and know of those before alone; 0 draws
    as workers ask. `known` are trials of an earlier sweep, for the sampler to learn from, and `first` configurations to
    try before all others.
    """

    sweep: Sweep
    name: str
    storage: Path | str
    checkpoints: Path
    trials: int
    seed: int = 0
    fuse: Fuse = "auto"
    workers: int = 1
    device: Device = "cpu"
    address: str | None = None
    root: Path | None = None
    memory: int | None = None
    generation: int = 0
    known: Sequence[Known] = ()
    first: Sequence[Mapping[str, Scalar]] = ()


@dataclass(frozen=True)
class Found:
    """What an engine brings back: every trial of the study, and why it came back before all had ended, if it did.

    `over` is the budget's reason; `paused` says that it was told to stop, and that trials are left open.
    """

    trials: list[TrialRecord]
    over: str | None = None
    paused: bool = False
