"""The argument NAME of commands that use a winner: the name of a sweep, or the folder of an artifact."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from searchlab.errors import UserMistake

if TYPE_CHECKING:
    from searchlab.artifact import Artifact


def load_artifact(name: str, home: str) -> Artifact:
    """Return the artifact of a sweep's winner, or that in a folder; its model is imported from its project.

    The project is that of the sweep file, or that of the current folder.

    Raises:
        UserMistake: When there is none, or it cannot be read.
    """
    from searchlab import artifact
    from searchlab.project import import_first_from

    folder, root = find_artifact(name, home)
    import_first_from(root)
    return artifact.load(folder)


def find_artifact(name: str, home: str) -> tuple[Path, Path]:
    """Return the folder of an artifact, and the root of the project that its model comes from.

    Raises:
        UserMistake: When there is no such sweep or folder, or the sweep has no winner.
    """
    from searchlab.project import current_project
    from searchlab.runs.manifest import SweepManifest
    from searchlab.runs.workspace import Workspace

    given = Path(name).expanduser()
    if (given / "manifest.json").is_file():
        return given, current_project()
    if "/" in name or given.is_dir():
        raise UserMistake(f"{name} is no folder of an artifact: it has no manifest.json.")
    folder, here = Workspace.at(home).sweep(name), current_project()
    if not (folder.artifact / "manifest.json").is_file():
        SweepManifest.load(folder)  # raises where there is no such sweep
        raise UserMistake(f"the sweep {name!r} in {home} has no winner; `searchlab list` shows how far it is.")
    return folder.artifact, SweepManifest.load(folder).project_root(folder) if folder.read("sweep") else here
