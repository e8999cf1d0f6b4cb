"""Trials as Optuna has them stored, read back as records: by the study's owner, and by whoever looks at it."""

from __future__ import annotations

import json
import time
from datetime import datetime
from pathlib import Path

import numpy as np
import optuna
from optuna.trial import FrozenTrial

from searchlab.runs.trials import LearningCurve, State, TrialRecord
from searchlab.study.storage import journal

KNOWN = "known trials"  # of an earlier sweep, first in the storage: the sampler's knowledge and no trials of this study


def peek(storage: Path | str, name: str) -> list[TrialRecord]:
    """The trials of a study that another process may own, as far as they are stored; none when there is no study."""
    if isinstance(storage, Path) and not storage.exists():
        return []
    opened = journal.look(storage)
    if name not in optuna.get_all_study_names(opened):
        return []
    study = optuna.load_study(study_name=name, storage=opened)
    trials = study.get_trials(deepcopy=False)[study.user_attrs.get(KNOWN, 0) :]
    return [record_of(trial, number, None) for number, trial in enumerate(trials)]


def record_of(trial: FrozenTrial, number: int, open_curve: LearningCurve | None) -> TrialRecord:
    """A trial as it is stored, under its number in the sweep; its curve, unless it has ended, is the one given."""
    end = trial.user_attrs.get("end", {"epoch": None, "reason": None, "curve": "{}"})
    kept = end["curve"]  # values in journals of before it was text
    curve = open_curve or LearningCurve(**(kept if isinstance(kept, dict) else json.loads(kept)))
    state: State = end.get("state", trial.state.name)  # WAITING does not occur: nothing is enqueued in Optuna
    if not trial.state.is_finished():
        state = "RUNNING"  # killed between its two last lines
    value = float(np.mean(curve.scores[end["epoch"] - 1])) if end["epoch"] and state != "RUNNING" else None
    return TrialRecord(
        number, state, trial.params, value, end["epoch"] if value is not None else None, end["reason"], curve,
        seconds_of(trial.datetime_start), seconds_of(trial.datetime_complete) if trial.datetime_complete else None,
        curve.values(end["epoch"]) if value is not None else (),
    )  # fmt: skip


def order_of(trial: FrozenTrial) -> tuple[int, float]:
    """By which trials that have ended are in the order in which they did; a clock that was put back has no say."""
    ended = trial.datetime_complete.timestamp() if trial.datetime_complete else 0.0
    return trial.user_attrs.get("end", {}).get("order", -1), ended


def seconds_of(moment: datetime | None) -> float:
    """A moment of Optuna's in seconds since 1970; now, where it has none."""
    return moment.timestamp() if moment else time.time()
