"""The invariants that must hold after any kills: one function for each, which yields its violations."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

import numpy as np
from mlflow import MlflowClient
from mlflow.entities import Run

from searchlab.engine.checkpoints import MAX_TIME_SHARE
from searchlab.runs.trials import TrialRecord
from tests.chaos.experiment import ChaosExperiment, Kill
from tests.chaos.observed_sweep import NAME

STATUS = {"COMPLETE": "FINISHED", "PRUNED": "FINISHED"}
RecordedCurves: TypeAlias = dict[int, dict[int, tuple[float, float]]]  # by trial and epoch: first end, and score


def violations(experiment: ChaosExperiment, result: dict[str, Any]) -> list[str]:
    """Return every violation of every invariant, and add to each kill what it has cost."""
    trials, record = experiment.trials(), dict[int, list[Run]]()
    client = MlflowClient(result["tracking_uri"])
    messages = [
        *experiment.faults,
        *_trials(experiment, trials, result),
        *_nothing_lost_or_repeated(experiment, trials),
    ]
    curves = RecordedCurves()
    for run in _trial_runs(client, result["run_id"]):
        record.setdefault(int(run.data.tags["searchlab.trial"]), []).append(run)
    for number, runs in record.items():
        points = client.get_metric_history(runs[0].info.run_id, experiment.metric)
        curves[number] = {point.step: (point.timestamp / 1000, point.value) for point in points}
        if len(points) != len(curves[number]):
            messages.append(f"trial {number} has an epoch twice in the record")
    messages += [*_recorded_once(trials, record, client, result), *_recorded_without_gaps(trials, curves)]
    for event in experiment.kills:
        _measure_cost(event, trials, curves)
    messages += [*_one_interval(experiment), *_no_process_left(experiment)]
    return messages


def _trials(experiment: ChaosExperiment, trials: list[TrialRecord], result: dict[str, Any]) -> Iterator[str]:
    """Check that there are as many trials as requested, each of which ended as it would without kills."""
    if [trial.number for trial in trials] != list(range(experiment.requested)):
        yield f"{experiment.requested} trials were requested; there are {[trial.number for trial in trials]}"
    for trial in trials:
        if trial.state not in STATUS:
            yield f"trial {trial.number} is {trial.state}: {trial.reason}"
        if trial.state == "COMPLETE" and len(trial.curve.scores) != experiment.epochs:
            yield f"trial {trial.number} is complete with {len(trial.curve.scores)} of {experiment.epochs} epochs"
    complete, pruned = (sum(trial.state == state for trial in trials) for state in STATUS)
    if result["trials"] != {"asked": experiment.requested, "complete": complete, "pruned": pruned, "failed": 0}:
        yield f"the last run's result has {result['trials']}"


def _nothing_lost_or_repeated(experiment: ChaosExperiment, trials: list[TrialRecord]) -> Iterator[str]:
    """Check that trials that had ended before a kill are unchanged, and that no epoch in a checkpoint was repeated."""
    for position, event in enumerate(experiment.kills, start=1):
        for number, before in event.ended.items():
            after = trials[number]
            facts = (before.state, before.value, before.epoch, before.curve.times, before.curve.scores)
            if facts != (after.state, after.value, after.epoch, after.curve.times, after.curve.scores):
                yield f"trial {number} had ended before kill {position}, and has changed since"
        for number, (epoch, ended) in event.saved.items():
            times = trials[number].curve.times
            if len(times) < epoch or times[epoch - 1] != ended:
                yield f"epoch {epoch} of trial {number}, saved before kill {position} ({event.kind}), was trained again"


def _recorded_once(
    trials: list[TrialRecord], record: dict[int, list[Run]], client: MlflowClient, result: dict[str, Any]
) -> Iterator[str]:
    """Check that MLflow has one run per trial, with the trial's state, and that the sweep's own run is finished."""
    if sorted(record) != [trial.number for trial in trials]:
        yield f"the record has runs of the trials {sorted(record)}"
    for number, runs in record.items():
        status = [run.info.status for run in runs]
        if status != [STATUS.get(trials[number].state)]:
            yield f"trial {number} is {trials[number].state}, and the record has {status}"
    parent = client.get_run(result["run_id"])
    if parent.info.status != "FINISHED":
        yield f"the sweep's run is {parent.info.status}"


def _recorded_without_gaps(trials: list[TrialRecord], curves: RecordedCurves) -> Iterator[str]:
    """Check that each epoch of a trial is recorded, with the study's score.

    A trial that is pruned earlier after a kill than it was before it, because others have ended meanwhile, keeps the
    later epochs in the record.
    """
    for trial in trials:
        steps, means = curves.get(trial.number, {}), np.mean(trial.curve.scores, axis=1)
        if sorted(steps) != list(range(1, max(len(steps), len(means)) + 1)):
            yield f"the record of trial {trial.number} has the epochs {sorted(steps)} of {len(means)}"
        elif not np.allclose([steps[epoch][1] for epoch in range(1, len(means) + 1)], means, rtol=1e-12, atol=0):
            yield f"the record of trial {trial.number} has other scores than the study"


def _measure_cost(event: Kill, trials: list[TrialRecord], curves: RecordedCurves) -> None:
    """Add to the kill how many epochs had ended before it and were trained again, and their seconds."""
    for trial in trials:
        recorded, remaining = curves.get(trial.number, {}), sum(ended <= event.time for ended in trial.curve.times)
        repeated = [step for step, (ended, _) in recorded.items() if ended <= event.time and step > remaining]
        if repeated and trial.number not in event.ended:
            epoch_seconds = float(np.median(np.diff([trial.started, *trial.curve.times])))
            event.lost_epochs += len(repeated)
            event.lost_seconds = max(event.lost_seconds, len(repeated) * epoch_seconds)


def _one_interval(experiment: ChaosExperiment) -> Iterator[str]:
    """Check that a kill costs a trial at most one checkpoint interval, and the epoch that was in training."""
    interval = max(1.0, experiment.write_seconds / MAX_TIME_SHARE)
    for position, event in enumerate(experiment.kills, start=1):
        if event.kind == "group" and event.lost_epochs:
            yield f"kill {position}: {event.lost_epochs} epochs were lost, although SIGTERM has every group saved"
        if event.lost_seconds > interval + 1.0:
            yield (
                f"kill {position} ({event.kind}) cost {event.lost_seconds:.1f} s; checkpoints are {interval:.1f} s "
                "apart at most"
            )


def _no_process_left(experiment: ChaosExperiment) -> Iterator[str]:
    """Check that every process of every session has ended."""
    for command in experiment.remaining_processes():
        yield f"still running: {command[:100]}"


def _trial_runs(client: MlflowClient, parent: str) -> list[Run]:
    experiment = client.get_experiment_by_name(NAME)
    runs = client.search_runs([experiment.experiment_id], max_results=5000)
    return [run for run in runs if run.data.tags.get("mlflow.parentRunId") == parent]
