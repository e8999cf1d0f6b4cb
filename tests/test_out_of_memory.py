"""A trial that takes more memory than there is: retried with fewer beside it, then alone, then given up."""

from __future__ import annotations

import os
import signal

import numpy as np
import pytest

from models.mlp import MLP
from searchlab import SGD, Choice, Grid, Space, Trainer
from searchlab.engine import local, ray_tune
from searchlab.replicas import PerReplica
from searchlab.runs.events import Buffer
from searchlab.runs.job import Job
from tests.conftest import ROOT
from tests.sweeps import spiral_sweep

pytestmark = pytest.mark.slow

APPETITES = (1.0, 2.0, 9.0, 3.0)  # of the trials, in what a worker has 10 of; each has two folds
ENDS = ["COMPLETE", "COMPLETE", "FAIL", "COMPLETE"]


class Hungry(MLP):
    """A network that runs out of memory where the appetites of its replicas are more than 10 together."""

    def __init__(self, replicas, features, outputs, *, appetite: PerReplica = 0.0, hidden: int = 8):
        super().__init__(replicas, features, outputs, hidden=hidden)
        self.appetite, self.steps = replicas.vector(appetite), 0

    def forward(self, batch, carry=None, *, train):
        self.steps += 1
        if self.steps > 3 and self.appetite.sum() > 10.0:  # what is measured beforehand are two steps
            self.run_out()
        return super().forward(batch, carry, train=train)

    def run_out(self):
        """No machine has 2 ** 60 bytes: NumPy raises MemoryError."""
        np.empty(2**60, dtype=np.uint8)


class Killed(Hungry):
    """The same, but on a system that kills who takes too much instead of refusing it."""

    def run_out(self):
        os.kill(os.getpid(), signal.SIGKILL)


def job(folder, model, **changes):
    sweep = spiral_sweep(
        trials=None,
        model=Space(model, appetite=Choice(*APPETITES)),
        optimizer=Space(SGD, lr=0.5),
        training=Space(Trainer, batch_size=10, epochs=3),
        sampler=Grid(),
    )
    return Job(
        sweep, "spiral", folder / "study.journal", folder / "checkpoints", len(APPETITES), fuse=4, root=ROOT, **changes
    )


def test_memory_that_is_refused_fails_the_one_trial_that_needs_it(tmp_path):
    trials = local.search(job(tmp_path, Hungry), Buffer()).trials
    assert [trial.state for trial in trials] == ENDS
    reason = trials[2].reason
    assert reason.startswith("infeasible: alone in its worker, it ran out of memory (Unable to allocate 1.00 EiB")
    assert all(len(trial.curve.scores) == 3 for trial in trials if trial.state == "COMPLETE")
    assert not list((tmp_path / "checkpoints").iterdir())


def test_a_process_that_is_killed_for_its_memory_fails_the_one_trial_that_needs_it(tmp_path):
    trials = ray_tune.search(job(tmp_path, Killed, memory=2**30), told := Buffer()).trials
    assert [trial.state for trial in trials] == ENDS, [trial.reason for trial in trials]
    reason = trials[2].reason
    assert reason.startswith("infeasible: the process that trained it alone was killed before an epoch was over")
    assert "it is reckoned to need" in reason
    assert "a worker may take 1.07 GB" in reason
    assert all(len(trial.curve.scores) == 3 for trial in trials if trial.state == "COMPLETE")
    ends = [given["trial"] for method, given in told.drain() if method == "finish"]
    assert sorted(ends) == [0, 1, 2, 3]
    assert not list((tmp_path / "checkpoints").iterdir())
