"""The winner: trained once more, measured once on the test rows, and written as a float16 artifact.

This is the only place that reads a data set's test rows, and it records that it does before it does.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from searchlab.backend import Array
from searchlab.data.loaded import LoadedDataset
from searchlab.engine.refit import (
    RefitTrial,
    available_device,
    is_ensemble,
    refit_locally,
    replayed_schedule,
    restore_trainer,
)
from searchlab.errors import WorldFault
from searchlab.reporting.attention import AttentionMap
from searchlab.reporting.formats import times
from searchlab.reporting.predictions import NumberPredictions, Predictions
from searchlab.reporting.winner_choice import tie_text
from searchlab.results.baseline import Baseline, measure_baseline
from searchlab.results.evaluation import attention_maps, gradient_norms, predict_rows
from searchlab.results.export import export
from searchlab.results.finalists import Finalist
from searchlab.results.winner_files import write_layer_statistics, write_samples
from searchlab.runs.events import EventHandler, Message, NullHandler
from searchlab.runs.job import Job
from searchlab.runs.look_ledger import Look, LookLedger
from searchlab.runs.trials import TrialRecord, winner_candidates
from searchlab.runs.workspace import SweepFolder
from searchlab.scoring import LayerStatistics
from searchlab.space.sweep import Sweep

MAX_CANDIDATES = 3  # trials that are refitted, one after another, where the refit of a better one diverges


@dataclass(frozen=True)
class Winner:
    """The selected trial, and how its refit scores on the test rows.

    Attributes:
        trial: The trial that won.
        test_scores: Score of the refit in float32 on the test rows, by metric, the primary one first; empty where they
            were not opened.
        artifact_scores: The same for the float16 artifact.
        artifact: Folder with weights.npz and manifest.json.
        predictions: Predictions of the artifact for the test rows, where these are rows with classes or numbers.
        samples: File of what a language model, or a model of pairs of sequences, wrote after each epoch.
        gradient_norms: Norms (T,) of a recurrent model's gradient through time.
        layer_statistics: Gradients and outputs of each layer of the refit, by epoch; None where they were not measured.
        attention_maps: Attention of the artifact for five training rows, of a model with attention.
        test_look: Number of this look at the test rows, counted over all sweeps of the home; None where they were
            opened before and were not opened again.
        learning_rate_factors: Where the schedule reacts to held-out scores, the factor of the learning rate in each
            epoch of the refit: the geometric mean of those that cross-validation used; empty otherwise.
        finalists: The trials that were run again with fresh seeds, the one that was chosen first; empty where none was.
        baseline: What a prediction that ignores the inputs scores; None where none makes sense.
        networks: Number of networks: 1, or the number of folds where the winner is their ensemble.
        network_scores: Of an ensemble, what each network alone scores on the test rows by the primary metric.
    """

    trial: TrialRecord
    test_scores: Mapping[str, float]
    artifact_scores: Mapping[str, float]
    artifact: Path
    predictions: Predictions | NumberPredictions | None = field(default=None, repr=False)
    samples: Path | None = None
    gradient_norms: Array | None = field(default=None, repr=False)
    layer_statistics: LayerStatistics | None = field(default=None, repr=False)
    attention_maps: Sequence[AttentionMap] = field(default=(), repr=False)
    test_look: int | None = 1
    learning_rate_factors: Sequence[float] = ()
    finalists: Sequence[Finalist] = ()
    baseline: Baseline | None = None
    networks: int = 1
    network_scores: Sequence[float] = ()

    @property
    def cross_validated_score(self) -> float:
        """The cross-validated score: over fresh seeds where the trial was run again, otherwise that of the search."""
        again = self.finalist.mean if self.finalist else None
        return (self.trial.value or 0.0) if again is None else again

    @property
    def finalist(self) -> Finalist | None:
        """The winner as it was run again with fresh seeds; None where it was not."""
        return next((each for each in self.finalists if each.trial == self.trial.number and each.scores), None)

    @property
    def tie(self) -> str:
        """That it is one of several finalists between which no difference was measurable; empty where it is not."""
        return tie_text(self.trial.number, [vars(finalist) for finalist in self.finalists])

    @property
    def test_score(self) -> float | None:
        """The refit's score on the test rows by the primary metric; None where they were not opened."""
        return next(iter(self.test_scores.values()), None)

    @property
    def artifact_score(self) -> float | None:
        """The same for the float16 artifact."""
        return next(iter(self.artifact_scores.values()), None)

    def scores(self, metrics: Sequence[str]) -> dict[str, float]:
        """Return every score by its name in the record: best_NAME, test_NAME and test_NAME_float16 for each metric.

        Of the primary metric, reseeded_NAME is the mean over fresh seeds, and baseline_NAME that of the baseline.
        """
        scores = {f"best_{name}": value for name, value in zip(metrics, self.trial.values, strict=True)}
        scores |= {f"test_{name}": value for name, value in self.test_scores.items()}
        scores |= {f"test_{name}_float16": value for name, value in self.artifact_scores.items()}
        if self.finalist and self.finalist.mean is not None:
            scores[f"reseeded_{metrics[0]}"] = self.finalist.mean
        if self.baseline:
            scores[f"baseline_{metrics[0]}"] = self.baseline.score
        return scores


def select_winner(
    job: Job,
    trials: Sequence[TrialRecord],
    folder: SweepFolder,
    finalists: Sequence[Finalist] = (),
    *,
    origin: Mapping[str, Any] | None = None,
    refit: RefitTrial | None = None,
    handler: EventHandler | None = None,
) -> Winner:
    """Refit the best trial, test it, write it as an artifact, read that back and test it again.

    The best trial is the first of the finalists; where there are none, the one with the best score. With several
    metrics, that is the one of the Pareto front that is best in the primary metric. Where its refit diverges, the next
    best is taken. `origin` is added to the artifact's manifest; `refit` trains the trial, in
    this process unless given; `handler` gets a message when the test rows are opened. Raises WorldFault
    when none of the best trials can be refitted.
    """
    device, failures = available_device(job.config.device), []
    for trial in _candidates(job.sweep, trials, finalists)[:MAX_CANDIDATES]:
        refitted = refit(trial) if refit else refit_locally(job, trial, device, measures_layers=True)
        if refitted.failure is None:
            trainer = restore_trainer(refitted, job, trial, device)
            schedule = replayed_schedule(job, trial)
            factors = schedule.factors_by_epoch(trial.epoch or 0) if schedule else ()
            origin = {"seed": job.config.seed, "checksum": job.rows.load().checksum(), **(origin or {})}
            test = job.sweep.data.testing()
            look = _record_look(job, folder, trial, test, handler or NullHandler())
            exported = export(
                job,
                trial,
                trainer,
                folder.artifact,
                test=test,
                look=look,
                origin=origin,
                factors=factors,
                threshold=refitted.threshold,
            )
            return Winner(
                trial=trial,
                test_scores=exported.test_scores,
                artifact_scores=exported.artifact_scores,
                artifact=folder.artifact,
                predictions=predict_rows(exported.artifact, test) if look else None,
                samples=write_samples(folder, refitted.texts),
                gradient_norms=gradient_norms(exported.artifact, job.rows.load()),
                layer_statistics=write_layer_statistics(folder, refitted.layers),
                attention_maps=attention_maps(exported.artifact, trainer.data),
                test_look=look,
                learning_rate_factors=factors,
                finalists=tuple(finalists),
                baseline=measure_baseline(job),
                networks=len(trial.folds) if is_ensemble(job) else 1,
                network_scores=exported.network_scores,
            )
        failures.append(f"trial {trial.number} {refitted.failure}")
    raise WorldFault(f"no winner: refitted on all training rows, {'; '.join(failures)}. All trials are kept.")


def _candidates(sweep: Sweep, trials: Sequence[TrialRecord], finalists: Sequence[Finalist]) -> list[TrialRecord]:
    """Return the trials that may win, in their order: the finalists, and then the others by their scores."""
    by_number = {trial.number: trial for trial in trials}
    first = [by_number[finalist.trial] for finalist in finalists if finalist.scores]
    others = winner_candidates(trials, [metric.goal for metric in sweep.metrics])
    return first + [trial for trial in others if trial not in first]


def _record_look(
    job: Job, folder: SweepFolder, trial: TrialRecord, test: LoadedDataset, handler: EventHandler
) -> int | None:
    """Record that the test rows are opened, and for which trial, before they are; return the number of the look.

    Rows that were opened before, by any sweep of the home, are not opened again unless the run is told so: None then.
    """
    look = Look(test.checksum(), job.name, job.id, trial.number, time.time())
    is_allowed, earlier = LookLedger(folder.test_looks).record(look, again=job.config.look_again)
    if not earlier:
        handler.handle(Message(f"the test rows are opened for the first time, for trial {trial.number}"))
        return 1
    before = f"for trial {earlier[-1].trial} of {earlier[-1].sweep!r}"
    if not is_allowed:
        command = f"`searchlab resume {job.name} --look-again`"
        text = f"the test rows were opened before, {before}, and are not opened again; {command} tests the winner"
        handler.handle(Message(text))
        return None
    number = len(earlier) + 1
    text = f"the test rows are opened {times(number)}, for trial {trial.number}; the time before was {before}"
    handler.handle(Message(text))
    return number
