"""The refit: a candidate for the winner is trained once more, on all training rows or on those of each fold."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from threadpoolctl import threadpool_limits

from searchlab.backend import Array, Device, unavailable_reason
from searchlab.data.holdout import EveryRow
from searchlab.data.loaded import LoadedDataset
from searchlab.data.vocabulary import Vocabulary
from searchlab.engine.text_samples import write_sample
from searchlab.fusion.groups import build_trainer
from searchlab.metrics.decisions import deciding_metric
from searchlab.optim.replayed_schedule import ReplayedSchedule, is_adaptive
from searchlab.replicas import Replicas
from searchlab.runs.job import Job
from searchlab.runs.trials import TrialRecord
from searchlab.scoring import LayerProbe, LayerStatistics
from searchlab.space.resources import DeviceOption, allowed_devices
from searchlab.space.structure import fuse_configurations
from searchlab.space.winner_rule import FoldEnsemble
from searchlab.training import DEFAULT_EPOCHS, Trainer

# combined with the sweep's seed, so that the initial weights and row orders of the refit are those of no fold
REFIT_SEED = 0x5EED


@dataclass(frozen=True)
class RefitState:
    """The state of a trial that was trained once more: one network on all training rows, or one for each of K folds.

    Attributes:
        state: The trainer's state as host arrays (1, ...) or (K, ...) by name; empty where training diverged.
        texts: What a language model, or a model of pairs of sequences, wrote after each epoch.
        failure: Why training diverged; None where it did not.
        layers: Gradients and outputs of each layer by epoch; None where they were not measured.
        threshold: The probability from which on a row of two classes is in class 1; None where the likeliest class is
            predicted.
        trainer: The trainer itself, where it was trained in this process.
    """

    state: Mapping[str, Array]
    texts: tuple[str, ...] = ()
    failure: str | None = None
    layers: LayerStatistics | None = None
    threshold: float | None = None
    trainer: Trainer | None = field(default=None, repr=False, compare=False)

    def without_trainer(self) -> RefitState:
        """Return the refit without its trainer, as it is sent to another process."""
        return replace(self, trainer=None)


RefitTrial = Callable[[TrialRecord], RefitState]


def refit_locally(job: Job, trial: TrialRecord, device: Device, *, measures_layers: bool = False) -> RefitState:
    """Train the trial in this process, by the sweep's rule, for as many epochs as cross-validation found best.

    Args:
        job: The sweep.
        trial: The trial.
        device: The device to train on.
        measures_layers: Whether gradients and outputs are measured by layer, before training and after each epoch; not
            of an ensemble, nor of a model that learns without dense gradients. The state is the same.
    """
    data, seed = job.rows.load().to(device), job.config.seed
    trainer = _new_trainer(job, trial, data, device)
    texts: list[str] = []
    with threadpool_limits(job.sweep.resources.blas_threads):
        probe = _measured(_new_probe(job, trial, trainer) if measures_layers else None, trainer)
        for _ in range(trial.epoch or 0):
            report = trainer.advance()
            if any(report.failures):
                return RefitState({}, tuple(texts), next(failure for failure in report.failures if failure))
            probe = _measured(probe, trainer)
            sample = None if is_ensemble(job) else write_sample(trainer.model, data, seed)
            if sample is not None:
                texts.append(sample)
        threshold = _choose_threshold(job, trial, trainer, data, device)
    layers = probe.statistics if probe else None
    return RefitState(trainer.state(), tuple(texts), layers=layers, threshold=threshold, trainer=trainer)


def restore_trainer(refit: RefitState, job: Job, trial: TrialRecord, device: Device) -> Trainer:
    """Return the trainer at the end of a refit; build it and restore its state when another process trained it."""
    if refit.trainer is not None:
        return refit.trainer
    trainer = _new_trainer(job, trial, job.rows.load().to(device), device)
    trainer.restore(trial.epoch or 0, dict(refit.state))
    return trainer


def is_ensemble(job: Job) -> bool:
    """Return whether the winner of this sweep is the ensemble of the networks of its folds."""
    return isinstance(job.sweep.winner, FoldEnsemble)


def vocabulary_of(data: LoadedDataset) -> Vocabulary | None:
    """Return the vocabulary of text; None for other data, and for a custom data set that has no such attribute."""
    vocabulary: Vocabulary | None = getattr(data, "vocabulary", None)
    return vocabulary


def available_device(placement: DeviceOption) -> Device:
    """Return the first device of the placement that this machine has; the CPU when it has none of them."""
    return next((device for device in allowed_devices(placement) if unavailable_reason(device) is None), "cpu")


def replayed_schedule(job: Job, trial: TrialRecord) -> ReplayedSchedule | None:
    """Return the schedule of the trial's folds for a refit; None where it has none, or one that reacts to nothing.

    The networks of folds have held-out rows to react to, as in the search.
    """
    configuration = job.sweep.configuration(trial.parameters)
    if is_ensemble(job) or configuration.training.arguments.get("schedule") is None:
        return None
    folds = len(trial.folds)
    training = fuse_configurations([configuration], folds).training.keywords
    schedule = training["schedule"](Replicas(range(folds)), training.get("epochs", DEFAULT_EPOCHS))
    if not is_adaptive(schedule):
        return None
    scores = np.array(trial.curve.scores)  # (epochs, folds)
    return ReplayedSchedule(schedule, -scores if job.sweep.primary_metric.goal == "max" else scores)


def _choose_threshold(
    job: Job, trial: TrialRecord, trainer: Trainer, data: LoadedDataset, device: Device
) -> float | None:
    """Return the threshold of the network, chosen on the held-out rows of all folds; None where it needs none.

    The network of a refit has no held-out rows, so the networks of the trial's folds are trained again: they are those
    of the search, which were scored on these rows.
    """
    metric = deciding_metric(job.sweep.metrics)
    if metric is None or data.labels is None or data.sizes[-1] != 2:
        return None
    if metric.threshold == "best" and not is_ensemble(job):
        trainer = _fold_trainer(job, trial, data, device)
        for _ in range(trial.epoch or 0):
            trainer.advance()
    with np.errstate(all="ignore"):
        return metric.choose_threshold(trainer.model, trainer.data.scoring_batches(trainer.split.held_out))


def _fold_trainer(job: Job, trial: TrialRecord, data: LoadedDataset, device: Device) -> Trainer:
    """Return a trainer of the trial's folds with the seed of the search, so that they become those of the search."""
    split = job.sweep.validation.split(data)
    return build_trainer(job.sweep, [trial.parameters], data, split, job.config.seed, device)


def _new_trainer(job: Job, trial: TrialRecord, data: LoadedDataset, device: Device) -> Trainer:
    """Return a trainer of this trial that has trained no epoch: one replica that sees every row, or one per fold."""
    if is_ensemble(job):
        return _fold_trainer(job, trial, data, device)
    seed = job.config.seed ^ REFIT_SEED
    trainer = build_trainer(job.sweep, [trial.parameters], data, EveryRow().split(data), seed, device)
    trainer.schedule = replayed_schedule(job, trial) or trainer.schedule
    return trainer


def _new_probe(job: Job, trial: TrialRecord, trainer: Trainer) -> LayerProbe | None:
    """Return what measures the layers of the trainer's network while it is trained; None where there is none.

    The batch is the first one that replicas with the network's seed draw.
    """
    if is_ensemble(job) or not trainer.needs_optimizer or trainer.parameters.sparse:
        return None
    replicas = Replicas(trainer.replicas.seeds.tolist(), device=trainer.replicas.device)
    batch = next(iter(trainer.data.training_batches(trainer.split, replicas, trainer.batch_size)))
    build = fuse_configurations([job.sweep.configuration(trial.parameters)], 1).model.build
    try:
        probe = LayerProbe(build(replicas, *trainer.data.sizes), replicas, batch)
    except MemoryError:  # of a second network; the winner needs only the first
        return None
    return probe if probe.has_layers else None


def _measured(probe: LayerProbe | None, trainer: Trainer) -> LayerProbe | None:
    """Measure the layers of the trainer's network, and return the probe; None where memory runs out."""
    try:
        if probe:
            probe.measure(trainer.parameters)
    except MemoryError:
        return None
    return probe
