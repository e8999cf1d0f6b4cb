"""The winner: fitted again on all training rows, measured once on the test rows, and written as a float16 artifact.

The only place that reads a data set's test rows, and it writes down that it does before it does.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from searchlab import artifact
from searchlab.backend import Device, to_host
from searchlab.data.examples import Table
from searchlab.data.splits import EveryRow, Rows
from searchlab.errors import WorldFault
from searchlab.metrics import Metric
from searchlab.nn.layer import Model
from searchlab.service.home import SweepFolder
from searchlab.service.records import TrialRecord, ranked
from searchlab.sweep.groups import build
from searchlab.sweep.sweep import Sweep
from searchlab.training import Trainer

REFIT = 0x5EED  # set beside the sweep's seed: the refit's weights and row orders are none that a fold had


@dataclass(frozen=True)
class Winner:
    """The chosen trial and what its refit scores on the test rows, in float32 and as the float16 artifact."""

    trial: TrialRecord
    test_score: float
    artifact_score: float
    artifact: Path


def crown(
    sweep: Sweep,
    trials: Sequence[TrialRecord],
    folder: SweepFolder,
    *,
    seed: int,
    device: Device = "cpu",
    about: Mapping[str, Any] | None = None,
) -> Winner:
    """Refit the best trial, test it, write it, read it back and test that again.

    Should the best trial's refit diverge, the next best is taken. Raises WorldFault when none can be refitted.
    """
    table = sweep.data.training().on(device)
    reasons = []
    for trial in ranked(trials, sweep.metric.goal)[:3]:
        trainer, why_not = _refit(sweep, trial, table, seed, device)
        if why_not is None:
            return _deliver(
                sweep, trial, trainer, folder, {"seed": seed, "checksum": table.checksum(), **(about or {})}
            )
        reasons.append(f"trial {trial.number} {why_not}")
    raise WorldFault(f"no winner: refitted on all training rows, {'; '.join(reasons)}. All trials are kept.")


def measure(model: Model, metric: Metric, table: Table) -> float:
    """The metric of a single replica over all rows of a table."""
    rows = Rows.of([np.arange(len(table))])
    with np.errstate(all="ignore"):
        return float(to_host(metric.measure(model, table.scoring(rows)))[0])


def _refit(sweep: Sweep, trial: TrialRecord, table: Table, seed: int, device: Device) -> tuple[Trainer, str | None]:
    trainer = build(sweep, [trial.parameters], table, EveryRow().split(len(table)), seed ^ REFIT, device)
    for _ in range(trial.epoch or 0):  # as long as cross-validation found best
        report = trainer.advance()
        if report.failures[0]:
            return trainer, report.failures[0]
    return trainer, None


def _deliver(
    sweep: Sweep, trial: TrialRecord, trainer: Trainer, folder: SweepFolder, about: Mapping[str, Any]
) -> Winner:
    openings = _open_test_rows(folder, trial)
    test, metric = sweep.data.testing(), sweep.metric
    score = measure(trainer.model, metric, test.on(trainer.replicas.device))
    drawn = sweep.settle(trial.parameters).model
    scores = {"rows": len(test), "float32": score, "openings": openings}
    manifest = {
        "sweep": folder.name,
        "trial": trial.number,
        "parameters": dict(trial.parameters),
        "epochs": trial.epoch,
        "metric": {"name": metric.name, "goal": metric.goal},
        "cross_validation": {"mean": trial.value, "std": trial.std, "folds": list(trial.folds)},
        "test": scores,
        "data": sweep.describe()["data"],
        **about,
    }
    weights = {name: value[0] for name, value in trainer.parameters.state().items()}
    written = (folder.artifact, weights, drawn.target, drawn.arguments, trainer.data.sizes)
    try:
        artifact.save(*written, manifest)
        halved = measure(artifact.load(folder.artifact).model, metric, test)
        artifact.save(*written, {**manifest, "test": {**scores, "float16": halved}})
    except (OSError, OverflowError) as error:
        raise WorldFault(
            f"the artifact could not be written ({error}); `searchlab resume {folder.name}` tries again."
        ) from error
    return Winner(trial, score, halved, folder.artifact)


def _open_test_rows(folder: SweepFolder, trial: TrialRecord) -> int:
    """Write down that the test rows are opened, and for which trial, before they are; returns how often so far.

    More than once means that a run was interrupted here, or that a finished sweep was extended.
    """
    openings = (folder.read("test_rows") or {"openings": []})["openings"]
    openings.append({"trial": trial.number, "time": time.time()})
    folder.write("test_rows", {"openings": openings})
    return len(openings)
