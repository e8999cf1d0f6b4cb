"""What the MLflow record of a sweep starts with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class SweepRecord:
    """What the parent run of a sweep says before any trial.

    Attributes:
        name: Name of the sweep.
        metric: Name of the primary metric.
        goal: Its direction, "max" or "min".
        home: Folder of the embedded store's locks and artifacts.
        params: What the sweep started with; these never change.
        tags: What may change when the sweep is resumed.
        files: Files that are logged at the start.
        study: Distinguishes searches of one name, as when two people run the same sweep file against one server.
        others: Names of the metrics after the primary one.
    """

    name: str
    metric: str
    goal: str
    home: Path
    params: Mapping[str, str]
    tags: Mapping[str, str]
    files: Sequence[Path] = ()
    study: str = ""
    others: Sequence[str] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the record as JSON values, with absolute paths."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        paths = {"home": str(self.home.absolute()), "files": [str(file.absolute()) for file in self.files]}
        return {**values, **paths, "params": dict(self.params), "tags": dict(self.tags), "others": list(self.others)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> SweepRecord:
        """Return the record that `to_json` gave these values for."""
        paths = {"home": Path(values["home"]), "files": tuple(Path(file) for file in values["files"])}
        return cls(**{**values, **paths})
