"""The result of a sweep that was run before, read from its home."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from searchlab.monitor.status import status_of
from searchlab.results.baseline import Baseline
from searchlab.results.finalists import Finalist
from searchlab.results.result import Result, ResultState
from searchlab.results.winner import Winner
from searchlab.runs.manifest import SweepManifest
from searchlab.runs.trials import TrialRecord
from searchlab.runs.urls import without_password
from searchlab.runs.workspace import SweepFolder, Workspace
from searchlab.scoring import LayerStatistics
from searchlab.study.reading import read_trials

STATES: Mapping[str, ResultState] = {
    "finished": "FINISHED",
    "failed": "FAILED",
    "running": "RUNNING",
    "interrupted": "INTERRUPTED",
}


def open(name: str, *, home: str | os.PathLike[str] = ".searchlab", storage: str | None = None) -> Result:
    """Return the result of a sweep that was run before, or what there is of one that runs or was interrupted.

    Args:
        name: Name of the sweep.
        home: Folder of studies, checkpoints, artifacts and the MLflow store; default: ".searchlab".
        storage: URL of the study's database with its password, where the study is in one; default: without a password.

    Returns:
        The result; its winner has no predictions, which are not stored.

    Raises:
        UserMistake: When there is no sweep of this name.

    Example:
        >>> import tempfile
        >>> import searchlab
        >>> searchlab.open("no-such-sweep", home=tempfile.mkdtemp())
        Traceback (most recent call last):
        searchlab.errors.UserMistake: there is no sweep called 'no-such-sweep' in ...; there are: none yet.
    """
    workspace = Workspace.at(home, storage)
    folder = workspace.sweep(name)
    manifest = SweepManifest.load(folder)
    trials = read_trials(manifest.study_storage(folder), manifest.name)
    state = STATES[status_of(folder).state]
    stored: dict[str, Any] = (folder.read("result") or {}) if state in ("FINISHED", "FAILED") else {}
    report = folder.path / "report.html"
    return Result(
        sweep=name,
        state=state,
        trials=tuple(trials),
        requested=manifest.trials,
        winner=winner_of(stored["best"], trials, manifest, folder) if stored.get("best") else None,
        metric=manifest.metric,
        goal=manifest.goal,
        seconds=stored.get("seconds", {}),
        tracking_uri=_tracking_uri(manifest, workspace) if stored.get("tracking_uri") else None,
        run_id=stored.get("run_id"),
        record_fault=stored.get("record_fault"),
        registered=stored.get("registered"),
        figures=tuple(sorted(folder.figures.glob("*.png"))) if stored else (),
        others={other: goal for other, goal in manifest.goals.items() if other != manifest.metric},
        over=stored.get("over"),
        report=report if report.exists() else None,
        home=workspace.path,
    )


def _tracking_uri(manifest: SweepManifest, workspace: Workspace) -> str:
    """Return the URL of the MLflow store: of a server, or of the home folder where it is now."""
    return without_password(manifest.config.tracking_uri or workspace.tracking_uri)


def winner_of(
    best: Mapping[str, Any], trials: Sequence[TrialRecord], manifest: SweepManifest, folder: SweepFolder
) -> Winner:
    """Return the winner that `result.json` holds, without predictions and gradient norms, which are not stored."""
    by_metric: dict[str, Any] = {manifest.metric: best, **best.get("others", {})}
    tested = {name: scores for name, scores in by_metric.items() if scores["test"] is not None}
    layers = folder.read(folder.layer_statistics.stem)
    samples: Path | None = folder.samples if folder.samples.exists() else None
    return Winner(
        trial=next(trial for trial in trials if trial.number == best["trial"]),
        test_scores={name: scores["test"] for name, scores in tested.items()},
        artifact_scores={name: scores["test_float16"] for name, scores in tested.items()},
        artifact=folder.artifact,
        samples=samples,
        layer_statistics=LayerStatistics.from_json(layers) if layers else None,
        test_look=best.get("test_look", 1),
        learning_rate_factors=best.get("learning_rate_factors", ()),
        baseline=Baseline(**best["baseline"]) if best.get("baseline") else None,
        networks=best.get("networks", 1),
        network_scores=tuple(best.get("network_tests", ())),
        finalists=tuple(Finalist.from_json(values) for values in best.get("finalists", ())),
    )
