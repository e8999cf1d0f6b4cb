"""The user's project: the folder whose models and sweep files belong together, and how its root is found."""

from __future__ import annotations

from pathlib import Path

ARCHIVE_MARKER = ".searchlab-project.json"  # in the root of a project that was sent to a cluster; holds its provenance
ROOT_MARKERS = ("pyproject.toml", ".git", "models", ARCHIVE_MARKER)  # any of them marks a folder as a project's root


def project_root(path: Path) -> Path:
    """Return the root of a sweep file's project: the nearest folder above it with a root marker, or its own folder."""
    roots = (folder for folder in path.parents if any((folder / marker).exists() for marker in ROOT_MARKERS))
    return next(roots, path.parent)
