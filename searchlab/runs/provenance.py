"""The provenance of a result: package versions, platform and git commit."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import subprocess
from pathlib import Path

import searchlab
from searchlab.project import ARCHIVE_MARKER

PACKAGES = ("numpy", "numba", "ray", "optuna", "mlflow", "cupy-cuda12x")


def provenance(folder: Path, kernels: str | None = None) -> dict[str, str]:
    """Return package versions, kernels, Python, platform and, in a git checkout, the commit and whether it has changes.

    The keys are those of MLflow tags: `version.numpy`, `kernels`, `python`, `platform`, `git.commit`, `git.dirty`.

    Args:
        folder: A folder of the project.
        kernels: The kernels of the sweep; default None, not known.
    """
    versions = {"version.searchlab": searchlab.__version__}
    for package in PACKAGES:
        try:
            versions[f"version.{package}"] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    machine = {"python": platform.python_version(), "platform": platform.platform()}
    chosen = {} if kernels is None else {"kernels": kernels}
    return {**versions, **chosen, **machine, **git_of(folder)}


def git_of(folder: Path) -> dict[str, str]:
    """Return the commit of a checkout and whether it has changes; nothing where the folder is no checkout.

    An unpacked project archive brings the commit that it was packed from.
    """
    try:
        packed: dict[str, str] = json.loads((folder / ARCHIVE_MARKER).read_text())
    except (OSError, ValueError):
        return _git(folder)
    return packed


def _git(folder: Path) -> dict[str, str]:
    commit = _run_git(folder, "rev-parse", "--verify", "HEAD")
    changes = _run_git(folder, "status", "--porcelain", "--untracked-files=no")
    if not commit or changes is None:
        return {}
    # MLflow's dashboard shows the commit under this name
    return {"git.commit": commit, "git.dirty": str(bool(changes)).lower(), "mlflow.source.git.commit": commit}


def _run_git(folder: Path, *words: str) -> str | None:
    command, environment = ["git", "-C", str(folder), *words], {**os.environ, "GIT_OPTIONAL_LOCKS": "0"}
    try:
        completed = subprocess.run(command, capture_output=True, text=True, timeout=10, env=environment)
    except (OSError, subprocess.TimeoutExpired):  # git is not installed, or too slow
        return None
    return completed.stdout.strip() if completed.returncode == 0 else None
