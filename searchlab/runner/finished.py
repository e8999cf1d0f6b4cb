"""A sweep that has ended: whether `resume` has anything left to do, and its winner where no trial was added."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Any

from searchlab.results.stored_result import winner_of
from searchlab.results.winner import Winner
from searchlab.runs.manifest import SweepManifest
from searchlab.runs.trials import TrialRecord, ended
from searchlab.runs.workspace import SweepFolder, Workspace

ENDED = ("FINISHED", "FAILED")


def is_finished(manifest: SweepManifest, workspace: Workspace) -> bool:
    """Return whether a sweep has all its trials, its result, its artifact and its record in MLflow.

    A search that a limit of its budget ended is not finished: the sweep may have a larger budget now.
    """
    folder = workspace.sweep(manifest.name)
    stored = folder.read("result") or {}
    if stored.get("state") not in ENDED or stored.get("over") or stored.get("record_fault"):
        return False
    return _has_artifact(stored, folder) and _has_record(stored, manifest, workspace)


def is_untested(folder: SweepFolder) -> bool:
    """Return whether a sweep has a winner that was not tested, because its test rows had been opened before."""
    best: Mapping[str, Any] = (folder.read("result") or {}).get("best") or {"test": 0.0}
    return best["test"] is None


def stored_winner(
    stored: Mapping[str, Any] | None, trials: Sequence[TrialRecord], manifest: SweepManifest, folder: SweepFolder
) -> Winner | None:
    """Return the winner of an earlier run where no trial has ended since; None where one has to be chosen.

    The test rows are then not opened again, as when a run only completes the record.
    """
    if not stored or not stored.get("best") or not _has_artifact(stored, folder):
        return None
    if manifest.config.look_again and stored["best"]["test"] is None:
        return None
    counted = sum(count for state, count in stored["trials"].items() if state != "asked")
    return winner_of(stored["best"], trials, manifest, folder) if counted == len(ended(trials)) else None


def _has_artifact(stored: Mapping[str, Any], folder: SweepFolder) -> bool:
    return not stored.get("best") or (folder.artifact / "manifest.json").exists()


def _has_record(stored: Mapping[str, Any], manifest: SweepManifest, workspace: Workspace) -> bool:
    """Return whether the record is where it was written, as far as that can be seen without a server."""
    if manifest.config.tracking is None or manifest.config.tracking_uri:
        return True
    try:
        with closing(sqlite3.connect(f"{(workspace.path / 'mlflow.db').absolute().as_uri()}?mode=ro", uri=True)) as db:
            return db.execute("select 1 from runs where run_uuid = ?", (stored.get("run_id"),)).fetchone() is not None
    except sqlite3.Error:
        return False
