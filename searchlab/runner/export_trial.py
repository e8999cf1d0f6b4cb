"""Any trial of a sweep as an artifact: trained by the rule of the winner, and not measured on the test rows."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

from searchlab.engine.refit import available_device, is_ensemble, refit_locally, restore_trainer
from searchlab.errors import UserMistake, WorldFault
from searchlab.results.baseline import measure_baseline
from searchlab.results.export import export
from searchlab.results.model_card import write_model_card
from searchlab.results.winner import Winner
from searchlab.runner.stored_sweep import StoredSweep
from searchlab.runs.provenance import provenance
from searchlab.space.kernel_choice import kernels_of
from searchlab.space.sweep import Sweep


def export_trial(
    name: str,
    number: int,
    folder: str | os.PathLike[str],
    *,
    home: str | os.PathLike[str] = ".searchlab",
    storage: str | None = None,
    sweep: Sweep | None = None,
) -> Path:
    """Train a trial as the winner is trained, write it as an artifact, and return the artifact's folder.

    The test rows are not opened: who compares trials by them chooses by them.

    Args:
        name: Name of the sweep.
        number: Number of the trial; one that was pruned is trained for its best epochs so far.
        folder: The folder to write, which must not exist.
        home: Folder of studies, checkpoints, artifacts and the MLflow store; default: ".searchlab".
        storage: URL of the study's database with its password; default: without a password.
        sweep: The sweep, where it was started from Python; default: it is loaded from its file.

    Raises:
        UserMistake: When the folder exists, there is no such sweep or trial, or the trial has no score.
        WorldFault: When its training diverges, or the folder cannot be written.

    Example:
        >>> import tempfile
        >>> from searchlab.runner.export_trial import export_trial
        >>> export_trial("no-such-sweep", 3, "trial-3", home=tempfile.mkdtemp())
        Traceback (most recent call last):
        searchlab.errors.UserMistake: there is no sweep called 'no-such-sweep' in ...; there are: none yet.
    """
    target = Path(folder)
    if target.exists():
        raise UserMistake(f"{target} exists already; name a folder that does not.")
    stored = StoredSweep.load(name, home=home, storage=storage, sweep=sweep)
    job, trial, device = stored.job, stored.trial(number), available_device(stored.job.config.device)
    refit = refit_locally(job, trial, device)
    if refit.failure:
        raise WorldFault(f"trial {number} cannot be exported: trained again, it {refit.failure}.")
    origin = {"seed": job.config.seed, "checksum": job.rows.load().checksum(), "created": time.time()}
    origin |= {"versions": provenance(stored.manifest.project_root(stored.folder), kernels_of(job.sweep))}
    part = target.with_name(f"{target.name}.part")
    shutil.rmtree(part, ignore_errors=True)  # of a process that was killed
    try:
        trainer = restore_trainer(refit, job, trial, device)
        export(job, trial, trainer, part, test=None, look=None, origin=origin, threshold=refit.threshold)
        networks = len(trial.folds) if is_ensemble(job) else 1
        shown = Winner(trial, {}, {}, part, test_look=None, baseline=measure_baseline(job), networks=networks)
        write_model_card(job, shown, len(stored.trials))
        part.rename(target)
    except OSError as error:
        raise WorldFault(f"{target} cannot be written ({error}).") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return target
