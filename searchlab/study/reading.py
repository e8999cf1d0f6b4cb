"""Trial records of what Optuna has stored, for the study's owner and for other processes that read it."""

from __future__ import annotations

import json
import time
from datetime import datetime
from functools import lru_cache
from pathlib import Path

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial

from searchlab.runs.trials import LearningCurve, State, TrialRecord
from searchlab.space.domains import Choice, Domain, Float, Int
from searchlab.study.storage.attributes import END, PRIOR_TRIALS
from searchlab.study.storage.opening import open_read_only


def read_trials(storage: Path | str, name: str) -> list[TrialRecord]:
    """Return the trials of a study as far as they are stored, whoever owns it; none when there is no such study.

    Args:
        storage: The path of the study's journal, or the URL of its database.
        name: The name of the study.

    Raises:
        WorldFault: When the storage cannot be read.
        UserMistake: When the URL is not that of a database.
    """
    if isinstance(storage, Path) and not storage.exists():
        return []
    opened = open_read_only(storage, name)
    if name not in optuna.get_all_study_names(opened):
        return []
    study = optuna.load_study(study_name=name, storage=opened)
    trials = study.get_trials(deepcopy=False)[study.user_attrs.get(PRIOR_TRIALS, 0) :]
    return [to_record(trial, number, None) for number, trial in enumerate(trials)]


def to_record(trial: FrozenTrial, number: int, open_curve: LearningCurve | None) -> TrialRecord:
    """Return the record of a stored trial.

    Args:
        trial: The trial, as Optuna stores it.
        number: Its number in the sweep.
        open_curve: Its learning curve where it has not ended; None reads the curve that was stored at its end.
    """
    end = trial.user_attrs.get(END, {"epoch": None, "reason": None, "curve": "{}"})
    curve = open_curve or LearningCurve(**json.loads(end["curve"]))
    state: State = end.get("state", trial.state.name)  # WAITING does not occur: nothing is enqueued in Optuna
    if not trial.state.is_finished():
        state = "RUNNING"  # a kill came between the END attribute and the state
    epoch: int | None = end["epoch"] if state != "RUNNING" else None
    return TrialRecord(
        number=number,
        state=state,
        parameters=trial.params,
        value=float(np.mean(curve.scores[epoch - 1])) if epoch else None,
        epoch=epoch,
        reason=end["reason"],
        curve=curve,
        started=to_timestamp(trial.datetime_start),
        ended=to_timestamp(trial.datetime_complete) if trial.datetime_complete else None,
        values=curve.values(epoch) if epoch else (),
        traceback=end.get("traceback"),
        domains={path: to_domain(distribution) for path, distribution in trial.distributions.items()},
    )


@lru_cache(maxsize=1024)
def to_domain(distribution: BaseDistribution) -> Domain:
    """Return the domain of a stored distribution; a choice has labels as options, without their objects."""
    if isinstance(distribution, FloatDistribution):
        return Float(distribution.low, distribution.high, log=distribution.log, step=distribution.step)
    if isinstance(distribution, IntDistribution):
        return Int(distribution.low, distribution.high, log=distribution.log, step=distribution.step)
    if isinstance(distribution, CategoricalDistribution):
        return Choice(*distribution.choices)
    raise TypeError(f"no domain is a {type(distribution).__name__}")


def end_order(trial: FrozenTrial) -> tuple[int, float]:
    """Return a key that sorts trials in the order in which they ended, also where the clock was set back."""
    ended = trial.datetime_complete.timestamp() if trial.datetime_complete else 0.0
    return trial.user_attrs.get(END, {}).get("order", -1), ended


def to_timestamp(moment: datetime | None) -> float:
    """Return one of Optuna's times in seconds since 1970; for None the time now."""
    return moment.timestamp() if moment else time.time()
