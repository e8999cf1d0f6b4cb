"""A Ray of this machine that starts in a thread of its own, while this process trains."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from searchlab.cluster.temporary_folder import validate_temporary_folder
from searchlab.environment import driver_environment
from searchlab.errors import WorldFault
from searchlab.runs.job import Job

if TYPE_CHECKING:
    from searchlab.cluster.local_ray import GroupLeader

LOOK_INTERVAL = 0.2  # seconds between two questions whether Ray is wanted, and between two looks at its processes
_one_at_a_time = threading.Lock()  # a process is connected to one Ray, and an earlier search's may still end


class BackgroundRay:
    """Starts Ray once it is wanted, watches its processes until the search changes over to it, and ends it.

    Its thread lives as long as Ray: the operating system ends Ray's processes with the thread that started them. `ray`
    is imported in the thread too, and not at all where it is never wanted.

    Args:
        job: The job that Ray is started for.
        on_start: Called in the thread when Ray has started, and has replaced the handler of SIGTERM.

    Attributes:
        is_wanted: Called several times a second, in the thread, until it returns True; set by who uses Ray.
        fault: Why Ray cannot be used; None while nothing is known against it.
    """

    def __init__(self, job: Job, on_start: Callable[[], None]) -> None:
        self._job, self._on_start = job, on_start
        self.is_wanted: Callable[[], bool] = lambda: False
        self._over, self._ready, self._settled = threading.Event(), threading.Event(), threading.Event()
        self._is_watched = True
        self._processes: list[GroupLeader] = []
        self.fault: str | None = None
        self._thread = threading.Thread(target=self._run, name="ray-start")  # no daemon: Python waits for its end

    def __enter__(self) -> BackgroundRay:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        """End Ray, and wait until it has ended; a start that is not complete ends by itself as soon as it is.

        Nothing interrupts it: Ray's library may end this process when it does not find the processes that it starts.
        """
        self._over.set()
        if self.is_ready:
            self._thread.join()

    @property
    def is_ready(self) -> bool:
        """Whether this process is connected to a Ray whose processes run."""
        return self._ready.is_set()

    def wait(self, stop: threading.Event) -> None:
        """Wait until Ray is ready or cannot be used, or `stop` is set."""
        while not stop.is_set() and not self._settled.wait(LOOK_INTERVAL):
            pass

    def stop_watching(self) -> None:
        """Leave it to the engine of Ray Tune to watch Ray's processes."""
        self._is_watched = False

    def _run(self) -> None:
        while not self.is_wanted():
            if self._over.wait(LOOK_INTERVAL):
                return
        try:
            with _one_at_a_time:
                self._run_ray()
        except Exception as fault:  # whatever it is, the search goes on without Ray
            self.fault = str(fault).strip().rstrip(".") or type(fault).__name__
        finally:
            self._ready.clear()
            self._settled.set()

    def _run_ray(self) -> None:
        """Start Ray, and end it when the search is over, or when one of its processes has died."""
        validate_temporary_folder()
        for variable, value in driver_environment().items():
            os.environ.setdefault(variable, value)  # before Ray is imported, which reads it once
        from searchlab.cluster.connection import local_cluster
        from searchlab.cluster.local_ray import dead_processes
        from searchlab.engine import ray_tune  # noqa: F401, here so that the change takes no time

        if self._over.is_set():
            return
        with local_cluster(self._job, self._processes, self._over):
            self._on_start()
            self._ready.set()
            self._settled.set()
            while not self._over.wait(LOOK_INTERVAL):
                if self._is_watched and (dead := dead_processes(self._processes)):
                    self._ready.clear()
                    raise WorldFault(f"its {' and '.join(dead)} died")
