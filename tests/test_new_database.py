"""The empty database of MLflow that is kept in the user's cache folder, and copied into new home folders."""

from __future__ import annotations

import errno
import shutil
import sqlite3
from contextlib import closing
from types import SimpleNamespace

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


def test_a_full_disk_is_named_whatever_mlflow_says_of_it(tmp_path, monkeypatch):
    from searchlab.tracking import new_database

    def create_tables(database, home):
        database.write_bytes(b"half")
        raise RuntimeError("table secrets already exists")

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(new_database, "_create_tables", create_tables)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=1000))
    with pytest.raises(OSError, match="No space left on device"):
        new_database.create_database(tmp_path / "mlflow.db", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mlflow.db.lock"]
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=10**9))
    with pytest.raises(RuntimeError, match="already exists"):
        new_database.create_database(tmp_path / "mlflow.db", tmp_path)


def test_a_disk_too_full_for_the_copy_is_named(create, tmp_path, monkeypatch):
    from searchlab.tracking import new_database

    def copy(source, target):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(new_database.shutil, "copyfile", copy)
    with pytest.raises(OSError, match="No space left on device"):
        create("first")
