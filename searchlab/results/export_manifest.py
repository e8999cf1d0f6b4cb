"""What the manifest of an exported network says of its trial, its data and its scores."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from searchlab.artifact.format import Task
from searchlab.data.class_names import class_names
from searchlab.data.examples import Examples
from searchlab.data.loaded import LoadedDataset
from searchlab.data.sequence_pairs import SequencePairs
from searchlab.data.word_contexts import WordContexts
from searchlab.engine.refit import vocabulary_of
from searchlab.metrics.decisions import deciding_metric
from searchlab.runs.job import Job
from searchlab.runs.trials import TrialRecord
from searchlab.space.sweep import Sweep
from searchlab.tables.examples import TableExamples


def export_manifest(job: Job, trial: TrialRecord, test: LoadedDataset | None, look: int | None) -> dict[str, Any]:
    """Return what the manifest says of the trial and of the data, without scores on the test rows."""
    sweep, rows = job.sweep, job.rows.load()
    return {
        "task": _task(rows),
        "sweep": job.name,
        "trial": trial.number,
        "parameters": dict(trial.parameters),
        "epochs": trial.epoch,
        "metric": {"name": sweep.primary_metric.name, "goal": sweep.primary_metric.goal},
        "cross_validation": {"mean": trial.value, "std": trial.std, "folds": list(trial.folds)},
        "test": {"look": look, **({} if test is None else {"rows": len(test), "checksum": test.checksum()})},
        "data": sweep.describe()["data"],
        "classes": getattr(rows, "target_names", None),
        **_describe_rows(rows),
    }


def _task(rows: LoadedDataset) -> Task | None:
    """Return what a network of this data is for; None for data of the user's own that is of no known kind."""
    if isinstance(rows, Examples):
        return "regression" if rows.labels is None else "classification"
    if isinstance(rows, SequencePairs):
        return "sequence to sequence"
    if isinstance(rows, WordContexts):
        return "word vectors"
    return "language model" if vocabulary_of(rows) else None


def _describe_rows(rows: LoadedDataset) -> dict[str, Any]:
    """Return the names of inputs and the kind of targets, for data of independent rows."""
    if not isinstance(rows, Examples):
        return {}
    features, names = rows.feature_names, rows.target_names
    targets = {"kind": "numbers" if rows.labels is None else "classes", "names": names and list(names)}
    inputs: dict[str, Any] = {"features": features and list(features), "image_shape": rows.image_shape}
    inputs |= {"left_out": list(rows.left_out)} if isinstance(rows, TableExamples) else {}
    return {"inputs": inputs, "targets": targets}


def describe_threshold(job: Job, threshold: float) -> dict[str, Any]:
    """Return what the manifest says of a threshold: the class that is predicted from this probability on."""
    metric, names = deciding_metric(job.sweep.metrics), class_names(job.rows.load())
    return {
        "class": names[1] if names else 1,
        "probability": threshold,
        "metric": metric.name if metric else None,
        "chosen_on": "held-out rows of all folds" if metric and metric.threshold == "best" else "the metric's own",
    }


def describe_other_metrics(
    sweep: Sweep, trial: TrialRecord, tested: Mapping[str, Mapping[str, float]]
) -> dict[str, Any]:
    """Return what the manifest says of the metrics after the primary one."""
    described = {
        metric.name: {
            "goal": metric.goal,
            "mean": mean,
            "test": {kind: of[metric.name] for kind, of in tested.items() if metric.name in of},
        }
        for metric, mean in zip(sweep.metrics[1:], trial.values[1:], strict=True)
    }
    return {"other_metrics": described} if described else {}
