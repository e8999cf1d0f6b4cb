"""The empty database of MLflow that is kept in the user's cache folder, and copied into new home folders."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing

import pytest

pytestmark = pytest.mark.slow


@pytest.fixture
def create(fresh_store, tmp_path, monkeypatch):
    """Return a function that creates the database of a home folder, and counts how often its tables are created."""
    from searchlab.tracking import new_database

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    created = []

    def create_tables(database, home):
        shutil.copy(fresh_store, database)
        created.append(home)

    monkeypatch.setattr(new_database, "_create_tables", create_tables)

    def create(name):
        home = tmp_path / name
        new_database.create_database(home / "mlflow.db", home)
        assert sorted(path.name for path in home.iterdir()) == ["mlflow.db", "mlflow.db.lock"]
        return artifacts_of(home / "mlflow.db"), len(created)

    return create


def artifacts_of(database):
    with closing(sqlite3.connect(database)) as connection:
        return connection.execute("select artifact_location from experiments").fetchall()


def test_the_second_home_has_a_copy_with_artifacts_of_its_own(create, tmp_path):
    from searchlab.tracking.new_database import kept_database

    create("first")
    assert str(tmp_path).encode() not in kept_database().read_bytes()
    location, created = create("second")
    assert location == [(f"{(tmp_path / 'second').as_uri()}/mlartifacts/0",)]
    assert created == 1


@pytest.mark.parametrize("damage", [b"", b"no database at all", None], ids=["empty", "other", "cut off"])
def test_a_damaged_copy_is_not_used_and_made_again(create, damage):
    from searchlab.tracking.new_database import kept_database

    create("first")
    kept = kept_database()
    kept.write_bytes(kept.read_bytes()[: kept.stat().st_size // 2] if damage is None else damage)
    assert create("second")[1] == 2
    assert create("third")[1] == 2


def test_a_cache_folder_that_cannot_be_used_is_not_missed(create, tmp_path):
    (tmp_path / "cache").write_text("a file, no folder")
    assert create("first")[1] == 1
    assert create("second")[1] == 2
