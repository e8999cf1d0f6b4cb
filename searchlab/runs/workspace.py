"""Where a sweep keeps everything: one folder, a subfolder per sweep, and locks that say who is at work in it."""

from __future__ import annotations

import json
import os
import socket
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from searchlab.errors import UserMistake, WorldFault


@dataclass(frozen=True)
class SweepFolder:
    """The folder of one sweep: its study, checkpoints, artifact, figures, and what was asked for.

    `database` is the URL, password and all, of the one that its study may be kept in; the folder itself holds none.
    """

    path: Path
    database: str | None = field(default=None, repr=False)

    @property
    def name(self) -> str:
        """The sweep's name."""
        return self.path.name

    @property
    def study(self) -> Path:
        """The study's journal, the truth about every trial."""
        return self.path / "study.journal"

    @property
    def checkpoints(self) -> Path:
        """The latest state of each group at work."""
        return self.path / "checkpoints"

    @property
    def artifact(self) -> Path:
        """The winner."""
        return self.path / "artifact"

    @property
    def figures(self) -> Path:
        """The pictures."""
        return self.path / "figures"

    @property
    def samples(self) -> Path:
        """What a language model that won wrote after each epoch."""
        return self.path / "samples.txt"

    @property
    def project(self) -> Path:
        """The sweep's project as it was begun with, where others than this machine's processes train by it."""
        return self.path / "project"

    @property
    def lock(self) -> Path:
        """Held by the process that drives the sweep."""
        return self.path / "run.lock"

    def read(self, name: str) -> dict[str, Any] | None:
        """What `write` kept under this name; None if nothing."""
        try:
            content: dict[str, Any] = json.loads((self.path / f"{name}.json").read_text())
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise WorldFault(
                f"{self.path / name}.json cannot be read ({error}); the study beside it is untouched."
            ) from error
        return content

    def write(self, name: str, content: dict[str, Any]) -> None:
        """Keep plain values under a name; a kill at any moment leaves the old or the new ones, whole."""
        write_atomically(self.path / f"{name}.json", (json.dumps(content, indent=2) + "\n").encode())


@dataclass(frozen=True)
class Workspace:
    """The folder that holds everything embedded: sweeps, MLflow's store and its artifacts.

    `database` is the URL of the one that studies may be kept in instead.
    """

    path: Path
    database: str | None = field(default=None, repr=False)

    @classmethod
    def at(cls, path: str | os.PathLike[str], database: str | None = None) -> Workspace:
        """The home at this path, made if need be; raises UserMistake when it cannot be written."""
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
        """MLflow's embedded store."""
        return f"sqlite:///{self.path / 'mlflow.db'}"

    def sweep(self, name: str) -> SweepFolder:
        """The folder of the sweep with this name, there or not."""
        return SweepFolder(self.path / "sweeps" / name, self.database)

    def sweeps(self) -> list[SweepFolder]:
        """Every sweep that was begun, oldest first."""
        begun = [SweepFolder(path.parent, self.database) for path in (self.path / "sweeps").glob("*/sweep.json")]
        return sorted(begun, key=lambda folder: str((folder.read("sweep") or {}).get("created", "")))


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that a kill at any moment leaves the old content or the new, never a part."""
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
