"""Ray Tune as the workers and the study of a simulated search see it: it starts, restarts and gives up workers."""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace

from ray.exceptions import RayError
from ray.tune.search import Searcher

from searchlab.engine.tune_hooks import RecoveryCallback, WorkerSearcher
from searchlab.engine.tune_worker import TuneWorker
from searchlab.runs.study_client import StudyUnreachable
from tests.simulation.processes import ActorHandle, Process


class SimulatedWorker(TuneWorker):
    """A worker as Tune's trainable, without what its base class does on Ray."""

    trial_id = None

    def __init__(self, trial_id, device, handle, payload):
        self.trial_id = trial_id
        self.setup({"device": device}, study_actor=handle, payload=payload)


class TuneTrial:
    """A trial of Tune's, which is a worker; its process is None while it waits to be started."""

    def __init__(self, trial_id, device):
        self.id, self.device, self.process, self.starts = trial_id, device, None, 0
        self.is_lost = False  # whether its process counts as dead, and Tune has not reacted yet


class SimulatedTune:
    """Tune's controller, in small steps that the scheduler chooses from.

    Args:
        handle: The driver's handle of the study's actor.
        payload: The payload of the workers.
        max_workers: Number of trials that Tune runs at a time.
        is_hasty: Whether it may react to the end of a process before all its calls have reached the actor.

    Attributes:
        trials: The trials that have not ended.
        processes: All processes that run, also those that Tune takes for dead.
        is_over: Whether Tune has ended.
    """

    def __init__(self, handle, payload, max_workers, *, is_hasty):
        self._payload, self._max_workers, self._is_hasty = payload, max_workers, is_hasty
        self._searcher, self._recovery = WorkerSearcher(handle), RecoveryCallback(handle)
        self.trials, self.processes = [], []
        self._count, self._is_finished = 0, False

    @property
    def is_over(self):
        return self._is_finished and not self.trials

    @property
    def running(self):
        """The trials whose process runs, as far as Tune knows."""
        return [trial for trial in self.trials if trial.process and not trial.is_lost and not trial.process.has_ended]

    def steps(self):
        """Return what the controller can do next: the kind of each step, its name, and its function."""
        steps = []
        if not self._is_finished and len(self.trials) < self._max_workers:
            steps.append(("suggest", "suggest", self._suggest))
        for trial in self.trials:
            if trial.process is None:
                steps.append(("tune", f"start {trial.id}", partial(self._start, trial)))
            elif (trial.is_lost or trial.process.has_ended) and (self._is_hasty or not trial.process.calls):
                steps.append(("tune", f"react to the end of {trial.process.name}", partial(self._react, trial)))
        return steps

    def _suggest(self):
        trial_id = f"worker-{self._count}"
        self._count += 1
        suggestion = self._searcher.suggest(trial_id)
        if suggestion == Searcher.FINISHED:
            self._is_finished = True
        elif suggestion is not None:
            self.trials.append(TuneTrial(trial_id, suggestion["device"]))

    def _start(self, trial):
        """Start a process that takes steps until one of them is the last."""

        def run(process):
            worker = SimulatedWorker(trial.id, trial.device, ActorHandle(process), self._payload)
            while not worker.step().get("done"):
                process.pause()

        trial.starts += 1
        trial.process = Process(f"{trial.id}.{trial.starts}", run)
        self.processes.append(trial.process)

    def _react(self, trial):
        """Restart a worker whose process has died, or end one that has ended or died too often."""
        process, is_lost = trial.process, trial.is_lost
        trial.process, trial.is_lost = None, False
        if process.error is not None and not isinstance(process.error, RayError | StudyUnreachable):
            raise process.error
        if (is_lost or process.error) and trial.starts < 5:
            self._recovery.on_trial_recover(0, [], SimpleNamespace(trial_id=trial.id))
            return
        self._searcher.on_trial_complete(trial.id, error=is_lost)
        self.trials.remove(trial)
