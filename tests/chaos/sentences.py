"""What must hold in the end, whatever was killed: one function for each sentence, which returns what breaks it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from mlflow import MlflowClient
from mlflow.entities import Run

from searchlab.engine.checkpoints import SHARE
from searchlab.runs.trials import TrialRecord
from tests.chaos.driver import Chaos, Kill
from tests.chaos.place import NAME

EPOCHS = 40
STATUS = {"COMPLETE": "FINISHED", "PRUNED": "KILLED"}
Recorded = dict[int, dict[int, tuple[float, float]]]  # by trial and epoch: when it was first over, and its score


def broken(chaos: Chaos, told: dict[str, Any]) -> list[str]:
    """Every breach of every sentence. Writes into the kills what each has cost."""
    trials, record = chaos.trials(), dict[int, list[Run]]()
    client = MlflowClient(told["tracking_uri"])
    found = [*chaos.faults, *_asked(chaos, trials, told), *_nothing_lost_or_repeated(chaos, trials)]
    curves = Recorded()
    for run in _runs(client, told["run_id"]):
        record.setdefault(int(run.data.tags["searchlab.trial"]), []).append(run)
    for number, runs in record.items():
        points = client.get_metric_history(runs[0].info.run_id, "accuracy")
        curves[number] = {point.step: (point.timestamp / 1000, point.value) for point in points}
        if len(points) != len(curves[number]):
            found.append(f"trial {number} has an epoch twice in the record")
    found += [*_recorded_once(trials, record, client, told), *_gapless(trials, curves)]
    for blow in chaos.kills:
        _cost(blow, trials, curves)
    found += [*_one_interval(chaos), *_nobody_left(chaos)]
    return found


def _asked(chaos: Chaos, trials: list[TrialRecord], told: dict[str, Any]) -> Iterator[str]:
    """Exactly the asked number of trials, nothing RUNNING, and all as good as without kills."""
    if [trial.number for trial in trials] != list(range(chaos.asked)):
        yield f"{chaos.asked} trials were asked for; there are {[trial.number for trial in trials]}"
    for trial in trials:
        if trial.state not in STATUS:
            yield f"trial {trial.number} is {trial.state}: {trial.reason}"
        if trial.state == "COMPLETE" and len(trial.curve.scores) != EPOCHS:
            yield f"trial {trial.number} is complete with {len(trial.curve.scores)} of {EPOCHS} epochs"
    complete, pruned = (sum(trial.state == state for trial in trials) for state in STATUS)
    if told["trials"] != {"asked": chaos.asked, "complete": complete, "pruned": pruned, "failed": 0}:
        yield f"the last run told of {told['trials']}"


def _nothing_lost_or_repeated(chaos: Chaos, trials: list[TrialRecord]) -> Iterator[str]:
    """What had ended at a kill is in the end as it was, and what was saved of the others was not trained again."""
    for at, blow in enumerate(chaos.kills, start=1):
        for number, before in blow.ended.items():
            after = trials[number]
            same = (before.state, before.value, before.epoch, before.curve.times, before.curve.scores)
            if same != (after.state, after.value, after.epoch, after.curve.times, after.curve.scores):
                yield f"trial {number} had ended before kill {at} and is another now"
        for number, (epoch, moment) in blow.saved.items():
            times = trials[number].curve.times
            if len(times) < epoch or times[epoch - 1] != moment:
                yield f"epoch {epoch} of trial {number} was saved before kill {at} ({blow.victim}) and trained again"


def _recorded_once(
    trials: list[TrialRecord], record: dict[int, list[Run]], client: MlflowClient, told: dict[str, Any]
) -> Iterator[str]:
    """One run per trial, ended as the trial has; the sweep's own is finished."""
    if sorted(record) != [trial.number for trial in trials]:
        yield f"the record has runs of the trials {sorted(record)}"
    for number, runs in record.items():
        status = [run.info.status for run in runs]
        if status != [STATUS.get(trials[number].state)]:
            yield f"trial {number} is {trials[number].state}, and the record has {status}"
    parent = client.get_run(told["run_id"])
    if parent.info.status != "FINISHED":
        yield f"the sweep's run is {parent.info.status}"


def _gapless(trials: list[TrialRecord], curves: Recorded) -> Iterator[str]:
    """Each epoch of a trial is recorded, with the score that the study has.

    A trial that is stopped earlier in its second life, as others have ended meanwhile, keeps the epochs of its first.
    """
    for trial in trials:
        steps, means = curves.get(trial.number, {}), np.mean(trial.curve.scores, axis=1)
        if sorted(steps) != list(range(1, max(len(steps), len(means)) + 1)):
            yield f"the record of trial {trial.number} has the epochs {sorted(steps)} of {len(means)}"
        elif not np.allclose([steps[epoch][1] for epoch in range(1, len(means) + 1)], means, rtol=0, atol=1e-12):
            yield f"the record of trial {trial.number} has other scores than the study"


def _cost(blow: Kill, trials: list[TrialRecord], curves: Recorded) -> None:
    """How many epochs were over before this kill, and once more after it; seconds that such epochs take."""
    for trial in trials:
        first, kept = curves.get(trial.number, {}), [moment for moment in trial.curve.times if moment <= blow.at]
        again = [step for step, (moment, _) in first.items() if moment <= blow.at and step > len(kept)]
        if again and trial.number not in blow.ended:
            epoch = float(np.median(np.diff([trial.started, *trial.curve.times])))
            blow.lost += len(again)
            blow.seconds = max(blow.seconds, len(again) * epoch)


def _one_interval(chaos: Chaos) -> Iterator[str]:
    """At most one checkpoint interval of work is lost for each group, and the epoch it was in."""
    interval = max(1.0, chaos.write / SHARE)
    for at, blow in enumerate(chaos.kills, start=1):
        if blow.seconds > interval + 1.0:
            yield f"kill {at} ({blow.victim}) cost {blow.seconds:.1f} s; checkpoints are {interval:.1f} s apart at most"


def _nobody_left(chaos: Chaos) -> Iterator[str]:
    """No process of any session lives on."""
    for command in chaos.left_over():
        yield f"left over: {command[:100]}"


def _runs(client: MlflowClient, parent: str) -> list[Run]:
    experiment = client.get_experiment_by_name(NAME)
    runs = client.search_runs([experiment.experiment_id], max_results=5000)
    return [run for run in runs if run.data.tags.get("mlflow.parentRunId") == parent]
