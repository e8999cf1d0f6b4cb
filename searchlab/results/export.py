"""The export of a trained network: float16 weights, which are read back and measured before they count."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from searchlab import artifact
from searchlab.backend import Array, Device
from searchlab.data.input_encoding import InputEncoding
from searchlab.data.loaded import LoadedDataset
from searchlab.data.scaling import Scaling
from searchlab.engine.refit import is_ensemble, vocabulary_of
from searchlab.errors import WorldFault
from searchlab.metrics.decisions import with_threshold
from searchlab.nn.ensemble import Average, Ensemble, average_of
from searchlab.nn.import_paths import encode_parts
from searchlab.nn.module import Model
from searchlab.project import current_project
from searchlab.results.evaluation import measure, measure_networks
from searchlab.results.export_manifest import describe_other_metrics, describe_threshold, export_manifest
from searchlab.results.float32_weights import choose_float32, max_rounding_loss
from searchlab.runs.job import Job
from searchlab.runs.source_files import read_imports
from searchlab.runs.trials import TrialRecord
from searchlab.training import Trainer

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
    manifest = export_manifest(job, trial, test, look) | dict(origin)
    manifest |= {"learning_rate_factors": list(factors)} if factors else {}
    weights, save = _saver(job, trial, trainer, folder)
    manifest |= {"threshold": describe_threshold(job, threshold)} if threshold is not None else {}
    table, primary = job.rows.load(), metrics[0]
    checked = sweep.validation.split(table).held_out[np.array([0])]
    exact = measure(model, [primary], table.to(device), *scalings, rows=checked)[primary.name]

    def score_with(keep_float32: Mapping[str, str]) -> float:
        save(manifest, keep_float32)
        saved = artifact.load(folder)
        return measure(saved.model, [primary], table, saved.scaling, saved.target_scaling, checked)[primary.name]

    try:
        kept = choose_float32(weights, score_with, exact, primary.goal, max_rounding_loss(trial))
        saved = artifact.load(folder)
        halved = score_test(saved.model, "cpu", saved.scaling, saved.target_scaling)
        described = {"float32": tested, "float16": halved}
        by_kind = {kind: scores[primary.name] for kind, scores in described.items() if scores}
        save({**manifest, "test": manifest["test"] | by_kind, **describe_other_metrics(sweep, trial, described)}, kept)
        alone: Sequence[float] = ()
        if test is not None and look and isinstance(model, Ensemble):
            alone = measure_networks(model, primary, test.to(device), *scalings)
        return ExportedNetwork(artifact.load(folder), tested, halved, tuple(alone))
    except (OSError, OverflowError) as error:
        raise WorldFault(
            f"the artifact could not be written ({error}); `searchlab resume {job.name}` tries again."
        ) from error


def _network(job: Job, trainer: Trainer) -> Model:
    """Return the trained network, or the ensemble of the networks of the folds."""
    average = _average(job, trainer)
    return Ensemble(trainer.model, trainer.replicas.count, average) if average else trainer.model


def _average(job: Job, trainer: Trainer) -> Average | None:
    """Return what the ensemble of this sweep averages; None where its winner is a single network."""
    if not is_ensemble(job):
        return None
    return average_of(next(iter(trainer.data.scoring_batches(trainer.split.held_out))))


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
