"""A sweep's report, from what is stored of it: at the end of every run, and whenever it is asked for."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from searchlab.errors import WorldFault
from searchlab.metrics import Goal
from searchlab.monitor.status import SweepState, status_of
from searchlab.project import root_of
from searchlab.reporting.page import Page, Trial, render
from searchlab.reporting.pruning_savings import pruning_savings_of, reasons_of
from searchlab.reporting.search_figures import save_search_figures
from searchlab.reporting.svg_charts import Chart, best_chart
from searchlab.runs.config import RunConfig
from searchlab.runs.describe import arguments_of, command_of, settings_of
from searchlab.runs.provenance import provenance
from searchlab.runs.trials import TrialRecord, contenders, pareto
from searchlab.runs.workspace import Workspace, write_atomically

TOP = 10  # trials of the first table
ROWS = 1000  # trials of the last one: a browser shows no more at ease
SAMPLES = 20_000  # characters of what a language model wrote; the last are of its last epoch
CREDENTIALS = re.compile(r"//[^/@]*@")
STATES = {"complete": "COMPLETE", "pruned": "PRUNED", "failed": "FAIL", "infeasible": "INFEASIBLE", "open": "RUNNING"}


@dataclass(frozen=True)
class SweepReport:
    """Where a report lies, and how the sweep stood when it was written."""

    sweep: str
    state: SweepState
    path: Path


def report(name: str, home: Workspace) -> SweepReport:
    """Write the report of a sweep as it stands, begun, interrupted or finished, and say where it lies.

    Of a sweep that is not finished, the pictures of the search are drawn for it. Raises UserMistake when no sweep has
    this name.
    """
    from searchlab.study.reading import peek

    folder = home.sweep(name)
    order, state = RunConfig.of(folder), status_of(folder).state
    trials = peek(order.storage or folder.study, order.name)
    if state in ("finished", "failed"):
        pictures = sorted(folder.figures.glob("*.png"))
        return SweepReport(name, state, write_report(order, home, trials, state, folder.read("result"), pictures))
    metrics = order.metrics
    (metric, goal), others = next(iter(metrics.items())), dict(list(metrics.items())[1:])
    with TemporaryDirectory() as drawn:
        pictures = list(save_search_figures(trials, metric, goal, Path(drawn), others)) if trials else []
        return SweepReport(name, state, write_report(order, home, trials, state, None, pictures))


def write_report(
    order: RunConfig,
    home: Workspace,
    trials: Sequence[TrialRecord],
    state: SweepState,
    result: Mapping[str, Any] | None,
    pictures: Sequence[Path],
) -> Path:
    """Write `report.html` into the sweep's folder. `result` is what `Result.plain` says; None while there is none.

    Raises WorldFault when it cannot be written.
    """
    path = home.sweep(order.name).path / "report.html"
    page = _page(order, home, trials, state, result or {}, pictures)
    try:
        write_atomically(path, render(page).encode())
    except OSError as error:
        raise WorldFault(
            f"the report {path} could not be written ({error.strerror}); every trial is kept, and "
            f"`searchlab report {order.name}` tries again."
        ) from error
    return path


def _page(
    order: RunConfig,
    home: Workspace,
    trials: Sequence[TrialRecord],
    state: SweepState,
    result: Mapping[str, Any],
    pictures: Sequence[Path],
) -> Page:
    folder, metrics = home.sweep(order.name), order.metrics
    (metric, goal), arguments = next(iter(metrics.items())), order.description["arguments"]
    return Page(
        name=order.name,
        state=state,
        over=result.get("over"),
        asked=order.trials,
        counts=_counts(trials),
        metric=metric,
        goal=goal,
        others=dict(list(metrics.items())[1:]),
        best=result.get("best"),
        top=[_row(trial) for trial in contenders(trials, [goal])[:TOP]],
        front=[_row(trial) for trial in pareto(trials, list(metrics.values()))] if len(metrics) > 1 else [],
        trials=[_row(trial) for trial in trials[:ROWS]],
        charts=_charts(trials, metric, goal),
        saving=pruning_savings_of(trials, arguments),
        failures=_failures(trials),
        settings=settings_of(order.description),
        arguments=arguments_of(order.description),
        seconds=result.get("seconds", {}),
        command=command_of(order),
        steady=order.workers == 1 or order.generation > 0,
        origin=_origin(order, home, bool(result)),
        places=_places(order, home, result),
        begun=order.created,
        written=time.time(),
        pictures=pictures,
        samples=folder.samples.read_text(encoding="utf-8")[-SAMPLES:]
        if result.get("best") and folder.samples.exists()
        else None,
        hidden=max(0, len(trials) - ROWS),
    )


def _counts(trials: Sequence[TrialRecord]) -> dict[str, int]:
    """How many trials are in each state; infeasible and open ones where there are any."""
    counts = {word: sum(trial.state == state for trial in trials) for word, state in STATES.items()}
    return {word: count for word, count in counts.items() if count or word not in ("infeasible", "open")}


def _row(trial: TrialRecord) -> Trial:
    std = trial.std if trial.epoch else None
    return Trial(
        trial.number, trial.state.lower(), trial.value, std, trial.values[1:], trial.epoch, len(trial.curve.scores),
        trial.curve.seconds, trial.parameters, trial.reason,
    )  # fmt: skip


def _failures(trials: Sequence[TrialRecord]) -> dict[str, Any]:
    """Why trials failed or were not trained, by the word for it."""
    found = {word: [t for t in trials if t.state == STATES[word]] for word in ("failed", "infeasible")}
    return {word: reasons_of(of) for word, of in found.items() if of}


def _charts(trials: Sequence[TrialRecord], metric: str, goal: Goal) -> list[Chart]:
    """The best score so far by the clock, and by the trials that had ended."""
    ended = sorted((trial for trial in trials if trial.ended is not None), key=lambda trial: trial.ended or 0.0)
    if not ended:
        return []
    begun = min(trial.started for trial in trials)
    last = (ended[-1].ended or begun) - begun
    unit, size = ("hours", 3600.0) if last > 7200 else ("minutes", 60.0) if last > 180 else ("seconds", 1.0)
    scored = [(place, t) for place, t in enumerate(ended, start=1) if t.state == "COMPLETE" and t.value is not None]
    by_clock = [(((t.ended or begun) - begun) / size, t.value or 0.0) for _, t in scored]
    by_trial = [(float(place), t.value or 0.0) for place, t in scored]
    drawn = (
        best_chart(by_clock, f"{unit} since the first trial began", metric, goal, last / size),
        best_chart(by_trial, "trials that have ended", metric, goal, float(len(ended))),
    )
    return [chart for chart in drawn if chart]


def _origin(order: RunConfig, home: Workspace, ended: bool) -> dict[str, str]:
    """Versions, commit and data: those of the winner's manifest, or while there is none, those of here and now."""
    folder = home.sweep(order.name)
    manifest = (folder.read("artifact/manifest") if ended else None) or {}
    root = root_of(Path(order.spec)) if order.spec else Path.cwd()
    found = dict(manifest.get("versions") or provenance(root))
    found.pop("mlflow.source.git.commit", None)
    told = {name.removeprefix("version.").replace("git.", "git "): text for name, text in found.items()}
    checksum = (folder.read("data") or {}).get("checksum")
    return told | ({"training rows, SHA-256": checksum} if checksum else {}) | {"space, SHA-256": order.fingerprint}


def _places(order: RunConfig, home: Workspace, result: Mapping[str, Any]) -> dict[str, str]:
    """Where the sweep's things lie; a server's address is told without its password."""
    folder = home.sweep(order.name)
    places = {"sweep file": order.spec, "artifact": result.get("artifact"), "study": order.storage or str(folder.study)}
    places["record"] = order.tracking_uri or home.tracking_uri
    return {name: CREDENTIALS.sub("//", str(place)) for name, place in places.items() if place}
