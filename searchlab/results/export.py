"""The export of a trained network: float16 weights, which are read back and measured before they count."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from searchlab import artifact
from searchlab.artifact.format import Task
from searchlab.artifact.rounding import Rounding
from searchlab.backend import Array, Device
from searchlab.data.class_names import class_names
from searchlab.data.examples import Examples
from searchlab.data.input_encoding import InputEncoding
from searchlab.data.loaded import LoadedDataset
from searchlab.data.scaling import Scaling
from searchlab.data.sequence_pairs import SequencePairs
from searchlab.data.word_contexts import WordContexts
from searchlab.engine.refit import is_ensemble, vocabulary_of
from searchlab.engine.text_samples import join_samples
from searchlab.errors import WorldFault
from searchlab.metrics import Goal
from searchlab.metrics.decisions import deciding_metric, with_threshold
from searchlab.nn.ensemble import Average, Ensemble, average_of
from searchlab.nn.import_paths import encode_parts
from searchlab.nn.module import Model
from searchlab.project import current_project
from searchlab.results.evaluation import measure, measure_networks
from searchlab.runs.job import Job
from searchlab.runs.source_files import read_imports
from searchlab.runs.trials import TrialRecord
from searchlab.runs.workspace import SweepFolder
from searchlab.scoring import LayerStatistics
from searchlab.space.sweep import Sweep
from searchlab.tables.examples import TableExamples
from searchlab.training import Trainer

MAX_LOSS = 0.1  # of a score by rounding, in standard deviations over the folds
MAX_RELATIVE_LOSS = 1e-3  # of a score, where there is no spread over folds

Save = Callable[[Mapping[str, Any], Mapping[str, str]], None]  # takes the manifest, and what stays float32


@dataclass(frozen=True)
class ExportedNetwork:
    """A network as it was written and read back.

    Attributes:
        artifact: The artifact that was read back.
        test_scores: Scores of the network in float32 on the test rows, by metric; empty where they were not opened.
        artifact_scores: The same of the artifact.
        network_scores: Of an ensemble, the score of each network alone by the primary metric; empty otherwise.
    """

    artifact: artifact.Artifact
    test_scores: Mapping[str, float]
    artifact_scores: Mapping[str, float]
    network_scores: Sequence[float] = ()


def export(
    job: Job,
    trial: TrialRecord,
    trainer: Trainer,
    folder: Path,
    *,
    test: LoadedDataset | None,
    look: int | None,
    origin: Mapping[str, Any],
    factors: Sequence[float] = (),
    threshold: float | None = None,
) -> ExportedNetwork:
    """Write the network of a trainer as an artifact, read it back, and measure it.

    Where rounding to float16 costs more than a tenth of the standard deviation over folds, the tensors that it changes
    most stay float32. That is measured on the held-out rows of the first fold, not on the test rows.

    Args:
        job: The sweep.
        trial: The trial that was trained on all training rows.
        trainer: Its trainer, of one replica.
        folder: Folder of the artifact, which is made or whose files are replaced.
        test: The test rows; None where there are none for this trial.
        look: Number of the look at them; None where they must not be measured.
        origin: Entries of the manifest about seed, data and versions.
        factors: Factors of the learning rate by epoch, which the manifest lists.
        threshold: The probability from which on a row of two classes is in class 1; default None, where the likeliest
            class is predicted.

    Raises:
        WorldFault: When the artifact cannot be written.
    """
    sweep, scalings = job.sweep, (trainer.data.scaling, trainer.data.target_scaling)
    device, model = trainer.replicas.device, _network(job, trainer)
    metrics = with_threshold(sweep.metrics, threshold)

    def score_test(
        model: Model, device: Device, scaling: InputEncoding | None, targets: Scaling | None
    ) -> dict[str, float]:
        return measure(model, metrics, test.to(device), scaling, targets) if test is not None and look else {}

    tested = score_test(model, device, *scalings)
    manifest = _manifest(job, trial, test, look) | dict(origin)
    manifest |= {"learning_rate_factors": list(factors)} if factors else {}
    weights, save = _saver(job, trial, trainer, folder)
    manifest |= {"threshold": _describe_threshold(job, threshold)} if threshold is not None else {}
    table, primary = job.rows.load(), metrics[0]
    checked = sweep.validation.split(table).held_out[np.array([0])]
    exact = measure(model, [primary], table.to(device), *scalings, rows=checked)[primary.name]

    def score_with(keep_float32: Mapping[str, str]) -> float:
        save(manifest, keep_float32)
        saved = artifact.load(folder)
        return measure(saved.model, [primary], table, saved.scaling, saved.target_scaling, checked)[primary.name]

    try:
        kept = choose_float32(weights, score_with, exact, primary.goal, _max_loss(trial))
        saved = artifact.load(folder)
        halved = score_test(saved.model, "cpu", saved.scaling, saved.target_scaling)
        described = {"float32": tested, "float16": halved}
        by_kind = {kind: scores[primary.name] for kind, scores in described.items() if scores}
        save({**manifest, "test": manifest["test"] | by_kind, **_other_metrics(sweep, trial, described)}, kept)
        alone: Sequence[float] = ()
        if test is not None and look and isinstance(model, Ensemble):
            alone = measure_networks(model, primary, test.to(device), *scalings)
        return ExportedNetwork(artifact.load(folder), tested, halved, tuple(alone))
    except (OSError, OverflowError) as error:
        raise WorldFault(
            f"the artifact could not be written ({error}); `searchlab resume {job.name}` tries again."
        ) from error


def choose_float32(
    weights: Mapping[str, Array],
    score_with: Callable[[Mapping[str, str]], float],
    exact: float,
    goal: Goal,
    max_loss: float,
) -> dict[str, str]:
    """Return which weights stay float32, each with the reason, so that rounding costs no more than `max_loss`.

    The tensors with the largest relative rounding error stay float32 first: one, two, four and so on.

    Args:
        weights: All weights by name, in float32.
        score_with: Function that writes the artifact with these weights in float32, and returns its score.
        exact: The score without rounding.
        goal: Direction of the score.
        max_loss: The largest loss.
    """
    sign = 1.0 if goal == "max" else -1.0
    order = sorted(weights, key=lambda name: -_relative_error(weights[name]))
    count, kept = 0, dict[str, str]()
    while True:
        loss = sign * (exact - score_with(kept))
        if loss <= max_loss or count >= len(order) or not np.isfinite(exact):
            return kept
        reason = (
            f"rounding costs {loss:.3g} of the score {exact:.6g}" if np.isfinite(loss) else "rounding costs the score"
        )
        count = max(1, 2 * count)
        kept = {name: f"{reason}, and this is one of the tensors that it changes most" for name in order[:count]}


def write_samples(folder: SweepFolder, texts: Sequence[str]) -> Path | None:
    """Write what a model wrote after each epoch, in place of that of an earlier winner, and return the file."""
    folder.samples.unlink(missing_ok=True)
    if not texts:
        return None
    try:
        folder.samples.write_text(join_samples(texts), encoding="utf-8")
    except OSError as error:
        raise WorldFault(
            f"{folder.samples} could not be written ({error}); `searchlab resume {folder.name}` tries again."
        ) from error
    return folder.samples


def write_layer_statistics(folder: SweepFolder, layers: LayerStatistics | None) -> LayerStatistics | None:
    """Write the gradients and outputs by layer, in place of those of an earlier winner, and return them."""
    try:
        if layers is None:
            folder.layer_statistics.unlink(missing_ok=True)
        else:
            folder.write(folder.layer_statistics.stem, layers.to_json())
    except OSError as error:
        raise WorldFault(
            f"{folder.layer_statistics} could not be written ({error}); `searchlab resume {folder.name}` tries again."
        ) from error
    return layers


def _network(job: Job, trainer: Trainer) -> Model:
    """Return the trained network, or the ensemble of the networks of the folds."""
    average = _average(job, trainer)
    return Ensemble(trainer.model, trainer.replicas.count, average) if average else trainer.model


def _average(job: Job, trainer: Trainer) -> Average | None:
    """Return what the ensemble of this sweep averages; None where its winner is a single network."""
    if not is_ensemble(job):
        return None
    return average_of(next(iter(trainer.data.scoring_batches(trainer.split.held_out))))


def _relative_error(values: Array) -> float:
    return Rounding.of(values).relative_error


def _max_loss(trial: TrialRecord) -> float:
    """Return how much of the score rounding may cost."""
    spread = trial.std if len(trial.folds) > 1 else 0.0
    return MAX_LOSS * spread if spread > 0.0 else MAX_RELATIVE_LOSS * abs(trial.value or 0.0)


def _saver(job: Job, trial: TrialRecord, trainer: Trainer, folder: Path) -> tuple[Mapping[str, Array], Save]:
    """Return the weights of the trainer's network, and a function that writes the artifact."""
    settled, root = job.sweep.configuration(trial.parameters).model, job.root or current_project()
    average, rows = _average(job, trainer), job.rows.load()
    state = {name: value if average else value[0] for name, value in trainer.parameters.state().items()}
    weights = {name: value for name, value in state.items() if name in trainer.parameters.trainable}
    scaling, target_scaling = trainer.data.scaling, trainer.data.target_scaling
    write = partial(
        artifact.save,
        folder,
        weights,
        settled.target,
        settled.keywords,
        trainer.data.sizes,
        buffers={name: value for name, value in state.items() if name in trainer.parameters.buffers},
        scaling=scaling and scaling.to_host(),
        target_scaling=target_scaling and target_scaling.to_host(),
        average=average,
        vocabulary=vocabulary_of(rows),
        sequence_format=getattr(rows, "sequence_format", None),
        sources=read_imports(_modules(encode_parts([settled.target, settled.keywords])), root),
    )
    return weights, lambda manifest, kept: write(metadata=manifest, keep_float32=kept)


def _modules(parts: Any) -> Iterator[str]:
    """Yield the modules of the classes and functions in the parts of a model, as a manifest has them."""
    values = parts.values() if isinstance(parts, dict) else parts if isinstance(parts, list) else ()
    for value in values:
        yield from _modules(value)
    if isinstance(parts, dict) and "import" in parts:
        yield parts["import"].partition(":")[0]


def _manifest(job: Job, trial: TrialRecord, test: LoadedDataset | None, look: int | None) -> dict[str, Any]:
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


def _describe_threshold(job: Job, threshold: float) -> dict[str, Any]:
    """Return what the manifest says of a threshold: the class that is predicted from this probability on."""
    metric, names = deciding_metric(job.sweep.metrics), class_names(job.rows.load())
    return {
        "class": names[1] if names else 1,
        "probability": threshold,
        "metric": metric.name if metric else None,
        "chosen_on": "held-out rows of all folds" if metric and metric.threshold == "best" else "the metric's own",
    }


def _other_metrics(sweep: Sweep, trial: TrialRecord, tested: Mapping[str, Mapping[str, float]]) -> dict[str, Any]:
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
