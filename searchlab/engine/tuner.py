"""Ray Tune's own run: its settings, its names for workers and folders, and the folder of its results."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from ray import tune
from ray.air._internal import usage
from ray.tune.execution import class_cache

from searchlab.engine.payload import payload_for_workers
from searchlab.engine.tune_hooks import (
    IdleStopper,
    NoProgress,
    RecoveryCallback,
    UserCallback,
    WorkerSearcher,
    withhold_store_keys,
)
from searchlab.engine.tune_worker import named_worker_class
from searchlab.runs.job import Job

# restarts of a worker whose process died; the study gives up the trials that cause it after far fewer
MAX_RESTARTS = 100
TUNE_ENVIRONMENT = {  # Tune reads these in the driver when it starts
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # 5 ms less per group; a sweep's callbacks may be these loggers
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # engine/signals.py handles the signals
    "TUNE_MAX_PENDING_TRIALS_PG": "64",  # workers that start at the same time; by default one after the other
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
}
# seconds between two copies of Tune's state and of the files of callbacks to the folder of results. The study holds the
# state, so that without callbacks one copy at the end is enough; "auto" is 10 s, and more where a copy takes long
CHECKPOINT_PERIOD = "TUNE_GLOBAL_CHECKPOINT_S"


def search_name(job: Job) -> str:
    """Return the name of the job's search in Ray: that of the sweep, and of its study where that is another one."""
    return job.study if job.study.startswith(job.name) else f"{job.name}-{job.study}"


def worker_name(search: str, trial: Any) -> str:
    """Return the name of a worker, a trial of Tune's, in this search: such as "digits-mlp-worker-1"."""
    return f"{search}-worker-{trial.config['worker']}"


def run_tuner(job: Job, study_actor: Any) -> None:
    """Have Tune run workers until the study has no more groups."""
    name = search_name(job)
    kind = named_worker_class(f"{name}-worker", job.sweep.resources)
    worker: Any = tune.with_parameters(kind, payload=payload_for_workers(job), study_actor=study_actor)
    worker.__qualname__ = kind.__name__  # by which Ray shows the class
    callbacks = [UserCallback(callback, study_actor) for callback in job.sweep.callbacks]
    with _results_folder(job) as folder, _tune_settings(has_callbacks=bool(callbacks)):
        tune.Tuner(
            worker,
            tune_config=tune.TuneConfig(
                search_alg=WorkerSearcher(study_actor),
                num_samples=-1,
                trial_name_creator=partial(worker_name, name),
                trial_dirname_creator=partial(worker_name, name),
            ),
            run_config=tune.RunConfig(
                name=f"{name}_{time.strftime('%Y-%m-%d_%H-%M-%S')}",
                storage_path=str(folder),
                verbose=0,
                failure_config=tune.FailureConfig(max_failures=MAX_RESTARTS),
                callbacks=[RecoveryCallback(study_actor), NoProgress(), *callbacks],
                stop=IdleStopper(study_actor),
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),  # workers save checkpoints per group
            ),
        ).fit()


@contextmanager
def _results_folder(job: Job) -> Iterator[Path]:
    """Yield the folder of Tune's results, a temporary one where the job has none."""
    if job.tune_folder is not None:
        job.tune_folder.mkdir(parents=True, exist_ok=True)
        yield job.tune_folder
        return
    folder = Path(tempfile.mkdtemp(prefix="searchlab-tune-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _tune_settings(*, has_callbacks: bool = False) -> Iterator[None]:
    """Within the block, Tune has the settings of a search, passes no store's keys on, and counts no callbacks.

    To count them for Ray's statistics, which are off, Tune imports MLflow, which takes seconds.
    """
    keys, tag_callbacks, before = class_cache.ENV_VARS_TO_PROPAGATE, usage.tag_callbacks, dict(os.environ)
    settings = {**TUNE_ENVIRONMENT, CHECKPOINT_PERIOD: "auto" if has_callbacks else "3600"}
    os.environ.update(settings)
    withhold_store_keys()
    usage.tag_callbacks = lambda callbacks: False
    try:
        yield
    finally:
        class_cache.ENV_VARS_TO_PROPAGATE, usage.tag_callbacks = keys, tag_callbacks
        for name in settings:
            if name in before:
                os.environ[name] = before[name]
            else:
                os.environ.pop(name, None)
