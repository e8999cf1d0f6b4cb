"""The report of a sweep, made from what is stored of it: at the end of every run, and by `searchlab report`."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from searchlab.errors import WorldFault
from searchlab.metrics import Goal
from searchlab.monitor.reasons import STATE_NAMES, ReasonCount, count_reasons
from searchlab.monitor.snapshot import SweepState
from searchlab.monitor.status import status_of
from searchlab.reporting.page import Page, TrialRow, render
from searchlab.reporting.pruning_savings import compute_pruning_savings
from searchlab.reporting.search_figures import save_search_figures
from searchlab.reporting.sentences import sentences
from searchlab.reporting.svg_charts import StepChart, best_score_chart
from searchlab.runs.describe import (
    arguments_of,
    code_changes_of,
    command_of,
    python_values_of,
    set_options_of,
    settings_of,
)
from searchlab.runs.manifest import SweepManifest
from searchlab.runs.provenance import provenance
from searchlab.runs.trials import State, TrialRecord, pareto, winner_candidates
from searchlab.runs.urls import without_password
from searchlab.runs.workspace import SweepFolder, Workspace, write_atomically

TOP_TRIALS = 10  # rows of the table of the best trials
MAX_ROWS = 1000  # rows of the table of all trials; more make a browser slow
MAX_SAMPLE_LETTERS = 20_000  # of a language model's samples; the last ones are those of its last epoch
OPTIONAL_COUNTS: tuple[State, ...] = ("INFEASIBLE", "RUNNING")  # shown only where there are such trials


@dataclass(frozen=True)
class SweepReport:
    """The path of a report, and the state of the sweep when it was written."""

    sweep: str
    state: SweepState
    path: Path


def create_report(name: str, workspace: Workspace) -> SweepReport:
    """Write the report of a sweep as it is now: running, interrupted, failed or finished.

    The figures of a sweep that has not ended are plotted for this report alone. Raises UserMistake when there is no
    sweep of this name.
    """
    from searchlab.study.reading import read_trials

    folder = workspace.sweep(name)
    manifest, state = SweepManifest.load(folder), status_of(folder).state
    trials = read_trials(manifest.study_storage(folder), manifest.name)
    if state in ("finished", "failed"):
        figures: Sequence[Path] = sorted(folder.figures.glob("*.png"))
        path = write_report(manifest, workspace, trials, state, folder.read("result"), figures)
        return SweepReport(name, state, path)
    others = {other: goal for other, goal in manifest.goals.items() if other != manifest.metric}
    with TemporaryDirectory() as temporary:
        plots = Path(temporary)
        figures = save_search_figures(trials, manifest.metric, manifest.goal, plots, others) if trials else ()
        return SweepReport(name, state, write_report(manifest, workspace, trials, state, None, figures))


def write_report(
    manifest: SweepManifest,
    workspace: Workspace,
    trials: Sequence[TrialRecord],
    state: SweepState,
    result: Mapping[str, Any] | None,
    figures: Sequence[Path],
) -> Path:
    """Write `report.html` into the sweep's folder and return its path.

    `result` are the values of `Result.to_json`, None while there are none. Raises WorldFault when it cannot be written.
    """
    path = workspace.sweep(manifest.name).path / "report.html"
    page = _page(manifest, workspace, trials, state, result or {}, figures)
    try:
        write_atomically(path, render(page).encode())
    except OSError as error:
        raise WorldFault(
            f"the report {path} could not be written ({error.strerror}); every trial is kept, and "
            f"`searchlab report {manifest.name}` tries again."
        ) from error
    return path


def _page(
    manifest: SweepManifest,
    workspace: Workspace,
    trials: Sequence[TrialRecord],
    state: SweepState,
    result: Mapping[str, Any],
    figures: Sequence[Path],
) -> Page:
    folder, goals = workspace.sweep(manifest.name), manifest.goals
    return Page(
        name=manifest.name,
        state=state,
        over=result.get("over"),
        requested=manifest.trials,
        counts=_counts(trials),
        metric=manifest.metric,
        goal=manifest.goal,
        others={name: goal for name, goal in goals.items() if name != manifest.metric},
        best=result.get("best"),
        top=[_row(trial) for trial in winner_candidates(trials, [manifest.goal])[:TOP_TRIALS]],
        front=[_row(trial) for trial in pareto(trials, list(goals.values()))] if len(goals) > 1 else [],
        trials=[_row(trial) for trial in trials[:MAX_ROWS]],
        omitted=max(0, len(trials) - MAX_ROWS),
        charts=_charts(trials, manifest.metric, manifest.goal),
        pruning=compute_pruning_savings(trials, manifest.description["arguments"]),
        failures=(failures := _failures(trials)),
        tracebacks=_tracebacks(trials, failures),
        settings=settings_of(manifest.description),
        arguments=arguments_of(manifest.description),
        seconds=result.get("seconds", {}),
        command=command_of(manifest),
        code_changes=code_changes_of(manifest),
        is_reproducible=manifest.is_reproducible,
        origin=_origin(manifest, folder, has_winner=bool(result)),
        places=_places(manifest, workspace, result),
        created=manifest.created,
        written=time.time(),
        figures=figures,
        samples=_samples(folder) if result.get("best") else None,
        happened=sentences(manifest, trials, result),
        artifact_bytes=_size(folder.artifact) if result.get("artifact") else None,
        loading=_loading(folder) if result.get("artifact") else "",
        dashboard=_dashboard(manifest, result),
    )


def _counts(trials: Sequence[TrialRecord]) -> dict[str, int]:
    """Return the number of trials by state; infeasible and unfinished trials are left out where there are none."""
    counts = {state: sum(trial.state == state for trial in trials) for state in STATE_NAMES}
    return {STATE_NAMES[state]: count for state, count in counts.items() if count or state not in OPTIONAL_COUNTS}


def _row(trial: TrialRecord) -> TrialRow:
    return TrialRow(
        number=trial.number,
        state=STATE_NAMES[trial.state],
        score=trial.value,
        std=trial.std if trial.epoch else None,
        others=trial.values[1:],
        epoch=trial.epoch,
        epochs=len(trial.curve.scores),
        seconds=trial.curve.seconds,
        parameters=trial.parameters,
        reason=trial.reason,
        options=set_options_of(trial.parameters),
        python=python_values_of(trial.parameters),
        overfitted=trial.overfitted,
    )


def _failures(trials: Sequence[TrialRecord]) -> dict[str, Sequence[ReasonCount]]:
    """Return the reasons of the trials that failed and of those that are infeasible."""
    states: tuple[State, ...] = ("FAIL", "INFEASIBLE")
    reasons = {STATE_NAMES[state]: count_reasons(trial for trial in trials if trial.state == state) for state in states}
    return {name: counted for name, counted in reasons.items() if counted}


def _tracebacks(trials: Sequence[TrialRecord], failures: Mapping[str, Sequence[ReasonCount]]) -> Mapping[int, str]:
    """Return the tracebacks of the first trial of each reason, by its number."""
    first = {counted.first_trial for counts in failures.values() for counted in counts}
    return {trial.number: trial.traceback for trial in trials if trial.number in first and trial.traceback}


def _charts(trials: Sequence[TrialRecord], metric: str, goal: Goal) -> list[StepChart]:
    """Return charts of the best score so far, over time and over the number of trials that have ended."""
    ended = sorted(((t.ended, t) for t in trials if t.ended is not None), key=lambda pair: pair[0])
    if not ended:
        return []
    begin = min(trial.started for trial in trials)
    seconds = ended[-1][0] - begin
    unit, size = ("hours", 3600.0) if seconds > 7200 else ("minutes", 60.0) if seconds > 180 else ("seconds", 1.0)
    scored = [
        (number, (time - begin) / size, trial.value)
        for number, (time, trial) in enumerate(ended, start=1)
        if trial.state == "COMPLETE" and trial.value is not None
    ]
    over_time, over_trials = ([(row[column], row[2]) for row in scored] for column in (1, 0))
    charts = (
        best_score_chart(over_time, f"{unit} since the first trial started", metric, goal, seconds / size),
        best_score_chart(over_trials, "trials that have ended", metric, goal, float(len(ended))),
    )
    return [chart for chart in charts if chart]


def _size(folder: Path) -> int:
    """Return the bytes of all files of a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _loading(folder: SweepFolder) -> str:
    """Return Python code that loads the artifact."""
    path = str(folder.artifact)
    return f"from searchlab import artifact\n\nwinner = artifact.load({path!r})  # winner.predict(x) asks it"


def _dashboard(manifest: SweepManifest, result: Mapping[str, Any]) -> str | None:
    """Return the URL of the sweep's run on an MLflow server, without a password; None without a server."""
    server = manifest.config.tracking_uri if manifest.config.tracking else None
    if not server or not server.startswith(("http://", "https://")):
        return None
    run = f"/#/runs/{result['run_id']}" if result.get("run_id") else ""
    return without_password(server).rstrip("/") + run


def _samples(folder: SweepFolder) -> str | None:
    return folder.samples.read_text(encoding="utf-8")[-MAX_SAMPLE_LETTERS:] if folder.samples.exists() else None


def _origin(manifest: SweepManifest, folder: SweepFolder, *, has_winner: bool) -> dict[str, str]:
    """Return versions, commit and checksums: those of the winner's artifact, or without a winner the present ones."""
    artifact = (folder.read("artifact/manifest") if has_winner else None) or {}
    versions = dict(artifact.get("versions") or provenance(manifest.project_root(folder), manifest.kernels))
    versions.pop("mlflow.source.git.commit", None)
    origin = {name.removeprefix("version.").replace("git.", "git "): text for name, text in versions.items()}
    if checksum := (folder.read("data") or {}).get("checksum"):
        origin["training rows, SHA-256"] = checksum
    return origin | {"space, SHA-256": manifest.fingerprint}


def _places(manifest: SweepManifest, workspace: Workspace, result: Mapping[str, Any]) -> dict[str, str]:
    """Return where everything is stored, without the passwords of servers."""
    config, folder = manifest.config, workspace.sweep(manifest.name)
    places = {
        "sweep file": manifest.spec,
        "artifact": folder.artifact if result.get("artifact") else None,
        "study": manifest.study_storage(folder),
        "MLflow": (config.tracking_uri or workspace.tracking_uri) if config.tracking else None,
    }
    shown = {name: without_password(str(place)) for name, place in places.items() if place}
    return shown | ({"record": str(result["record_fault"])} if result.get("record_fault") else {})
