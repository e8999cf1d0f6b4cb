"""What an engine is handed, a sweep, how much of it, on what, and where its truth is kept; and what it brings back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

from searchlab.fusion.groups import Fuse
from searchlab.runs.trials import TrialRecord
from searchlab.space.domains import Scalar
from searchlab.space.resources import Placement
from searchlab.space.sweep import Sweep

PriorTrial: TypeAlias = tuple[Mapping[str, Scalar], Sequence[float]]  # a trial's parameters by path and its values


@dataclass(frozen=True)
class Job:
    """A sweep to be carried out by an engine.

    `storage` is the path of the study's embedded journal or the URL of a database, `lock` the file that its owner
    locks, `id` what tells its study from another's of the same name in that database, `checkpoints` a folder that every
    worker sees or the URL of a store. `root` is the project's folder, put on the workers' path so that they can import
    its models. `address` is that of a Ray cluster; None starts one.
    `workers` is how many train at once; None for as many as the cluster has. `memory` is what a worker may take for
    the data and its group, in bytes; None where only its machine can tell. With `ship_data` the workers get the
    training rows from the driver instead of reading them.
    `generation` makes the search reproducible: so many trials are drawn at once and know of those before alone; 0 draws
    as workers ask. `known` are trials of an earlier sweep, for the sampler to learn from, and `first` configurations to
    try before all others.
    """

    sweep: Sweep
    name: str
    storage: Path | str
    checkpoints: Path | str
    trials: int
    seed: int = 0
    fuse: Fuse = "auto"
    workers: int | None = 1
    device: Placement = "cpu"
    address: str | None = None
    root: Path | None = None
    memory: int | None = None
    generation: int = 0
    known: Sequence[PriorTrial] = ()
    first: Sequence[Mapping[str, Scalar]] = ()
    id: str = ""
    lock: Path | None = None
    ship_data: bool = False

    @property
    def owner_lock(self) -> Path | None:
        """The file that the study's owner locks, beside its journal unless told otherwise; None where there is none."""
        beside = self.storage.with_suffix(".lock") if isinstance(self.storage, Path) else None
        return self.lock or beside

    def for_workers(self) -> Job:
        """The job as it travels to whoever trains: the address of the study's database is nobody else's business."""
        return replace(self, storage="", lock=None, known=(), first=())


@dataclass(frozen=True)
class SearchResult:
    """What an engine brings back: every trial of the study, and why it came back before all had ended, if it did.

    `over` is the budget's reason; `paused` says that it was told to stop, and that trials are left open.
    """

    trials: list[TrialRecord]
    over: str | None = None
    paused: bool = False
