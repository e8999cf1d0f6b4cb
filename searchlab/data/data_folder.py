"""Where data files lie: the data folder, and files that a user names."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from searchlab.environment import cache_folder
from searchlab.errors import UserMistake
from searchlab.wording import suggestion


def data_folder() -> Path:
    """Return the folder of data sets: SEARCHLAB_DATA where it is set, else `searchlab` in the user's cache."""
    folder = os.environ.get("SEARCHLAB_DATA")
    return Path(folder).resolve() if folder else cache_folder()


def find_file(path: str) -> Path:
    """Return the path of a user's file: in the current folder, or else in the data folder.

    Raises:
        UserMistake: When neither folder has it.
    """
    return _find(path, "file", Path.is_file)


def find_folder(path: str) -> Path:
    """Return the path of a user's folder: in the current folder, or else in the data folder.

    Raises:
        UserMistake: When neither folder has it.
    """
    return _find(path, "folder", Path.is_dir)


def find_file_or_folder(path: str) -> Path:
    """Return the path of a user's file or folder: in the current folder, or else in the data folder.

    Raises:
        UserMistake: When neither folder has it.
    """
    return _find(path, "file or folder", Path.exists)


def _find(path: str, kind: str, is_kind: Callable[[Path], bool]) -> Path:
    given = Path(path).expanduser()
    for candidate in (given, data_folder() / given):
        if is_kind(candidate):
            return candidate
    beside = [other for folder in (given.parent, (data_folder() / given).parent) for other in folder.glob("*")]
    meant = suggestion(given.name, {other.name: str(given.with_name(other.name)) for other in beside})
    elsewhere = "" if given.is_absolute() else f", and none at {data_folder() / given} either"
    raise UserMistake(f"there is no {kind} {given.absolute()}{elsewhere}{meant}.")
