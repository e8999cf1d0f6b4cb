"""Checks of a machine for running sweeps; they start nothing and download nothing."""

from __future__ import annotations

import importlib.metadata
import platform
from dataclasses import dataclass

from threadpoolctl import threadpool_info

from searchlab.backend import unavailable_reason
from searchlab.data import Digits, Mnist
from searchlab.data.data_folder import data_folder
from searchlab.data.dataset import Dataset
from searchlab.engine.memory_limits import available_cores
from searchlab.environment import worker_environment
from searchlab.errors import UserMistake, WorldFault
from searchlab.runs.workspace import Workspace

PACKAGES = ("numpy", "ray", "optuna", "mlflow", "matplotlib", "scikit-learn")


@dataclass(frozen=True)
class Finding:
    """The result of one check.

    Attributes:
        what: What was checked.
        text: What was found.
        fine: Whether it is as it should be.
        needed: Whether sweeps on the CPU need it.
    """

    what: str
    text: str
    fine: bool
    needed: bool


def check_machine(home: str) -> list[Finding]:
    """Check packages, processor, GPU, data sets and home folder."""
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
    variables = ", ".join(f"{name}={value}" for name, value in worker_environment().items())
    return [
        Finding("cores", str(available_cores()), True, True),
        Finding("BLAS", "; ".join(dict.fromkeys(blas)) or "unknown", True, True),
        Finding("BLAS of workers", variables, True, True),
    ]


def _gpu() -> Finding:
    missing = unavailable_reason("cuda")
    return Finding("GPU", missing or "CuPy finds a CUDA device", missing is None, needed=False)


def _digits() -> Finding:
    return _data("digits", Digits())


def _mnist() -> Finding:
    folder = data_folder() / "mnist"
    if not folder.exists():  # a check must not download 11 MB
        return Finding("MNIST", f"not in {folder}; downloaded when it is first used", False, needed=False)
    return _data("MNIST", Mnist(limit=1))


def _data(name: str, dataset: Dataset) -> Finding:
    try:
        dataset.training()
    except WorldFault as fault:
        return Finding(name, str(fault), False, needed=False)
    return Finding(name, "its files are complete", True, needed=False)


def _home(home: str) -> Finding:
    try:
        return Finding("home", str(Workspace.at(home).path), True, True)
    except UserMistake as mistake:
        return Finding("home", str(mistake), False, True)
