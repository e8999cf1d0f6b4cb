"""A sweep from the search to an artifact that classifies, in seconds, in this process and without MLflow."""

from __future__ import annotations

import numpy as np
import pytest

from models.mlp import MLP
from searchlab import SGD, Accuracy, Float, KFold, Sigmoid, Space, Spiral, Sweep, Trainer, artifact
from searchlab.engine import local
from searchlab.results.winner import select_winner
from searchlab.runs.events import EventBuffer
from searchlab.runs.workspace import Workspace
from tests.jobs import make_job


def test_a_sweep_learns_the_spirals_and_its_artifact_classifies_them(tmp_path):
    sweep = Sweep(
        name="tiny",
        data=Spiral(points=60),
        validation=KFold(3),
        metric=Accuracy(),
        model=Space(MLP, hidden=20, activation=Sigmoid),
        optimizer=Space(SGD, lr=Float(1.0, 2.0, log=True)),
        training=Space(Trainer, batch_size=20, epochs=150),
        trials=3,
    )
    folder = Workspace.at(tmp_path).sweep("tiny")
    folder.path.mkdir(parents=True)
    job = make_job(sweep, "tiny", folder.study, folder.checkpoints, trials=3, fuse=3)
    trials = local.search(job, EventBuffer()).trials
    best = max(trial.value for trial in trials)
    assert best > 0.8, "of three classes, a guess is right in a third of the rows"

    winner = select_winner(job, trials, folder)
    test = sweep.data.testing()
    predicted = artifact.load(winner.artifact).predict(test.x).argmax(axis=1)
    assert np.mean(predicted == test.y) == pytest.approx(winner.artifact_score)
    assert winner.artifact_score > 0.7
