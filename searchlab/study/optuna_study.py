"""Optuna's study of a job: created or loaded, with the trials of an earlier sweep in front."""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Sequence

import optuna
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial

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
    for prior in prior_trials[stored:]:
        study.add_trial(_to_optuna(prior, sweep))
    study.set_user_attr(PRIOR_TRIALS, len(prior_trials))
    return len(prior_trials)


def prior_seed(study: optuna.Study) -> tuple[int, ...]:
    """Return what the trials of an earlier sweep add to the seed of the draws; nothing where there are none.

    Without it, a sampler that still draws at random would draw the points of an earlier sweep with the same seed.
    """
    trials = study.get_trials(deepcopy=False)[: int(study.user_attrs.get(PRIOR_TRIALS, 0))]
    points = json.dumps([sorted(trial.params.items()) for trial in trials])
    return (zlib.crc32(points.encode()),) if trials else ()


def _to_optuna(prior: PriorTrial, sweep: Sweep) -> FrozenTrial:
    """Return a trial as `TrialStore` stores its own: the value of a pruned one is that of its last epoch."""
    parameters, distributions = dict(prior.parameters), distributions_of(sweep, prior.parameters)
    if prior.pruned_epoch is None:
        return create_trial(params=parameters, distributions=distributions, values=list(prior.values))
    curve = {prior.pruned_epoch: prior.values[0]} if math.isfinite(prior.values[0]) else {}
    return create_trial(
        state=TrialState.PRUNED, params=parameters, distributions=distributions, intermediate_values=curve
    )
