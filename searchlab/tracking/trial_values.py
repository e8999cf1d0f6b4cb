"""What the record says of a trial's epochs and of its end, by name."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from mlflow.entities import Metric

from searchlab.runs.events import EpochFinished, TrialFinished
from searchlab.space.metric_names import record_key
from searchlab.tracking.sweep_record import SweepRecord

Points = dict[tuple[str, int], Metric]  # the metrics of a trial, by name and step


def epoch_points(sweep: SweepRecord, event: EpochFinished) -> Points:
    """Return mean, spread and folds of every metric, and the means of what else was measured."""
    values = _by_fold(sweep.metric, event.scores) | {"loss": _mean_and_std(event.losses)[0]}
    for name, folds in zip(sweep.others, event.other_scores, strict=True) if event.other_scores else ():
        values |= _by_fold(name, folds)
    values["held_out_loss"] = _mean_and_std(event.held_out_losses)[0]  # NaN, which is left out, where not measured
    values[f"training_{sweep.metric}"] = _mean_and_std(event.training_scores)[0]
    return _points(values, event.epoch, event.time)


def end_points(sweep: SweepRecord, event: TrialFinished) -> Points:
    """Return the score of every metric, its epoch, and the training time."""
    values = {"seconds": event.seconds, f"best_{sweep.metric}": event.value, "epoch_of_best": event.epoch}
    others = zip(sweep.others, event.other_values, strict=True) if event.other_values else ()
    return _points(values | {f"best_{name}": value for name, value in others}, 0, event.time)


def milliseconds(seconds: float) -> int:
    """Return a time as MLflow has it."""
    return int(seconds * 1000)


def _points(values: Mapping[str, float | None], step: int, time: float) -> Points:
    keys = {record_key(name): value for name, value in values.items()}
    return {  # the dashboard's axes do not survive an infinity
        (key, step): Metric(key, float(value), milliseconds(time), step)
        for key, value in keys.items()
        if value is not None and math.isfinite(value)
    }


def _by_fold(name: str, scores: Sequence[float]) -> dict[str, float]:
    """Return mean, spread and folds of one metric, by their names in the record."""
    mean, std = _mean_and_std(scores)
    folds = {f"folds/{name}_{fold}": score for fold, score in enumerate(scores)}
    return {name: mean, f"folds/{name}_std": std, **folds}


def _mean_and_std(values: Sequence[float]) -> tuple[float, float]:
    if not values or not all(math.isfinite(value) for value in values):
        return math.nan, math.nan
    mean = math.fsum(values) / len(values)
    return mean, math.sqrt(math.fsum((value - mean) ** 2 for value in values) / len(values))
