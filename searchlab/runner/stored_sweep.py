"""A sweep that was run before, with what it takes to train one of its trials again."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from searchlab.data.training_rows import TrainingRows
from searchlab.errors import UserMistake
from searchlab.runner.pipeline import SweepPipeline
from searchlab.runs.job import Job
from searchlab.runs.manifest import SweepManifest
from searchlab.runs.trials import TrialRecord
from searchlab.runs.workspace import SweepFolder, Workspace
from searchlab.space import loader
from searchlab.space.sweep import Sweep
from searchlab.study.reading import read_trials
from searchlab.wording import count


@dataclass(frozen=True)
class StoredSweep:
    """A sweep as its home has it.

    Attributes:
        manifest: How it was started.
        folder: Its folder in the home.
        job: Its sweep, seed, options and data.
        trials: Its trials, in the order of their numbers.
    """

    manifest: SweepManifest
    folder: SweepFolder
    job: Job
    trials: Sequence[TrialRecord]

    @classmethod
    def load(
        cls, name: str, *, home: str | os.PathLike[str], storage: str | None = None, sweep: Sweep | None = None
    ) -> StoredSweep:
        """Return the sweep of this name, by its recorded file.

        Args:
            name: Name of the sweep.
            home: Folder of studies, checkpoints, artifacts and the MLflow store.
            storage: URL of the study's database with its password; default: without a password.
            sweep: The sweep, where it was started from Python; default: it is loaded from its file.

        Raises:
            UserMistake: When there is no such sweep, or its file means another sweep now.
        """
        workspace = Workspace.at(home, storage)
        folder = workspace.sweep(name)
        manifest = SweepManifest.load(folder)
        sweep = (sweep or loader.load(manifest.spec_path()).sweep).with_values(manifest.config.values)
        if not manifest.describes(sweep):
            raise UserMistake(f"{manifest.spec or 'this sweep'} has another space than {name!r} was started with.")
        job = SweepPipeline(sweep, manifest, workspace, TrainingRows(sweep.data)).job()
        return cls(manifest, folder, job, read_trials(manifest.study_storage(folder), manifest.name))

    def trial(self, number: int) -> TrialRecord:
        """Return the trial of this number; raise UserMistake where there is none, or it has no score."""
        found = next((trial for trial in self.trials if trial.number == number), None)
        if found is None:
            raise UserMistake(f"{self.manifest.name!r} has {count(len(self.trials), 'trial')}, and none is {number}.")
        if found.epoch is None:
            raise UserMistake(f"trial {number} of {self.manifest.name!r} has no score: {found.reason or found.state}.")
        return found
