"""The code of a resumed sweep, which is that of its earlier trials unless a change is accepted and recorded."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

from searchlab.environment import KERNELS_VARIABLE
from searchlab.errors import UserMistake, WorldFault
from searchlab.monitor.study_reader import open_study
from searchlab.project import project_root
from searchlab.runs.manifest import SweepManifest
from searchlab.runs.sweep_code import SWEEP_FILE, changed_code, hash_code
from searchlab.runs.workspace import SweepFolder
from searchlab.space.kernel_choice import kernels_of
from searchlab.space.sweep import Sweep


def accept_code(manifest: SweepManifest, sweep: Sweep, folder: SweepFolder, *, accept_changes: bool) -> SweepManifest:
    """Return the manifest with the sweep's present code, and with how it differs from the code so far.

    A manifest without code, of an older version, accepts any. Raises UserMistake for code that has changed, and for
    other kernels than the earlier trials were trained with, unless `accept_changes`.
    """
    now, names = _compare(manifest, sweep, folder)
    kernels = kernels_of(sweep)
    if manifest.kernels != kernels:
        if not accept_changes:
            raise UserMistake(
                f"{manifest.name!r} was trained with the kernels {manifest.kernels!r}, and {kernels!r} are used here, "
                f"which round differently; set {KERNELS_VARIABLE}={manifest.kernels} to continue as before, or go on "
                f"with these, which is recorded: `searchlab resume {manifest.name} --changed-code`."
            )
        names = [*names, f"kernels {kernels}"]
    if not names:
        return replace(manifest, code={**manifest.code, **now})
    if not accept_changes:
        raise UserMistake(
            f"the code of {manifest.name!r} has changed since it was started: {', '.join(names)}; restore it to "
            f"continue, or go on with the new code, which is recorded: `searchlab resume {manifest.name} "
            "--changed-code`."
        )
    change = {"time": time.time(), "ended": _ended(manifest, folder), "names": names}
    return replace(manifest, code=now, kernels=kernels, code_changes=[*manifest.code_changes, change])


def changed_files(manifest: SweepManifest, sweep: Sweep, folder: SweepFolder) -> list[str]:
    """Return the names of the files and functions of a sweep that have changed since it was last run."""
    return _compare(manifest, sweep, folder)[1]


def _compare(manifest: SweepManifest, sweep: Sweep, folder: SweepFolder) -> tuple[dict[str, str], list[str]]:
    """Return the hashes of the sweep's present code, and the names of what differs from the stored ones."""
    spec = Path(manifest.spec) if manifest.spec and Path(manifest.spec).is_file() else None
    root = project_root(spec) if spec else manifest.project_root(folder)
    now = hash_code(sweep, spec, root)
    stored = {name: hashed for name, hashed in manifest.code.items() if spec or name != SWEEP_FILE}
    names = changed_code(stored, now, root) if stored else []
    return now, [f"{name} {spec.name}" if spec and name == SWEEP_FILE else name for name in names]


def _ended(manifest: SweepManifest, folder: SweepFolder) -> int | None:
    """Return how many trials have ended; None where only the cluster reaches the study."""
    storage = manifest.study_storage(folder)
    try:
        return open_study(storage, manifest.name, manifest.goal, with_parameters=False).read().ended
    except WorldFault:
        return None
