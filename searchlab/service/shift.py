"""A shift: the body of a Tune trial, in which one worker trains group after group; and what has Tune begin them."""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping
from typing import Any

import ray
from ray import tune
from ray.exceptions import RayError
from ray.tune.search import Searcher

from searchlab.backend import why_not
from searchlab.errors import UserMistake, WorldFault
from searchlab.service.checkpoints import Checkpoints
from searchlab.service.cluster.visible import refuse_unseen
from searchlab.service.desk import RemoteStudy
from searchlab.service.faults import told
from searchlab.service.room import node_share
from searchlab.service.worker import Worker
from searchlab.sweep.groups import Later
from searchlab.sweep.resources import Resources

RETRIES = 100  # times a shift is begun anew after its worker died; the desk gives up on its trials long before
LATER = 0.02  # seconds until a worker asks again for a group that has to wait for others to end


class Shift(tune.Trainable):
    """One step that trains group after group, until there are no more or its seat is given to another sweep."""

    def setup(self, config: dict[str, Any], **given: Any) -> None:
        """Take the parcel in."""
        self._desk, self._shift, self._device = given["desk"], config["shift"], config["device"]
        self._parcel = given["parcel"]

    def step(self) -> dict[str, Any]:
        """The whole shift. What would befall the next group too halts the search."""
        try:
            worker = self._worker()
            while group := ray.get(self._desk.take.remote(self._shift)):
                if isinstance(group, Later):
                    time.sleep(LATER)
                else:
                    worker.train(group)
        except WorldFault as fault:
            sentence = told("", fault) if isinstance(fault, RayError) else str(fault)  # the study's, or of this process
            ray.get(self._desk.halt.remote(sentence))
        return {"done": True}

    def _worker(self) -> Worker:
        job, missing = self._parcel.open(), why_not(self._device)
        if missing:  # Ray counts a GPU that CuPy cannot use: so would every group of this node
            raise WorldFault(f"the node {socket.gethostname()} cannot train on {self._device}: {missing}.")
        if job.address:
            refuse_unseen(job.checkpoints)
        memory = node_share(self._device, job.sweep.resources) if job.memory is None else job.memory
        worker = Worker(job.sweep, RemoteStudy(self._desk), Checkpoints(job.checkpoints), self._device, memory)
        _refuse_without_data(worker)
        return worker


class Openings(Searcher):
    """Tune's searcher: suggests a shift for every free seat while there is work, and tells the desk when one is over.

    The groups themselves are drawn when their worker is there to train them: by then more trials have ended to learn
    from.
    """

    def __init__(self, desk: Any) -> None:
        super().__init__(metric="done", mode="max")
        self._desk = desk

    def suggest(self, trial_id: str) -> Any:
        """The device of the next shift; None while there is no seat."""
        opening = ray.get(self._desk.opening.remote(trial_id))
        if opening in ("later", "never"):
            return None if opening == "later" else Searcher.FINISHED
        return {"shift": trial_id, "device": opening}

    def on_trial_complete(self, trial_id: str, result: Mapping[str, Any] | None = None, error: bool = False) -> None:
        """A shift is over, or was given up."""
        reason = f"its worker process died {RETRIES + 1} times (killed, or out of memory)" if error else None
        ray.get(self._desk.leave.remote(trial_id, reason))

    def save(self, checkpoint_path: str) -> None:
        """Nothing: a new run asks the study."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: a new run asks the study."""


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
