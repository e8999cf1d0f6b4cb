"""A worker as a Ray Tune trial, and the searcher, callback and stopper through which Tune manages workers."""

from __future__ import annotations

import socket
import time
import uuid
from collections.abc import Mapping
from typing import Any

import ray
from ray import tune
from ray.exceptions import RayTaskError
from ray.tune.execution import class_cache
from ray.tune.search import Searcher

from searchlab.backend import unavailable_reason
from searchlab.engine.checkpoints import CheckpointStore
from searchlab.engine.memory_limits import cluster_worker_memory
from searchlab.engine.remote_study import RemoteStudy
from searchlab.engine.shared_folder import validate_visible
from searchlab.engine.worker import Worker
from searchlab.errors import UserMistake, WorldFault
from searchlab.fusion.groups import NoGroupYet
from searchlab.runs.ray_errors import error_sentence
from searchlab.space.resources import Resources

# restarts of a worker whose process died; the study gives up the trials that cause it after far fewer
MAX_RESTARTS = 100
IDLE_POLL_INTERVAL = 1.0  # seconds between two calls to the study while there is nothing to do
GROUP_POLL_INTERVAL = 0.02  # seconds between two requests for a group while other groups must end first


class TuneWorker(tune.Trainable):
    """A worker as a Tune trial: Tune places it on a node with its resources, and restarts it when its process dies."""

    def setup(self, config: dict[str, Any], **parameters: Any) -> None:
        """Keep the worker's configuration, the job and the study's actor."""
        self._worker_id, self._device = config["worker"], config["device"]
        self._study_actor, self._payload = parameters["study_actor"], parameters["payload"]
        self._process, self._node = uuid.uuid4().hex, ray.get_runtime_context().get_node_id()

    def step(self) -> dict[str, Any]:
        """Run the only Tune iteration of this trial: train group after group until the study has none for this worker.

        Raises RayError or StudyUnreachable when the connection to the study is cut; Tune then restarts the worker.
        """
        try:
            worker = self._create_worker()
        except (UserMistake, WorldFault, OSError) as fault:  # another worker on this node would meet it too
            ray.get(self._study_actor.report_unusable_node.remote(str(fault)))
            while ray.get(self._study_actor.should_wait.remote(self._worker_id, self._process)):
                time.sleep(IDLE_POLL_INTERVAL)
            return {"done": True}
        try:
            self._train_groups(worker)
        except RayTaskError as error:  # raised by the study
            ray.get(self._study_actor.stop.remote(error_sentence(self._payload.name, error)))
        except (UserMistake, WorldFault, OSError) as fault:  # raised in this process, and the next group would meet it
            ray.get(self._study_actor.stop.remote(str(fault)))
        return {"done": True}

    def _train_groups(self, worker: Worker) -> None:
        while group := self._next_group():
            if isinstance(group, NoGroupYet):
                time.sleep(GROUP_POLL_INTERVAL)
            else:
                worker.train(group)

    def _next_group(self) -> Any:
        next_group = self._study_actor.next_group
        return ray.get(next_group.remote(self._worker_id, self._process, self._device, self._node))

    def _create_worker(self) -> Worker:
        """Return a worker on this node; raise UserMistake, WorldFault or OSError when the node cannot train."""
        job, missing = self._payload.open(), unavailable_reason(self._device)
        if missing:  # Ray counts GPUs that CuPy cannot use, so every group on this node would fail
            raise WorldFault(f"the node {socket.gethostname()} cannot train on {self._device}: {missing}.")
        if job.config.address:
            validate_visible(job.checkpoints)
        memory = cluster_worker_memory(self._device, job.sweep.resources) if job.memory is None else job.memory
        worker = Worker(
            sweep=job.sweep,
            rows=job.rows,
            study=RemoteStudy(self._study_actor),
            checkpoints=CheckpointStore(job.checkpoints),
            device=self._device,
            memory=memory,
        )
        _load_data(worker)
        return worker


class WorkerSearcher(Searcher):
    """A searcher that suggests a new worker for every free slot while there is work.

    The trials of a group are drawn later, when its worker is ready, because by then the sampler knows more results.
    """

    def __init__(self, study_actor: Any) -> None:
        super().__init__(metric="done", mode="max")
        self._study_actor = study_actor

    def suggest(self, trial_id: str) -> Any:
        """Return the configuration of the next worker; None while no slot is free."""
        withhold_store_keys()  # here, where Tune runs: through Ray's client that is a process of the cluster
        device = ray.get(self._study_actor.start_worker.remote(trial_id))
        if device == "later":
            return None
        return Searcher.FINISHED if device == "never" else {"worker": trial_id, "device": device}

    def on_trial_complete(self, trial_id: str, result: Mapping[str, Any] | None = None, error: bool = False) -> None:
        """Report to the study that a worker has ended, or that Tune does not restart it any more."""
        ray.get(self._study_actor.worker_ended.remote(trial_id))

    def save(self, checkpoint_path: str) -> None:
        """Do nothing: the study holds the state."""

    def restore(self, checkpoint_path: str) -> None:
        """Do nothing: the study holds the state."""


class RecoveryCallback(tune.Callback):
    """A callback that reports a worker's death to the study, so that others continue its group before it restarts."""

    def __init__(self, study_actor: Any) -> None:
        self._study_actor = study_actor

    def on_trial_recover(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Report to the study that the process of this worker died."""
        ray.get(self._study_actor.worker_lost.remote(trial.trial_id))


class IdleStopper(tune.Stopper):
    """A stopper that ends Tune when no worker runs and none will, even if a trial is still pending."""

    def __init__(self, study_actor: Any) -> None:
        self._study_actor, self._last_call = study_actor, time.monotonic()

    def __call__(self, trial_id: str, result: Mapping[str, Any]) -> bool:
        """Return False: no trial is stopped because of its result."""
        return False

    def stop_all(self) -> bool:
        """Return whether Tune should end; Tune calls this often, and the study is called once a second."""
        if time.monotonic() - self._last_call < IDLE_POLL_INTERVAL:
            return False
        self._last_call = time.monotonic()
        return bool(ray.get(self._study_actor.is_idle.remote()))


def withhold_store_keys() -> None:
    """Have Tune in this process pass no AWS_ variables on to the processes it starts, because Ray's agents log them.

    A node that uses the store has credentials of its own.
    """
    class_cache.ENV_VARS_TO_PROPAGATE = {n for n in class_cache.ENV_VARS_TO_PROPAGATE if not n.startswith("AWS_")}


def placement_group(resources: Resources, config: Mapping[str, Any]) -> tune.PlacementGroupFactory:
    """Return the resources that the worker with this configuration takes of its node."""
    return tune.PlacementGroupFactory([resources.ray_resources(config["device"])])


def _load_data(worker: Worker) -> None:
    """Load the worker's data, which the driver could read; raise WorldFault when this node cannot."""
    try:
        _ = worker.data
    except UserMistake as mistake:
        raise WorldFault(
            f"the node {socket.gethostname()} cannot read the data: {str(mistake).rstrip('.')}; "
            "--ship-data sends the rows to the nodes."
        ) from mistake
