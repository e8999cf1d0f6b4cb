"""What was asked for when a sweep was begun: kept in its folder, so that `resume` asks for the same."""

from __future__ import annotations

import importlib.metadata
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from searchlab.errors import UserMistake
from searchlab.runs.urls import with_password_of, without_password
from searchlab.runs.workspace import SweepFolder, Workspace

if TYPE_CHECKING:  # `searchlab list` reads orders, and NumPy takes half a second to import
    from searchlab.fusion.groups import Fuse
    from searchlab.metrics import Goal
    from searchlab.space.resources import Placement
    from searchlab.space.sweep import Sweep

Engine = Literal["tune", "local"]
SERVERS = ("storage", "tracking_uri")  # their URLs may hold a password


@dataclass(frozen=True)
class RunConfig:
    """A sweep's name, how it is carried out, and what tells whether a sweep file still means the same sweep."""

    name: str
    trials: int
    fingerprint: str
    description: Mapping[str, Any]
    spec: str | None = None  # the sweep file; None for a sweep run from Python
    values: Mapping[str, Any] = field(default_factory=dict)  # arguments fixed by path when it was begun
    seed: int = 0
    workers: int | None = 1  # None for as many as the cluster has
    device: Placement = "cpu"
    fuse: Fuse = "auto"
    engine: Engine = "tune"
    address: str | None = None
    tracking_uri: str | None = None  # None for the embedded store
    storage: str | None = None  # None for the embedded journal
    memory: float | None = None  # GB of each worker; None for its share of what is free
    generation: int = 0  # trials drawn at once, where it is to be reproducible
    warm_start: str | None = None  # the earlier sweep that the sampler learns from
    first: Sequence[Mapping[str, Any]] = ()  # configurations to try first, by path
    goals: Mapping[str, Goal] = field(default_factory=dict)  # of the metrics by name, the primary one's first
    checkpoints: str | None = None  # a folder or a store's URL; None for the sweep's own folder
    ship_data: bool = False  # whether workers get the training rows from the driver
    id: str = field(default_factory=lambda: uuid.uuid4().hex)  # tells searches of one name apart on a shared server
    created: float = field(default_factory=time.time)
    version: str = field(default_factory=lambda: importlib.metadata.version("searchlab"))

    @property
    def metrics(self) -> dict[str, Goal]:
        """The goals of the metrics by name, the primary one's first."""
        return dict(self.goals) or _described_goals(self.description)

    @property
    def metric(self) -> str:
        """The name of the primary metric."""
        return next(iter(self.metrics))

    @property
    def goal(self) -> Goal:
        """Which way of the primary metric is better."""
        return self.metrics[self.metric]

    def checkpoints_of(self, folder: SweepFolder) -> Path | str:
        """Where the states of its groups are kept: its own folder, or one of its name below a place for all sweeps."""
        if self.checkpoints is None:
            return folder.checkpoints
        below = f"{self.checkpoints.rstrip('/')}/{self.name}-{self.id[:8]}"
        return below if "://" in self.checkpoints else Path(below)

    def keep(self, folder: SweepFolder) -> None:
        """Write it into the sweep's folder, without the passwords of its servers."""
        folder.path.mkdir(parents=True, exist_ok=True)
        bare = {name: url and without_password(url) for name in SERVERS if (url := getattr(self, name)) is not None}
        folder.write("sweep", asdict(self) | bare)

    @classmethod
    def of(cls, folder: SweepFolder) -> RunConfig:
        """What was asked for, with the password of the folder's database; raises UserMistake when no sweep has this
        name."""
        kept = folder.read("sweep")
        if kept is None:
            home = Workspace(folder.path.parent.parent)
            names = ", ".join(other.name for other in home.sweeps()) or "none yet"
            raise UserMistake(f"there is no sweep called {folder.name!r} in {home.path}; there are: {names}.")
        order = cls(**kept)
        return replace(order, storage=with_password_of(order.storage, folder.database)) if order.storage else order


def _described_goals(description: Mapping[str, Any]) -> dict[str, Goal]:
    """The goals as far as the description of a sweep has them, which was all that was kept at first."""
    described = [description["metric"], *description.get("other_metrics", [])]
    return {metric.get("name", metric["kind"]): metric.get("goal", "max") for metric in described}


def free_name(sweep: Sweep, home: Workspace, asked: str | None) -> str:
    """The name for a new sweep: the one asked for, or the sweep's own, numbered when the same sweep has used it.

    Raises UserMistake when a name asked for is taken, or the sweep's own was used with another space.
    """
    name = asked or sweep.name
    taken = home.sweep(name).read("sweep")
    if taken is None:
        return name
    number = 2
    while home.sweep(f"{name}-{number}").read("sweep") is not None:
        number += 1
    if taken["fingerprint"] != sweep.fingerprint():
        raise UserMistake(
            f"the name {name!r} is already used with another space; nothing of it is touched. "
            f"Choose another, as in --name {name}-{number}."
        )
    if asked:
        raise UserMistake(
            f"the name {name!r} is taken; `searchlab resume {name}` goes on with it, or choose another name."
        )
    return f"{name}-{number}"


def whole_trials(trials: int) -> int:
    """The same number; raises UserMistake when it is not at least 1."""
    if trials < 1:
        raise UserMistake(f"the number of trials is at least 1, got {trials}.")
    return trials


def sweep_file(order: RunConfig) -> Path:
    """The file of a sweep begun from one; raises UserMistake for a sweep begun in Python."""
    if order.spec is None:
        raise UserMistake(
            f"{order.name!r} was begun from Python and only Python holds it; call searchlab.runner.run.resume there."
        )
    return Path(order.spec)
