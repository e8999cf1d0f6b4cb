"""The winner of a finished sweep, trained once more from what the sweep has recorded."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from searchlab.artifact.format import MANIFEST, WEIGHTS
from searchlab.backend import Array
from searchlab.engine.refit import available_device, refit_locally
from searchlab.errors import UserMistake
from searchlab.runner.changed_code import changed_files
from searchlab.runner.stored_sweep import StoredSweep
from searchlab.runs.manifest import SweepManifest
from searchlab.runs.provenance import provenance
from searchlab.space.kernel_choice import kernels_of
from searchlab.space.sweep import Sweep


@dataclass(frozen=True)
class Reproduction:
    """A winner that was trained again, compared with its artifact.

    Attributes:
        sweep: Name of the sweep.
        trial: Number of the trial.
        tensors: Number of tensors of the artifact.
        different: Names of the tensors that are not the same, bit for bit.
        largest_difference: Largest absolute difference of a weight; 0 where all are the same.
        changes: What has changed since: versions, files and data, as text.
    """

    sweep: str
    trial: int
    tensors: int
    different: tuple[str, ...]
    largest_difference: float
    changes: tuple[str, ...]

    @property
    def is_same(self) -> bool:
        """Whether every weight is the same."""
        return not self.different

    def to_json(self) -> dict[str, Any]:
        """Return the comparison as JSON values."""
        return {
            "sweep": self.sweep,
            "trial": self.trial,
            "same": self.is_same,
            "tensors": self.tensors,
            "different": list(self.different),
            "largest_difference": self.largest_difference,
            "changes": list(self.changes),
        }


def reproduce(
    name: str, *, home: str | os.PathLike[str] = ".searchlab", storage: str | None = None, sweep: Sweep | None = None
) -> Reproduction:
    """Train the winner of a finished sweep again, by the recorded sweep file, seed and data, and compare its weights.

    Nothing is written, and the test rows are not opened.

    Args:
        name: Name of the sweep.
        home: Folder of studies, checkpoints, artifacts and the MLflow store; default: ".searchlab".
        storage: URL of the study's database with its password; default: without a password.
        sweep: The sweep, where it was started from Python; default: it is loaded from its file.

    Raises:
        UserMistake: When there is no such sweep, it has no winner, or its file means another sweep now.
    """
    stored_sweep = StoredSweep.load(name, home=home, storage=storage, sweep=sweep)
    job, folder, manifest = stored_sweep.job, stored_sweep.folder, stored_sweep.manifest
    best = (folder.read("result") or {}).get("best")
    if not best:
        raise UserMistake(f"the sweep {name!r} has no winner yet; `searchlab resume {name}` continues it.")
    trial = stored_sweep.trial(best["trial"])
    refit = refit_locally(job, trial, available_device(job.config.device))
    stored = folder.read(f"artifact/{Path(MANIFEST).stem}") or {}
    expected = _read_weights(folder.artifact)
    different = _differences(expected, refit.state)
    changes = [
        *_changed_versions(stored, manifest, folder.path, kernels_of(job.sweep)),
        *changed_files(manifest, job.sweep, folder),
    ]
    if stored.get("checksum") != job.rows.load().checksum():
        changes.append("the training rows are others")
    return Reproduction(
        name, trial.number, len(expected), tuple(different), max(different.values(), default=0.0), tuple(changes)
    )


def _read_weights(folder: Path) -> dict[str, Array]:
    with np.load(folder / WEIGHTS, allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files if "/" not in name}  # without the scalings


def _differences(expected: Mapping[str, Array], state: Mapping[str, Array]) -> dict[str, float]:
    """Return the largest absolute difference of each tensor that is another one, by name.

    The state is that of a trainer, whose parameters begin with "parameters/".
    """
    different: dict[str, float] = {}
    for name, values in expected.items():
        found = state.get(f"parameters/{name}")
        if found is None:
            different[name] = float("inf")
            continue
        with np.errstate(all="ignore"):
            rounded = np.asarray(found if len(found) > 1 else found[0]).astype(values.dtype)  # (K, ...): an ensemble
        if not np.array_equal(rounded, values):
            gap = np.abs(rounded.astype(np.float64) - values.astype(np.float64))
            different[name] = float(gap.max())
    return different


def _changed_versions(stored: Mapping[str, Any], manifest: SweepManifest, folder: Path, kernels: str) -> list[str]:
    """Return the versions that are others than when the artifact was written, as text."""
    then = dict(stored.get("versions") or {})
    now = provenance(Path(manifest.spec).parent if manifest.spec else folder, kernels)
    names = [n for n in then if n in now and now[n] != then[n] and not n.startswith("mlflow.")]
    return [f"{name.removeprefix('version.')} was {then[name]} and is {now[name]}" for name in names]
