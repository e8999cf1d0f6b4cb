"""What a machine has and lacks for running sweeps, found out without starting anything."""

from __future__ import annotations

import importlib.metadata
import platform
from dataclasses import dataclass
from pathlib import Path

from threadpoolctl import threadpool_info

from searchlab.backend import unavailable_reason
from searchlab.data import Digits, Mnist
from searchlab.data.dataset import Dataset
from searchlab.data.download import data_folder
from searchlab.engine.memory_limits import cores
from searchlab.environment import worker_environment
from searchlab.errors import UserMistake, WorldFault
from searchlab.runs.workspace import Workspace

PACKAGES = ("numpy", "ray", "optuna", "mlflow", "matplotlib", "scikit-learn")


@dataclass(frozen=True)
class Finding:
    """One thing looked at: whether it is fine, and whether a sweep on the CPU needs it."""

    what: str
    told: str
    fine: bool
    needed: bool


def check_machine(home: str) -> list[Finding]:
    """Look at packages, processor, GPU, data and home."""
    return [*_packages(), *_processor(), _gpu(), _digits(), _mnist(), _home(home)]


def _packages() -> list[Finding]:
    findings = [Finding("python", platform.python_version(), True, True)]
    for name in PACKAGES:
        try:
            findings.append(Finding(name, importlib.metadata.version(name), True, True))
        except importlib.metadata.PackageNotFoundError:
            findings.append(Finding(name, f"not installed (pip install {name})", False, True))
    return findings


def _processor() -> list[Finding]:
    blas = [f"{lib['internal_api']} {lib['version']}, {lib.get('architecture', '')}" for lib in threadpool_info()]
    chosen = ", ".join(f"{name}={value}" for name, value in worker_environment().items())
    return [
        Finding("cores", str(cores()), True, True),
        Finding("BLAS", "; ".join(dict.fromkeys(blas)) or "unknown", True, True),
        Finding("a worker's BLAS", chosen, True, True),
    ]


def _gpu() -> Finding:
    missing = unavailable_reason("cuda")
    return Finding("GPU", missing or "CuPy finds a CUDA device", missing is None, needed=False)


def _digits() -> Finding:
    return _data("digits", Digits())


def _mnist() -> Finding:
    folder = data_folder() / "mnist"
    if not folder.exists():  # looking must not fetch 11 MB
        return Finding("MNIST", f"not in {folder}; fetched when first used", False, needed=False)
    return _data("MNIST", Mnist(limit=1))


def _data(name: str, data: Dataset) -> Finding:
    try:
        return Finding(name, f"{len(data.training()):,} or more training rows", True, needed=False)
    except WorldFault as fault:
        return Finding(name, str(fault), False, needed=False)


def _home(home: str) -> Finding:
    try:
        return Finding("home", str(Path(Workspace.at(home).path)), True, True)
    except UserMistake as mistake:
        return Finding("home", str(mistake), False, True)
