"""The artifacts of MLflow's store in a home folder that was moved: the store holds their absolute URLs."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import unquote, urlsplit

ARTIFACTS = "mlartifacts"  # folder of the home
EXPERIMENTS = "SELECT experiment_id, artifact_location FROM experiments WHERE artifact_location LIKE 'file:%'"
TABLES = "SELECT name FROM sqlite_master WHERE type = 'table'"
UPDATES = {  # of the columns that hold URLs below an experiment's, by table
    "runs": "UPDATE runs SET artifact_uri = :new || substr(artifact_uri, :length + 1) "
    "WHERE substr(artifact_uri, 1, :length) = :old",
    "logged_models": "UPDATE logged_models SET artifact_location = :new || substr(artifact_location, :length + 1) "
    "WHERE substr(artifact_location, 1, :length) = :old",
    "model_versions": "UPDATE model_versions SET source = :new || substr(source, :length + 1) "
    "WHERE substr(source, 1, :length) = :old",
}


def adopt_artifacts(database: Path, home: Path) -> None:
    """Let the store of a home folder name its artifacts where they are now, after the folder was moved or copied.

    An experiment whose artifacts another folder has and this one has not is left alone. Raises sqlite3.Error where the
    database is damaged or stays locked.
    """
    if database.parent != home or not database.exists():
        return
    with closing(sqlite3.connect(database, timeout=20.0)) as connection:
        moved = [(id, old, new) for id, old in connection.execute(EXPERIMENTS) if (new := _location_now(old, home))]
        if not moved:
            return
        tables = {name for (name,) in connection.execute(TABLES)}
        with connection:  # all or none: a kill in between is repeated
            for id, old, new in moved:
                connection.execute("UPDATE experiments SET artifact_location = ? WHERE experiment_id = ?", (new, id))
                for table in UPDATES.keys() & tables:
                    connection.execute(UPDATES[table], {"old": f"{old}/", "new": f"{new}/", "length": len(old) + 1})


def _location_now(stored: str, home: Path) -> str | None:
    """Return where the artifacts of an experiment are now; None where the stored location is right or not this home's.

    The last part of a location is the experiment's own folder.
    """
    root, _, folder = stored.rpartition("/")
    here = f"{(home / ARTIFACTS).as_uri()}/{folder}"
    if here == stored or not root.endswith(f"/{ARTIFACTS}"):
        return None
    return here if _path(here).exists() or not _path(stored).exists() else None


def _path(url: str) -> Path:
    return Path(unquote(urlsplit(url).path))
