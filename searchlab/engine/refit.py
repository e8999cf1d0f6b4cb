"""The refit: the trial that may win, trained once more on all training rows, wherever the device for it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from threadpoolctl import threadpool_limits

from searchlab.backend import Array, Device, unavailable_reason
from searchlab.data.loaded import LoadedDataset
from searchlab.data.splits import EveryRow
from searchlab.data.vocabulary import Vocabulary
from searchlab.engine.text_samples import sample_text
from searchlab.fusion.groups import build
from searchlab.runs.trials import TrialRecord
from searchlab.space.resources import Placement, devices_of
from searchlab.space.sweep import Sweep
from searchlab.training import Trainer

REFIT = 0x5EED  # set beside the sweep's seed: the refit's weights and row orders are none that a fold had


@dataclass(frozen=True)
class Refit:
    """What a refit came to: the trainer's state as host arrays (1, ...) by name, what a language model wrote after each
    epoch, and why it diverged, if it did."""

    state: Mapping[str, Array]
    texts: tuple[str, ...] = ()
    unavailable_reason: str | None = None


Refitting = Callable[[TrialRecord], Refit]  # who does it, and where


def refit_here(sweep: Sweep, trial: TrialRecord, seed: int, device: Device) -> Refit:
    """Train the trial on all training rows, for as many epochs as cross-validation found best."""
    table = sweep.data.training().on(device)
    trainer, vocabulary = trainer_of(sweep, trial, seed, table, device), vocabulary_of(table)
    texts: list[str] = []
    with threadpool_limits(sweep.resources.threads):
        for _ in range(trial.epoch or 0):
            report = trainer.advance()
            if report.failures[0]:
                return Refit({}, tuple(texts), report.failures[0])
            if vocabulary:
                texts.append(sample_text(trainer.model, table, vocabulary, seed))
    return Refit(trainer.state(), tuple(texts))


def trainer_of(sweep: Sweep, trial: TrialRecord, seed: int, table: LoadedDataset, device: Device) -> Trainer:
    """The trainer of one replica of this trial that sees every row and has trained no epoch."""
    return build(sweep, [trial.parameters], table, EveryRow().split(table), seed ^ REFIT, device)


def restored(refit: Refit, sweep: Sweep, trial: TrialRecord, seed: int, device: Device) -> Trainer:
    """The trainer at the end of a refit, wherever that was done."""
    trainer = trainer_of(sweep, trial, seed, sweep.data.training().on(device), device)
    trainer.restore(trial.epoch or 0, dict(refit.state))
    return trainer


def vocabulary_of(table: LoadedDataset) -> Vocabulary | None:
    """The table's; None for a table of one's own that never heard of any."""
    found: Vocabulary | None = getattr(table, "vocabulary", None)
    return found


def device_here(placement: Placement) -> Device:
    """The best device that this machine has of those that are meant; the processor where it has none of them."""
    return next((device for device in devices_of(placement) if unavailable_reason(device) is None), "cpu")
