"""The record of a run: what its parent run in MLflow says of the sweep."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from searchlab.runs.describe import code_changes_of
from searchlab.runs.manifest import SweepManifest
from searchlab.runs.provenance import provenance
from searchlab.runs.secrets import mask_all
from searchlab.runs.workspace import Workspace
from searchlab.space.sweep import Sweep
from searchlab.tracking.recorder import Recorder
from searchlab.tracking.run_recorder import NullRecorder, RunRecorder
from searchlab.tracking.sweep_record import SweepRecord


def open_recorder(
    sweep: Sweep,
    manifest: SweepManifest,
    workspace: Workspace,
    root: Path,
    checksum: str,
    tell: Callable[[str], None],
) -> RunRecorder:
    """Return the recorder of a run.

    `root` is the project's folder, `checksum` that of the training rows; `tell` is called with a sentence when the
    store goes away or comes back.
    """
    if manifest.config.tracking is None:
        return NullRecorder()
    uri = manifest.config.tracking_uri or workspace.tracking_uri
    return Recorder(uri, _sweep_record(sweep, manifest, workspace, root, checksum), tell)


def _sweep_record(
    sweep: Sweep, manifest: SweepManifest, workspace: Workspace, root: Path, checksum: str
) -> SweepRecord:
    settings = {
        "seed": manifest.config.seed,
        "data": sweep.data,
        "validation": sweep.validation,
        "sampler": sweep.sampler,
    }
    settings |= {"early_stopping": sweep.early_stopping} if sweep.early_stopping else {}
    arguments = {path: str(value) for path, value in manifest.description["arguments"].items()}
    origin = provenance(root).items()
    tags = {name if name.startswith("mlflow.") else f"searchlab.{name}": value for name, value in origin}
    tags["searchlab.trials"] = str(manifest.trials)  # a tag, because a resumed sweep may have more
    tags["searchlab.data_checksum"] = checksum
    tags["searchlab.fingerprint"] = manifest.fingerprint
    if manifest.code_changes:
        tags["searchlab.code_changes"] = "; ".join(code_changes_of(manifest))
    return SweepRecord(
        name=manifest.name,
        metric=manifest.metric,
        goal=manifest.goal,
        home=workspace.path,
        params=mask_all({name: str(value) for name, value in settings.items()} | arguments),
        tags=mask_all(tags),
        files=[Path(manifest.spec)] if manifest.spec and Path(manifest.spec).is_file() else [],
        study=manifest.id,
        others=[metric.name for metric in sweep.metrics[1:]],
    )
