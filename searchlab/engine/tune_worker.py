"""A shift: the body of a Tune trial, in which one worker trains group after group; and what has Tune begin them."""

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
from searchlab.engine.checkpoints import Checkpoints
from searchlab.engine.memory_limits import node_share
from searchlab.engine.remote_study import RemoteStudy
from searchlab.engine.shared_folder import refuse_unseen
from searchlab.engine.worker import Worker
from searchlab.errors import UserMistake, WorldFault
from searchlab.fusion.groups import Later
from searchlab.runs.ray_errors import error_sentence
from searchlab.space.resources import Resources

RETRIES = 100  # times a shift is begun anew after its worker died; the desk gives up on its trials long before
IDLE = 1.0  # seconds between two looks of who has nothing to do
LATER = 0.02  # seconds until a worker asks again for a group that has to wait for others to end


class TuneWorker(tune.Trainable):
    """One step that trains group after group, until there are no more or its seat is given to another sweep."""

    def setup(self, config: dict[str, Any], **given: Any) -> None:
        """Take the parcel in."""
        self._desk, self._shift, self._device = given["desk"], config["shift"], config["device"]
        self._parcel, self._life = given["parcel"], uuid.uuid4().hex
        self._node = ray.get_runtime_context().get_node_id()

    def step(self) -> dict[str, Any]:
        """The whole shift. Raises RayError or Parted where the way to the study is cut: Tune begins it anew then."""
        try:
            worker = self._worker()
        except (UserMistake, WorldFault, OSError) as fault:  # another one in its place would meet it too
            ray.get(self._desk.unfit.remote(str(fault)))
            while ray.get(self._desk.idle.remote(self._shift, self._life)):
                time.sleep(IDLE)
            return {"done": True}
        try:
            self._train(worker)
        except RayTaskError as error:  # what the study met
            ray.get(self._desk.halt.remote(error_sentence(self._parcel.name, error)))
        except (UserMistake, WorldFault, OSError) as fault:  # of this process: the next group would meet it too
            ray.get(self._desk.halt.remote(str(fault)))
        return {"done": True}

    def _train(self, worker: Worker) -> None:
        while group := ray.get(self._desk.take.remote(self._shift, self._life, self._device, self._node)):
            if isinstance(group, Later):
                time.sleep(LATER)
            else:
                worker.train(group)

    def _worker(self) -> Worker:
        job, missing = self._parcel.open(), unavailable_reason(self._device)
        if missing:  # Ray counts a GPU that CuPy cannot use: so would every group of this node
            raise WorldFault(f"the node {socket.gethostname()} cannot train on {self._device}: {missing}.")
        if job.address:
            refuse_unseen(job.checkpoints)
        memory = node_share(self._device, job.sweep.resources) if job.memory is None else job.memory
        worker = Worker(job.sweep, RemoteStudy(self._desk), Checkpoints(job.checkpoints), self._device, memory)
        _refuse_without_data(worker)
        return worker


class WorkerSearcher(Searcher):
    """Tune's searcher: suggests a shift for every free seat while there is work, and tells the desk when one is over.

    The groups themselves are drawn when their worker is there to train them: by then more trials have ended to learn
    from.
    """

    def __init__(self, desk: Any) -> None:
        super().__init__(metric="done", mode="max")
        self._desk = desk

    def suggest(self, trial_id: str) -> Any:
        """The device of the next shift; None while there is no seat."""
        keep_keys()  # here, where Tune runs: through Ray's client that is a process of the cluster
        opening = ray.get(self._desk.opening.remote(trial_id))
        if opening in ("later", "never"):
            return None if opening == "later" else Searcher.FINISHED
        return {"shift": trial_id, "device": opening}

    def on_trial_complete(self, trial_id: str, result: Mapping[str, Any] | None = None, error: bool = False) -> None:
        """A shift is over, or was given up after many deaths; those of its groups are counted at the desk."""
        ray.get(self._desk.leave.remote(trial_id))

    def save(self, checkpoint_path: str) -> None:
        """Nothing: a new run asks the study."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: a new run asks the study."""


class RecoveryCallback(tune.Callback):
    """Tells the desk when a shift's worker is gone, so that others take up what it held before Tune begins it anew."""

    def __init__(self, desk: Any) -> None:
        self._desk = desk

    def on_trial_recover(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """A shift is to be begun anew."""
        ray.get(self._desk.lose.remote(trial.trial_id))


class IdleStopper(tune.Stopper):
    """Ends Tune when nobody trains and nobody will, though a shift still waits for a node that never comes."""

    def __init__(self, desk: Any) -> None:
        self._desk, self._asked = desk, time.monotonic()

    def __call__(self, trial_id: str, result: Mapping[str, Any]) -> bool:
        """No single shift is ended by what it says."""
        return False

    def stop_all(self) -> bool:
        """Whether there is nothing left to wait for; the desk is asked once a second."""
        if time.monotonic() - self._asked < IDLE:
            return False
        self._asked = time.monotonic()
        return bool(ray.get(self._desk.vacant.remote()))


def keep_keys() -> None:
    """Have Tune in this process hand no keys of a store to those it starts: Ray's agents log what they get.

    A node that reaches the store has keys of its own.
    """
    class_cache.ENV_VARS_TO_PROPAGATE = {n for n in class_cache.ENV_VARS_TO_PROPAGATE if not n.startswith("AWS_")}


def bundle(resources: Resources, config: Mapping[str, Any]) -> tune.PlacementGroupFactory:
    """What the shift with this config takes of its node."""
    return tune.PlacementGroupFactory([resources.on(config["device"])])


def _refuse_without_data(worker: Worker) -> None:
    """Raises WorldFault where this node cannot read the rows. The driver has read them, so no trial is to blame."""
    try:
        _ = worker.table
    except UserMistake as mistake:
        raise WorldFault(
            f"the node {socket.gethostname()} cannot read the data: {str(mistake).rstrip('.')}; --ship-data sends them."
        ) from mistake
