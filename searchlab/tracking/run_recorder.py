"""What a run needs of its record, and the record that keeps nothing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from searchlab.runs.events import EventHandler, NullHandler


class RunRecorder(EventHandler, Protocol):
    """What the pipeline needs of a record: it handles events, takes files, and is concluded or closed."""

    def log_artifact(self, path: Path, folder: str = "") -> None:
        """Attach a file, or the content of a directory, to the sweep's run."""

    def log_model(self, path: Path, register: str | None = None) -> None:
        """Log the artifact in a folder as a model, and register it by a name unless that is None."""

    @property
    def registered(self) -> str | None:
        """Name and alias of the registered model; None where none was registered."""

    def conclude(self, state: str, metrics: Mapping[str, float], tags: Mapping[str, str]) -> str:
        """Write everything, end the sweep's run, and return the run's id."""

    def close(self) -> None:
        """Write everything and leave the sweep's run open, to be continued."""


class NullRecorder(NullHandler):
    """A recorder that keeps nothing: `tracking=None`."""

    run_id = ""
    registered: str | None = None

    def log_artifact(self, path: Path, folder: str = "") -> None:
        """Ignore the file."""

    def log_model(self, path: Path, register: str | None = None) -> None:
        """Ignore the model."""

    def conclude(self, state: str, metrics: Mapping[str, float], tags: Mapping[str, str]) -> str:
        """Return an empty run id: there is no run."""
        return self.run_id

    def close(self) -> None:
        """Do nothing."""
