"""The workspace: the folder of everything embedded, with a subfolder for each sweep."""

from __future__ import annotations

import json
import os
import socket
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from searchlab.errors import UserMistake, WorldFault
from searchlab.runs.config import validate_home, validate_name
from searchlab.runs.urls import sqlite_url


@dataclass(frozen=True)
class SweepFolder:
    """The folder of one sweep: its manifest, study, checkpoints, artifact and figures.

    Attributes:
        path: The folder, which need not exist.
        database: URL, with its password, of the database that may hold the study; the folder itself holds no password.
    """

    path: Path
    database: str | None = field(default=None, repr=False)

    @property
    def name(self) -> str:
        """The sweep's name."""
        return self.path.name

    @property
    def test_looks(self) -> Path:
        """The ledger of looks at test rows, which all sweeps of the home share."""
        return self.path.parent.parent / "test_looks.json"

    @property
    def study(self) -> Path:
        """The journal of the study, which holds every trial."""
        return self.path / "study.journal"

    @property
    def checkpoints(self) -> Path:
        """The folder of checkpoints: the latest state of each group that trains."""
        return self.path / "checkpoints"

    @property
    def artifact(self) -> Path:
        """The folder of the winner: its weights and its manifest."""
        return self.path / "artifact"

    @property
    def tune(self) -> Path:
        """The folder of Ray Tune's results: one folder for each search, and in it one for each worker."""
        return self.path / "tune"

    @property
    def figures(self) -> Path:
        """The folder of the figures."""
        return self.path / "figures"

    @property
    def samples(self) -> Path:
        """The file of what a winning model of text or of sequences wrote after each epoch."""
        return self.path / "samples.txt"

    @property
    def layer_statistics(self) -> Path:
        """The file of gradients and outputs by layer of the winner while it was trained."""
        return self.path / "layer_statistics.json"

    @property
    def project(self) -> Path:
        """A copy of the project that the sweep was started with, where processes of other machines train."""
        return self.path / "project"

    @property
    def lock(self) -> Path:
        """The file that the process that runs the sweep locks."""
        return self.path / "run.lock"

    def read(self, name: str) -> dict[str, Any] | None:
        """Return what `write` stored under this name; None where there is nothing.

        Raises WorldFault when the file is damaged.
        """
        try:
            content: dict[str, Any] = json.loads((self.path / f"{name}.json").read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise self.damaged(name, error) from error
        if not isinstance(content, dict):
            raise self.damaged(name, "it is not a JSON object")
        return content

    def damaged(self, name: str, problem: object) -> WorldFault:
        """Return the error for a file of `write` that cannot be used."""
        return WorldFault(f"{self.path / name}.json cannot be read ({problem}); the study beside it is untouched.")

    def write(self, name: str, content: dict[str, Any]) -> None:
        """Store JSON values under a name; a kill at any moment leaves the old or the new ones, complete."""
        write_atomically(self.path / f"{name}.json", (json.dumps(content, indent=2) + "\n").encode())

    def write_traceback(self, trial: int, text: str) -> None:
        """Store the traceback of a trial that failed; a disk that is full has it in the study alone, or not at all."""
        with suppress(OSError):
            folder = self.path / "tracebacks"
            folder.mkdir(exist_ok=True)
            write_atomically(folder / f"trial-{trial}.txt", text.encode())


@dataclass(frozen=True)
class Workspace:
    """The home folder, which holds everything embedded: sweeps, MLflow's store and its artifacts.

    Attributes:
        path: The folder.
        database: URL of the database that may hold the studies instead of the sweeps' folders.
    """

    path: Path
    database: str | None = field(default=None, repr=False)

    @classmethod
    def at(cls, path: str | os.PathLike[str], database: str | None = None) -> Workspace:
        """Return the workspace at this path, created if need be; raise UserMistake where it cannot be written."""
        validate_home(path)
        folder = Path(path).expanduser().absolute()
        probe = folder / f".probe-{os.getpid()}"
        try:
            (folder / "sweeps").mkdir(parents=True, exist_ok=True)
            probe.touch()
            probe.unlink()
        except OSError as error:
            reason = error.strerror or str(error)
            raise UserMistake(
                f"the home folder {folder} cannot be written ({reason}); set SEARCHLAB_HOME to one that can."
            ) from error
        return cls(folder, database)

    @property
    def tracking_uri(self) -> str:
        """The URL of MLflow's embedded store."""
        return sqlite_url(self.path / "mlflow.db")

    def sweep(self, name: str) -> SweepFolder:
        """Return the folder of the sweep of this name, which need not exist.

        Raises UserMistake for a name that no sweep can have, such as one that leads to another folder.
        """
        validate_name(name)
        return SweepFolder(self.path / "sweeps" / name, self.database)

    def sweeps(self) -> list[SweepFolder]:
        """Return the folder of every sweep that was started, the oldest first and damaged ones before."""
        folders = [SweepFolder(path.parent, self.database) for path in (self.path / "sweeps").glob("*/sweep.json")]
        return sorted(folders, key=_creation_time)


def _creation_time(folder: SweepFolder) -> tuple[float, str]:
    """Return when the sweep was created, in seconds since 1970, and its name; 0 where its manifest is damaged."""
    created: object = None
    with suppress(WorldFault):
        created = (folder.read("sweep") or {}).get("created")
    return float(created) if isinstance(created, int | float) else 0.0, folder.name


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that a kill at any moment leaves the old content or the new one, never a part."""
    part = path.with_name(f"{path.name}.{socket.gethostname()}.{os.getpid()}.part")  # hosts may share a folder
    try:
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError:
        part.unlink(missing_ok=True)
        raise
