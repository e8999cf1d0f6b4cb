"""The winner: fitted again on all training rows, measured once on the test rows, and written as a float16 artifact.

The only place that reads a data set's test rows, and it writes down that it does before it does.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from searchlab import artifact
from searchlab.backend import Array, to_host
from searchlab.data.examples import Examples
from searchlab.data.loaded import LoadedDataset
from searchlab.data.splits import Rows
from searchlab.data.standardize import Standardized
from searchlab.engine.refit import Refitting, device_here, refit_here, restored, vocabulary_of
from searchlab.engine.text_samples import by_epoch
from searchlab.errors import WorldFault
from searchlab.metrics import Metric
from searchlab.nn.module import Model
from searchlab.reporting.predictions import Predictions
from searchlab.runs.trials import TrialRecord, contenders
from searchlab.runs.workspace import SweepFolder
from searchlab.space.resources import Placement
from searchlab.space.sweep import Sweep
from searchlab.training import Trainer

AT_ONCE = 1024  # test rows answered in one pass


@dataclass(frozen=True)
class Winner:
    """The chosen trial and what its refit scores on the test rows, in float32 and as the float16 artifact.

    The scores are by metric, the primary one first.
    `answers` are what the artifact said to each test row, where these are rows with classes. A language model leaves
    `samples`, a file of what it wrote after each epoch, and a recurrent one its gradient's norms (T,) through time.
    """

    trial: TrialRecord
    test_scores: Mapping[str, float]
    artifact_scores: Mapping[str, float]
    artifact: Path
    answers: Predictions | None = None
    samples: Path | None = None
    through_time: Array | None = None

    @property
    def test_score(self) -> float:
        """What the refit scores on the test rows by the primary metric."""
        return next(iter(self.test_scores.values()))

    @property
    def artifact_score(self) -> float:
        """The same of the float16 artifact."""
        return next(iter(self.artifact_scores.values()))


def select_winner(
    sweep: Sweep,
    trials: Sequence[TrialRecord],
    folder: SweepFolder,
    *,
    seed: int,
    device: Placement = "cpu",
    about: Mapping[str, Any] | None = None,
    refit: Refitting | None = None,
) -> Winner:
    """Refit the best trial, test it, write it, read it back and test that again.

    Of several metrics, it is the trial of the Pareto front that is best in the primary one. Should its refit diverge,
    the next best is taken. `refit` is who does it, where that is not this process. Raises WorldFault when none can be
    refitted.
    """
    here, reasons = device_here(device), []
    for trial in contenders(trials, [metric.goal for metric in sweep.metrics])[:3]:
        refitted = refit(trial) if refit else refit_here(sweep, trial, seed, here)
        if refitted.unavailable_reason is None:
            trainer = restored(refitted, sweep, trial, seed, here)
            about = {"seed": seed, "checksum": sweep.data.training().checksum(), **(about or {})}
            return _deliver(sweep, trial, trainer, refitted.texts, folder, about)
        reasons.append(f"trial {trial.number} {refitted.unavailable_reason}")
    raise WorldFault(f"no winner: refitted on all training rows, {'; '.join(reasons)}. All trials are kept.")


def measure(model: Model, metrics: Sequence[Metric], table: LoadedDataset) -> dict[str, float]:
    """The metrics of a single replica over all rows of a table, by name."""
    rows = Rows.of([np.arange(len(table))])
    with np.errstate(all="ignore"):
        return {m.name: float(to_host(m.measure(model, table.scoring(rows)))[0]) for m in metrics}


def _deliver(
    sweep: Sweep,
    trial: TrialRecord,
    trainer: Trainer,
    texts: Sequence[str],
    folder: SweepFolder,
    about: Mapping[str, Any],
) -> Winner:
    openings = _open_test_rows(folder, trial)
    test, scaling, drawn = sweep.data.testing(), trainer.data.scaling, sweep.settle(trial.parameters).model
    tested = measure(trainer.model, sweep.metrics, _as_seen(test.on(trainer.replicas.device), scaling))
    manifest = {
        "sweep": folder.name,
        "trial": trial.number,
        "parameters": dict(trial.parameters),
        "epochs": trial.epoch,
        "metric": {"name": sweep.primary.name, "goal": sweep.primary.goal},
        "cross_validation": {"mean": trial.value, "std": trial.std, "folds": list(trial.folds)},
        "test": {"rows": len(test), "float32": tested[sweep.primary.name], "openings": openings},
        "data": sweep.describe()["data"],
        "classes": getattr(test, "names", None),
        **_of_others(sweep, trial, {"float32": tested}),
        **about,
    }
    state = {name: value[0] for name, value in trainer.parameters.state().items()}
    weights = {name: value for name, value in state.items() if name in trainer.parameters.named}
    kept = {name: value for name, value in state.items() if name in trainer.parameters.kept}
    host = (to_host(scaling[0])[0], to_host(scaling[1])[0]) if scaling else None  # (features,) each
    parts = (folder.artifact, weights, drawn.target, drawn.settled, trainer.data.sizes)
    save = partial(artifact.save, *parts, kept=kept, scaling=host, vocabulary=vocabulary_of(test))
    try:
        save(manifest)
        saved = artifact.load(folder.artifact)
        halved = measure(saved.model, sweep.metrics, _as_seen(test, saved.scaling))
        manifest["test"] |= {"float16": halved[sweep.primary.name]}
        save({**manifest, **_of_others(sweep, trial, {"float32": tested, "float16": halved})})
        folder.samples.unlink(missing_ok=True)  # of an earlier end
        if texts:
            folder.samples.write_text(by_epoch(texts), encoding="utf-8")
    except (OSError, OverflowError) as error:
        raise WorldFault(
            f"the artifact could not be written ({error}); `searchlab resume {folder.name}` tries again."
        ) from error
    samples = folder.samples if texts else None
    return Winner(trial, tested, halved, folder.artifact, _answers(saved, test), samples, _through_time(saved, test))


def _of_others(sweep: Sweep, trial: TrialRecord, tested: Mapping[str, Mapping[str, float]]) -> dict[str, Any]:
    """What the manifest says of the metrics after the first: goal, mean over folds, and scores on the test rows."""
    described = {
        metric.name: {"goal": metric.goal, "mean": mean, "test": {kind: of[metric.name] for kind, of in tested.items()}}
        for metric, mean in zip(sweep.metrics[1:], trial.values[1:], strict=True)
    }
    return {"other_metrics": described} if described else {}


def _as_seen(table: LoadedDataset, scaling: tuple[Array, Array] | None) -> LoadedDataset:
    """The table by the mean and scale (1, F) of the rows that the network was trained on."""
    return Standardized(table, *scaling) if scaling else table


def _answers(saved: artifact.Artifact, test: LoadedDataset) -> Predictions | None:
    """What the network says to every test row, in parts that need little memory."""
    if not isinstance(test, Examples) or test.labels is None:
        return None
    with np.errstate(all="ignore"):
        scores = [saved.predict(test.x[start : start + AT_ONCE]) for start in range(0, len(test), AT_ONCE)]
    return Predictions(test.x, test.labels, np.concatenate(scores), test.image, test.names)


def _through_time(saved: artifact.Artifact, test: LoadedDataset) -> Array | None:
    """The norms (T,) of the gradient through the test part's first window, of a model that can tell."""
    tell = getattr(saved.model, "through_time", None)
    if tell is None:
        return None
    with np.errstate(all="ignore"):
        norms: Array = tell(next(iter(test.scoring(Rows.of([np.arange(len(test))])))))[0]
    return norms if norms.any() else None  # a part shorter than a window has no target at its last moment


def _open_test_rows(folder: SweepFolder, trial: TrialRecord) -> int:
    """Write down that the test rows are opened, and for which trial, before they are; returns how often so far.

    More than once means that a run was interrupted here, or that a finished sweep was extended.
    """
    openings = (folder.read("test_rows") or {"openings": []})["openings"]
    openings.append({"trial": trial.number, "time": time.time()})
    folder.write("test_rows", {"openings": openings})
    return len(openings)
