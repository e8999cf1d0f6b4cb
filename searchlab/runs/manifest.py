"""The manifest of a sweep: what identifies it and the options it was started with, stored as `sweep.json`."""

from __future__ import annotations

import importlib.metadata
import json
import os
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from searchlab.errors import UserMistake
from searchlab.project import current_project, project_root
from searchlab.runs.config import RunConfig, numbered
from searchlab.runs.secrets import mask_all
from searchlab.runs.urls import with_password_from, without_password
from searchlab.runs.workspace import SweepFolder, Workspace
from searchlab.wording import suggestion

if TYPE_CHECKING:  # `searchlab list` reads manifests, and NumPy takes half a second to import
    from searchlab.metrics import Goal
    from searchlab.space.sweep import Sweep

SPEC_HERE = "spec_from_folder"  # the sweep file relative to the sweep's folder, which counts where both were moved
URLS = ("storage", "tracking_uri")  # options that may hold a password


@dataclass(frozen=True, kw_only=True)
class SweepManifest:
    """What a sweep is and how it is run, so that `resume` continues the same search with the same options.

    Attributes:
        name: Name of the sweep in its home.
        trials: Number of trials requested.
        fingerprint: SHA-256 of the description; a sweep file with another one is another sweep.
        description: The parts and the space of the sweep as JSON values.
        goals: Direction ("max" or "min") of each metric by name, the primary one first.
        spec: Path of the sweep file, now; None for a sweep that was started from Python.
        root: Root of the project of a sweep that was started from Python; None with a sweep file.
        config: The options of the run; the home is where the manifest lies.
        generation: Number of trials drawn at a time, where the search is reproducible; 0 otherwise.
        initial_points: Parameters to try before all others, by path.
        id: Distinguishes sweeps of the same name on a shared server.
        code: Hash of each source file and function of the sweep by name; empty where they are not known.
        code_changes: Each resumption with other code: how many trials had ended ("ended"), and what differed ("names").
        kernels: Which kernels train on a CPU, "numpy" or "numba", which round differently.
        own_loop: Whether the trials are trained by a loop of the user's, by `Sweep.study`.
        created: When the sweep was started, in seconds since 1970.
        version: Version of searchlab that started it.
    """

    name: str
    trials: int
    fingerprint: str
    description: Mapping[str, Any]
    goals: Mapping[str, Goal]
    spec: str | None = None
    root: str | None = None
    config: RunConfig = field(default_factory=RunConfig)
    generation: int = 0
    initial_points: Sequence[Mapping[str, Any]] = ()
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    code: Mapping[str, str] = field(default_factory=dict)
    code_changes: Sequence[Mapping[str, Any]] = ()
    kernels: str = "numpy"
    own_loop: bool = False
    created: float = field(default_factory=time.time)
    version: str = field(default_factory=lambda: importlib.metadata.version("searchlab"))

    @classmethod
    def of(cls, sweep: Sweep, **fields: Any) -> SweepManifest:
        """Return the manifest of a sweep; `fields` are the remaining attributes."""
        from searchlab.space.kernel_choice import kernels_of  # imports NumPy

        fields = {"kernels": kernels_of(sweep), **fields}
        goals = {metric.name: metric.goal for metric in sweep.metrics}
        return cls(fingerprint=sweep.fingerprint(), description=sweep.describe(), goals=goals, **fields)

    @property
    def metric(self) -> str:
        """The name of the primary metric."""
        return next(iter(self.goals))

    @property
    def goal(self) -> Goal:
        """The direction of the primary metric."""
        return self.goals[self.metric]

    @property
    def is_reproducible(self) -> bool:
        """Whether the same seed gives the same trials: drawn in generations, or by a single worker."""
        return self.generation > 0 or self.config.workers == 1

    def study_storage(self, folder: SweepFolder) -> Path | str:
        """Return where the study is stored: the URL of a database, or the path of its journal."""
        return self.config.storage or folder.study

    def checkpoints_of(self, folder: SweepFolder) -> Path | str:
        """Return where checkpoints are stored: the sweep's own folder, or a place of its own below a shared one."""
        shared = self.config.checkpoints
        if shared is None:
            return folder.checkpoints
        below = f"{shared.rstrip('/')}/{self.name}-{self.id[:8]}"
        return below if "://" in shared else Path(below)

    def has_spec(self) -> bool:
        """Return whether the sweep file is where the sweep was started from."""
        return self.spec is not None and Path(self.spec).is_file()

    def spec_path(self) -> Path:
        """Return the path of the sweep file.

        Raises UserMistake for a sweep that was started from Python, and where the file is gone.
        """
        if self.own_loop:
            raise UserMistake(
                f"the trials of {self.name!r} are trained by a loop of your own, so searchlab cannot train them again."
            )
        if self.spec is None:
            raise UserMistake(
                f"{self.name!r} was started from Python, so no file holds it; call searchlab.resume({self.name!r}, "
                "sweep=...) there."
            )
        if not Path(self.spec).is_file():
            raise UserMistake(
                f"the sweep file of {self.name!r} is no longer at {self.spec}; name it where it is now: "
                f"`searchlab resume {self.name} --spec FILE`."
            )
        return Path(self.spec)

    def project_root(self, folder: SweepFolder) -> Path:
        """Return the root of the sweep's project; on a cluster it is the copy with which all its machines train."""
        if self.config.address and folder.project.exists():
            return folder.project
        if self.spec and Path(self.spec).is_file():
            return project_root(Path(self.spec))
        return Path(self.root) if self.root and Path(self.root).is_dir() else current_project()

    def describes(self, sweep: Sweep) -> bool:
        """Return whether this is the manifest of a sweep; the folder of its data does not count, as for moved data."""
        if sweep.fingerprint() == self.fingerprint:
            return True
        now = json.loads(json.dumps(mask_all(sweep.describe())))
        return bool(_without_data_folders(now) == _without_data_folders(self.description))

    def save(self, folder: SweepFolder) -> None:
        """Write the manifest into the sweep's folder, without the passwords of servers and the secrets of parts."""
        config = asdict(self.config)
        for secret in URLS:
            config[secret] = config[secret] and without_password(config[secret])
        del config["home"], config["name"], config["trials"]  # what the folder and the manifest themselves say
        del config["progress"]  # of this call alone
        folder.path.mkdir(parents=True, exist_ok=True)
        here = {SPEC_HERE: os.path.relpath(self.spec, folder.path)} if self.spec else {}
        folder.write("sweep", asdict(self) | {"config": config, "description": mask_all(self.description)} | here)

    @classmethod
    def load(cls, folder: SweepFolder) -> SweepManifest:
        """Read the manifest of a sweep, with the password of the workspace's database.

        Raises UserMistake when there is no sweep of this name, and WorldFault when its file is damaged or was written
        by another version.
        """
        stored = folder.read("sweep")
        if stored is None:
            workspace = Workspace(folder.path.parent.parent)
            names = ", ".join(other.name for other in workspace.sweeps()) or "none yet"
            close = suggestion(folder.name, [other.name for other in workspace.sweeps()])
            raise UserMistake(
                f"there is no sweep called {folder.name!r} in {workspace.path}{close}; there are: {names}."
            )
        try:
            config = RunConfig(**stored["config"])
            if config.storage:
                config = replace(config, storage=with_password_from(config.storage, folder.database))
            spec = _present_spec(stored.pop("spec", None), stored.pop(SPEC_HERE, None), folder)
            return cls(**stored | {"config": config, "spec": spec})
        except (KeyError, TypeError, UserMistake) as error:
            problem = f"no entry {error}" if isinstance(error, KeyError) else str(error).replace(f"{cls.__name__}.", "")
            raise folder.damaged("sweep", f"damaged, or of another version of searchlab: {problem}") from error


def _present_spec(stored: str | None, from_folder: str | None, folder: SweepFolder) -> str | None:
    """Return the path of the sweep file: relative to the sweep's folder, else where it was at the start."""
    if stored is None or from_folder is None:
        return stored
    here = os.path.normpath(folder.path / from_folder)
    return here if os.path.isfile(here) else stored


def _without_data_folders(description: Mapping[str, Any]) -> dict[str, Any]:
    """Return a description with the name alone of every absolute path in its data."""
    return {**description, "data": _without_folders(description["data"])}


def _without_folders(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _without_folders(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_without_folders(inner) for inner in value]
    return os.path.basename(value) if isinstance(value, str) and os.path.isabs(value) else value


def free_name(sweep: Sweep, workspace: Workspace, requested: str | None) -> str:
    """Return the name of a new sweep: the one requested, or the sweep's own, with the next number where it is taken.

    Raises UserMistake when a requested name is taken.
    """
    name, number = requested or sweep.name, 1
    if requested and _is_taken(workspace, requested):
        raise UserMistake(
            f"the name {requested!r} is taken; `searchlab resume {requested}` continues it, or choose another name."
        )
    while _is_taken(workspace, name):
        number += 1
        name = numbered(sweep.name, number)
    return name


def renamed_text(wanted: str, name: str) -> str:
    """Return the line that says that a sweep has another name than its own."""
    return f"the name {wanted!r} is taken by an earlier sweep, so this one is called {name!r}"


def _is_taken(workspace: Workspace, name: str) -> bool:
    return (workspace.sweep(name).path / "sweep.json").exists()
