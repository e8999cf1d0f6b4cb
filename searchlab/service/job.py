"""What an engine is handed: a sweep, how much of it, on what, and where its truth is kept."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from searchlab.backend import Device
from searchlab.sweep.groups import Fuse
from searchlab.sweep.sweep import Sweep


@dataclass(frozen=True)
class Job:
    """A sweep to be carried out by an engine.

    `storage` is the path of the study's embedded journal or the URL of a database. `root` is the project's folder,
    put on the workers' path so that they can import its models. `address` is that of a Ray cluster; None starts one.
    `memory` is what a worker may take for the data and its group, in bytes; None where that is not known beforehand.
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
