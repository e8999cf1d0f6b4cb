"""The record of a run: what its parent run in MLflow says of the sweep."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from searchlab.errors import WorldFault
from searchlab.reporting.formats import factors_text, score
from searchlab.results.result import Result
from searchlab.results.winner import Winner
from searchlab.runner.description import run_description, start_description
from searchlab.runs.describe import arguments_of, code_changes_of
from searchlab.runs.manifest import SweepManifest
from searchlab.runs.provenance import provenance
from searchlab.runs.secrets import mask, mask_all
from searchlab.runs.workspace import Workspace
from searchlab.space.sweep import Sweep
from searchlab.tracking.early_writer import EarlyWriter
from searchlab.tracking.recorder import Recorder
from searchlab.tracking.run_recorder import NullRecorder, RunRecorder
from searchlab.tracking.sweep_record import SweepRecord

NOTE = "mlflow.note.content"  # the tag that MLflow shows as the description of a run


def open_recorder(
    sweep: Sweep,
    manifest: SweepManifest,
    workspace: Workspace,
    root: Path,
    checksum: str,
    tell: Callable[[str], None],
    early: EarlyWriter | None = None,
) -> RunRecorder:
    """Return the recorder of a run.

    `root` is the project's folder, `checksum` that of the training rows; `tell` is called with a sentence when the
    store goes away or comes back; `early` is the process that writes, where it was started before.
    """
    if manifest.config.tracking is None:
        return NullRecorder()
    uri = manifest.config.tracking_uri or workspace.tracking_uri
    return Recorder(uri, _sweep_record(sweep, manifest, workspace, root, checksum), tell, early)


def log_winner(recorder: RunRecorder, winner: Winner, register: str | None = None) -> None:
    """Attach what the winner left to the sweep's run, and log the winner as a model."""
    recorder.log_artifact(winner.artifact, "winner")
    recorder.log_model(winner.artifact, register)
    if winner.samples:
        recorder.log_artifact(winner.samples, "samples")


def conclude_record(recorder: RunRecorder, manifest: SweepManifest, result: Result) -> tuple[str | None, str | None]:
    """Return the id of the sweep's run in MLflow, or why the record is not complete: the results are whole."""
    winner, over = result.winner, result.over
    description = mask(run_description(manifest, winner, result.counts(), over))
    tags = {"searchlab.over": over or "", NOTE: description, **_winner_tags(winner)}
    scores = winner.scores(list(manifest.goals)) if winner else {}
    try:
        return recorder.conclude(result.state, scores, tags) or None, None
    except WorldFault as error:
        return None, mask(str(error))


def winner_text(winner: Winner, metric: str) -> str:
    """Return the sentence that tells the winner as soon as it is known, before any figure is drawn."""
    test = "" if winner.test_score is None else f", test {metric} {score(winner.test_score)}"
    tie = f"; {winner.tie}" if winner.tie else ""
    return f"the winner is trial {winner.trial.number}: {metric} {score(winner.cross_validated_score)}{test}{tie}"


def _winner_tags(winner: Winner | None) -> dict[str, str]:
    """Return what the tags of the sweep's MLflow run say of the winner."""
    if winner is None:
        return {"searchlab.winner": "none"}
    tags = {"searchlab.winner": str(winner.trial.number), "searchlab.test_look": str(winner.test_look or "none")}
    factors = factors_text(winner.learning_rate_factors)
    return tags | ({"searchlab.refit_learning_rate_factors": factors} if factors else {})


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
    # under a prefix, because a trial's own value has the name alone, and MLflow draws runs with equal names on one axis
    arguments = {f"space.{path}": str(value) for path, value in manifest.description["arguments"].items()}
    origin = provenance(root, manifest.kernels).items()
    tags = {name if name.startswith("mlflow.") else f"searchlab.{name}": value for name, value in origin}
    tags["searchlab.trials"] = str(manifest.trials)  # a tag, because a resumed sweep may have more
    tags["searchlab.data_checksum"] = checksum
    tags["searchlab.fingerprint"] = manifest.fingerprint
    tags[NOTE] = start_description(manifest)
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
        searched=mask_all(
            {path: text for path, (text, is_searched) in arguments_of(manifest.description).items() if is_searched}
        ),
        data=mask_all({"name": type(sweep.data).__name__, "checksum": checksum, "source": repr(sweep.data)}),
    )
