"""What the MLflow record of a sweep starts with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
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
        searched: What is searched, as text by path, in the order of the space.
        data: Facts of the training rows: their name, checksum and source; empty where they are not recorded.
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
    searched: Mapping[str, str] = field(default_factory=dict)
    data: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the record as JSON values, with absolute paths."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        paths = {"home": str(self.home.absolute()), "files": [str(file.absolute()) for file in self.files]}
        mappings = {name: dict(values[name]) for name in ("params", "tags", "searched", "data")}
        return {**values, **paths, **mappings, "others": list(self.others)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> SweepRecord:
        """Return the record that `to_json` gave these values for."""
        paths = {"home": Path(values["home"]), "files": tuple(Path(file) for file in values["files"])}
        return cls(**{**values, **paths})
