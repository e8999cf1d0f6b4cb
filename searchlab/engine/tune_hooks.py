"""What Ray Tune calls in the driver: the searcher, the stopper and the callbacks through which it manages workers."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import ray
from ray import tune
from ray.tune.execution import class_cache
from ray.tune.progress_reporter import TrialProgressCallback
from ray.tune.search import Searcher

from searchlab.engine.tune_worker import IDLE_POLL_INTERVAL
from searchlab.tracebacks import error_sentence

CALLBACK_METHODS = ("setup", *(name for name in vars(tune.Callback) if name.startswith("on_")))


class WorkerSearcher(Searcher):
    """A searcher that suggests a new worker for every free slot while there is work.

    The trials of a group are drawn later, when its worker is ready, because by then the sampler knows more results.
    """

    def __init__(self, study_actor: Any) -> None:
        super().__init__(metric="done", mode="max")
        self._study_actor, self._workers = study_actor, 0

    def suggest(self, trial_id: str) -> Any:
        """Return the configuration of the next worker, its number and device; None while no slot is free."""
        withhold_store_keys()  # here, where Tune runs: through Ray's client that is a process of the cluster
        device = ray.get(self._study_actor.start_worker.remote(trial_id))
        if device == "later":
            return None
        if device == "never":
            return Searcher.FINISHED
        self._workers += 1
        return {"worker": self._workers, "device": device}

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


class NoProgress(TrialProgressCallback):
    """A callback in place of Tune's own, which prints a line for a worker that ends without a group."""

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        """Print nothing."""

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Print nothing."""

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Print nothing."""


class UserCallback(tune.Callback):
    """A callback of the user's, whose exceptions do not end the search: the study notifies of the first one.

    Args:
        callback: The user's callback.
        study_actor: The handle of the study's actor.
    """

    def __init__(self, callback: Any, study_actor: Any) -> None:
        self._callback, self._study_actor = callback, study_actor

    def __getstate__(self) -> dict[str, Any]:
        """Return the state to pickle: with the user's callback only where Tune runs elsewhere, through Ray's client.

        Tune also writes it to the folder of results, to go on from there, which searchlab does by the study alone.
        """
        client: Any = ray.util.client.ray
        return self.__dict__ | ({} if client.is_connected() else {"_callback": None})

    def call(self, method: str, arguments: Mapping[str, Any]) -> None:
        """Call a method of the user's callback, and report an exception to the study."""
        try:
            getattr(self._callback, method)(**arguments)
        except Exception as error:
            name = type(self._callback).__name__
            text = f"the callback {name} failed in {method}: {error_sentence(error)}; the search goes on"
            self._study_actor.notify.remote(f"callback {id(self._callback)}", text)


def _forwarding(method: str) -> Any:
    """Return a method of UserCallback that calls the method of the same name of the user's callback."""

    def forward(self: UserCallback, **arguments: Any) -> None:
        self.call(method, arguments)

    return forward


for _method in CALLBACK_METHODS:
    setattr(UserCallback, _method, _forwarding(_method))


class IdleStopper(tune.Stopper):
    """A stopper that ends Tune when no worker runs and none will, even if a trial is still pending."""

    def __init__(self, study_actor: Any) -> None:
        self._study_actor, self._last_call = study_actor, time.monotonic()

    def __call__(self, trial_id: str, result: Mapping[str, Any]) -> bool:
        """Return False: no worker is stopped because of a result."""
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
