"""A user's project: the folder whose models and sweep files belong together, and what tells its root."""

from __future__ import annotations

from pathlib import Path

SHIPPED = ".searchlab-project.json"  # lies in the root of a project that was sent somewhere, and says where from
MARKS = ("pyproject.toml", ".git", "models", SHIPPED)  # what tells the root of a project, nearest first


def root_of(path: Path) -> Path:
    """The root of the project a sweep file belongs to: the nearest folder above that looks like one, else its own."""
    marked = (folder for folder in path.parents if any((folder / mark).exists() for mark in MARKS))
    return next(marked, path.parent)
