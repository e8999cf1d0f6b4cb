"""Optuna's study of a job: created or loaded, with the trials of an earlier sweep in front."""

from __future__ import annotations

from collections.abc import Sequence

import optuna
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.trial import create_trial

from searchlab.errors import UserMistake
from searchlab.runs.job import Job, PriorTrial
from searchlab.space.sweep import Sweep
from searchlab.study.samplers import distributions_of
from searchlab.study.storage.attributes import PRIOR_TRIALS, SWEEP_ID

DIRECTIONS = {"max": StudyDirection.MAXIMIZE, "min": StudyDirection.MINIMIZE}


def load_study(storage: BaseStorage, job: Job) -> optuna.Study:
    """Return the study of this name, which is created if need be.

    Raises:
        UserMistake: When a database that several users share has a study of this name that is another sweep's.
    """
    study = optuna.create_study(
        storage=storage,
        study_name=job.study,
        directions=[DIRECTIONS[metric.goal] for metric in job.sweep.metrics],
        load_if_exists=True,
    )
    stored_id = study.user_attrs.get(SWEEP_ID)
    if job.id and stored_id is None:
        study.set_user_attr(SWEEP_ID, job.id)
    elif job.id and stored_id != job.id:
        raise UserMistake(
            f"the database has a study called {job.study!r} of another workspace's sweep, which stays as it is; choose "
            "another name with --name."
        )
    return study


def add_prior_trials(study: optuna.Study, sweep: Sweep, prior_trials: Sequence[PriorTrial]) -> int:
    """Add the trials of an earlier sweep before the first trial of this one, once; return how many there are."""
    if PRIOR_TRIALS in study.user_attrs:
        return int(study.user_attrs[PRIOR_TRIALS])
    stored = len(study.get_trials(deepcopy=False))  # above 0 where a kill interrupted this
    for parameters, values in prior_trials[stored:]:
        distributions = distributions_of(sweep, parameters)
        study.add_trial(create_trial(params=dict(parameters), distributions=distributions, values=list(values)))
    study.set_user_attr(PRIOR_TRIALS, len(prior_trials))
    return len(prior_trials)
