"""Where a result comes from: versions, platform and commit."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import subprocess
from pathlib import Path

import searchlab
from searchlab.project import SHIPPED

PACKAGES = ("numpy", "ray", "optuna", "mlflow", "cupy-cuda12x")


def provenance(folder: Path) -> dict[str, str]:
    """Package versions, Python, platform and, if the folder is in a git checkout, its commit and whether it is dirty.

    The keys are those of tags: `version.numpy`, `python`, `platform`, `git.commit`, `git.dirty`.
    """
    versions = {"version.searchlab": searchlab.__version__}
    for package in PACKAGES:
        try:
            versions[f"version.{package}"] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {**versions, "python": platform.python_version(), "platform": platform.platform(), **git_of(folder)}


def git_of(folder: Path) -> dict[str, str]:
    """The commit that the folder is at, and whether it has changes; nothing where it is no checkout.

    A project that was sent here brings what was said of it where it came from.
    """
    try:
        shipped: dict[str, str] = json.loads((folder / SHIPPED).read_text())
    except (OSError, ValueError):
        return _git(folder)
    return shipped


def _git(folder: Path) -> dict[str, str]:
    commit = _ask_git(folder, "rev-parse", "--verify", "HEAD")
    changes = _ask_git(folder, "status", "--porcelain", "--untracked-files=no")
    if not commit or changes is None:
        return {}
    # MLflow's dashboard shows the commit under a name of its own
    return {"git.commit": commit, "git.dirty": str(bool(changes)).lower(), "mlflow.source.git.commit": commit}


def _ask_git(folder: Path, *words: str) -> str | None:
    command, quiet = ["git", "-C", str(folder), *words], {**os.environ, "GIT_OPTIONAL_LOCKS": "0"}
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=10, env=quiet)
    except (OSError, subprocess.TimeoutExpired):  # no git here, or a checkout too slow to ask
        return None
    return answer.stdout.strip() if answer.returncode == 0 else None
