"""A worker as a Ray Tune trial, whose iterations are the groups that it trains."""

from __future__ import annotations

import socket
import time
import uuid
from typing import Any

import ray
from ray import tune
from ray.exceptions import RayTaskError
from ray.tune.result import RESULT_DUPLICATE

from searchlab.backend import unavailable_reason
from searchlab.engine.checkpoints import CheckpointStore
from searchlab.engine.group_result import GroupResult
from searchlab.engine.memory_limits import cluster_worker_memory
from searchlab.engine.remote_study import RemoteStudy
from searchlab.engine.shared_folder import validate_visible
from searchlab.engine.worker import Worker
from searchlab.errors import UserMistake, WorldFault
from searchlab.fusion.groups import Group, NoGroupYet
from searchlab.runs.ray_errors import error_sentence
from searchlab.space.resources import Resources

IDLE_POLL_INTERVAL = 1.0  # seconds between two calls to the study while there is nothing to do
GROUP_POLL_INTERVAL = 0.02  # seconds between two requests for a group while other groups must end first
END = {"done": True, RESULT_DUPLICATE: True}  # ends the Tune trial without a result: every result is a group


class TuneWorker(tune.Trainable):
    """A worker as a Tune trial: Tune places it on a node with its resources, and restarts it when its process dies.

    `named_worker_class` makes the class of a search of it. The object is shown as its trial is named.
    """

    resources: Resources

    @classmethod
    def default_resource_request(cls, config: dict[str, Any]) -> tune.PlacementGroupFactory:
        """Return the resources that the worker with this configuration takes of its node."""
        return tune.PlacementGroupFactory([cls.resources.ray_resources(config["device"])])

    def __repr__(self) -> str:
        return str(self.trial_name)

    def setup(self, config: dict[str, Any], **parameters: Any) -> None:
        """Keep the worker's configuration, the job and the study's actor."""
        self._device = config["device"]
        self._study_actor, self._payload = parameters["study_actor"], parameters["payload"]
        self._study = RemoteStudy(self._study_actor)
        self._process, self._node = uuid.uuid4().hex, ray.get_runtime_context().get_node_id()
        self._worker: Worker | None = None  # created by the first step, which may fail

    def step(self) -> dict[str, Any]:
        """Train the next group and return its result, or end when the study has none for this worker.

        Raises RayError or StudyUnreachable when the connection to the study is cut; Tune then restarts the worker.
        """
        try:
            worker = self._worker = self._worker or self._create_worker()
        except (UserMistake, WorldFault, OSError) as fault:  # another worker on this node would meet it too
            ray.get(self._study_actor.report_unusable_node.remote(str(fault)))
            while ray.get(self._study_actor.should_wait.remote(self.trial_id, self._process)):
                time.sleep(IDLE_POLL_INTERVAL)
            return dict(END)
        try:
            if group := self._next_group():
                result = self._study.result = GroupResult(worker.sweep, group)
                worker.train(group)
                return result.metrics()
        except RayTaskError as error:  # raised by the study
            ray.get(self._study_actor.stop.remote(error_sentence(self._payload.name, error)))
        except (UserMistake, WorldFault, OSError) as fault:  # raised in this process, and the next group would meet it
            ray.get(self._study_actor.stop.remote(str(fault)))
        return dict(END)

    def _next_group(self) -> Group | None:
        """Return the next group, once there is one; None when there will be none for this worker."""
        while True:
            reply = self._study_actor.next_group.remote(self.trial_id, self._process, self._device, self._node)
            group: Group | NoGroupYet | None = ray.get(reply)
            if not isinstance(group, NoGroupYet):
                return group
            time.sleep(GROUP_POLL_INTERVAL)

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
            study=self._study,
            checkpoints=CheckpointStore(job.checkpoints),
            device=self._device,
            memory=memory,
        )
        _load_data(worker)
        return worker


def named_worker_class(name: str, resources: Resources) -> type[TuneWorker]:
    """Return a class of workers of this name, which Ray shows in the titles of processes and the lists of actors.

    Args:
        name: Name of the class, such as "digits-mlp-worker".
        resources: What each worker takes of its node.
    """
    return type(name, (TuneWorker,), {"resources": resources, "__module__": __name__})


def _load_data(worker: Worker) -> None:
    """Load the worker's data, which the driver could read; raise WorldFault when this node cannot."""
    try:
        _ = worker.data
    except UserMistake as mistake:
        raise WorldFault(
            f"the node {socket.gethostname()} cannot read the data: {str(mistake).rstrip('.')}; "
            "--ship-data sends the rows to the nodes."
        ) from mistake
