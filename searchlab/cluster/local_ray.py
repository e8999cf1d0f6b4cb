"""A Ray of this machine: its processes stand in process groups of their own, print nothing, and are watched."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NoReturn

import ray
from ray._private import services, utils, worker
from ray.exceptions import RayError

from searchlab.cluster.token import token_text
from searchlab.environment import RAYLET_VARIABLE
from searchlab.runs.ray_errors import error_sentence

ESSENTIAL_PROCESSES = ("gcs_server", "raylet")  # of Ray's own; a raylet ends when one of its agents dies
START_SECONDS = 180.0  # for Ray's processes to be ready, which a busy machine delays
WATCH_INTERVAL = 0.2  # seconds between two looks at Ray's processes
ABORT_TIMEOUT = 10.0  # seconds for a search to end after `abort`; a call to a dead Ray cannot be interrupted
STDERR_DESCRIPTOR = 2  # to which Ray's library, in C++, writes lines of its own
_ending = threading.Lock()

Abort = Callable[[], None]
Report = Callable[[str], None]


class GroupLeader(subprocess.Popen[bytes]):
    """A process of Ray's in a process group of its own, which a signal to the group of this process does not reach."""

    def __init__(self, command: Sequence[str], env: Mapping[str, str], **options: Any) -> None:
        super().__init__(command, env=env, process_group=0, **options)
        self.name = Path(command[0]).name


@contextmanager
def quiet_ray(
    withheld: Collection[str] = (), processes: list[GroupLeader] | None = None
) -> Iterator[list[GroupLeader]]:
    """Within the block, Ray prints nothing, sets no signal handler, and starts processes in groups of their own.

    These processes do not inherit the withheld variables. The block gets the list of them: `processes`, where given.
    """
    started: list[GroupLeader] = [] if processes is None else processes

    def start(command: Sequence[str], env: Mapping[str, str], **options: Any) -> GroupLeader:
        inherited = {name: value for name, value in env.items() if name not in (RAYLET_VARIABLE, *withheld)}
        started.append(GroupLeader(command, inherited, **options))
        return started[-1]

    with ExitStack() as stack:
        stack.enter_context(_descriptor_withheld())
        stack.enter_context(_replaced(services, "ConsolePopen", start))
        stack.enter_context(_replaced(utils, "set_sigterm_handler", lambda handler: None))
        stack.enter_context(_replaced(worker, "listen_error_messages", lambda *arguments: None))
        yield started


@contextmanager
def loopback_allowed() -> Iterator[None]:
    """Within the block, Ray accepts 127.0.0.1 as a node's address; it takes that of the machine's network instead."""
    with _replaced(services, "resolve_ip_for_localhost", lambda host: host):
        yield


@contextmanager
def early_failure(processes: Sequence[GroupLeader]) -> Iterator[None]:
    """Within the block, a start of Ray fails as soon as one of its processes dies; live ones get START_SECONDS.

    Ray itself waits for 30 s in both cases: too long for a dead process, and too short for a busy machine.
    """
    get_node: Any = services.get_node  # which Ray calls until the raylet is ready
    deadline = time.monotonic() + START_SECONDS

    def checked(*arguments: Any) -> Any:
        while True:
            if dead := dead_processes(processes):
                raise RayError(_death(dead))
            try:
                return get_node(*arguments)
            except RuntimeError:  # not ready
                if time.monotonic() > deadline:
                    raise
                time.sleep(WATCH_INTERVAL)

    with _replaced(services, "get_node", checked):
        yield


@contextmanager
def watched(name: str, processes: Sequence[GroupLeader], abort: Abort, report: Report) -> Iterator[None]:
    """Raise RayError when a process of this machine's Ray dies within the block, without which Ray hangs.

    Args:
        name: Name of the sweep, for the sentence of the error.
        processes: The processes that were started here; the list may grow.
        abort: Raises KeyboardInterrupt in the block.
        report: Gets the sentence when this process ends, because the block hangs in a call that nothing interrupts.
    """
    done, errors = threading.Event(), list[RayError]()

    def run() -> None:
        while not done.wait(WATCH_INTERVAL):
            dead = dead_processes(processes)
            if dead:
                errors.append(RayError(_death(dead)))
                abort()
                if not done.wait(ABORT_TIMEOUT):
                    end_process(report, error_sentence(name, errors[0]))
                return

    threading.Thread(target=run, name="ray-watch", daemon=True).start()
    try:
        yield
    except (KeyboardInterrupt, RayError):
        if errors:
            raise errors[0] from None
        raise
    finally:
        done.set()


def restore_signal_handlers() -> None:
    """Install Python's handler of SIGTERM again: Ray's library replaces it by one that prints a trace of the stack."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGTERM))


def end_process(report: Report, sentence: str) -> NoReturn:
    """Report this sentence and end this process at once, before Ray's library does so with messages of its own."""
    _ending.acquire()  # for good: another thread may report the same fault
    report(sentence)
    os._exit(1)


def end_processes(processes: Sequence[GroupLeader]) -> None:
    """End the processes that a failed start has left."""
    for process in processes:
        if process.poll() is None:
            process.kill()
            process.wait()


def dead_processes(processes: Sequence[GroupLeader]) -> list[str]:
    """Return the names of the essential processes that have died, also of a Ray that was started before."""
    started = [process.name for process in processes if process.poll() is not None]
    node: Any = ray._private.worker._global_node  # None, or without processes, for a cluster elsewhere
    known = [name for name, _ in node.dead_processes()] if node else []
    return [name for name in ESSENTIAL_PROCESSES if name in started or name in known]


def dashboard_text() -> str:
    """Return a sentence with the URL of the dashboard of the Ray that this process is connected to."""
    node: Any = ray._private.worker._global_node
    url = node.webui_url if node else None
    if not url:
        return "the Ray that this process was connected to before has no dashboard"
    return f"Ray's dashboard is at http://{url.removeprefix('http://')}, and asks for the token in {token_text()}"


def _death(names: Sequence[str]) -> str:
    return f"its {' and '.join(names)} died"


@contextmanager
def _descriptor_withheld() -> Iterator[None]:
    """Within the block, drop what libraries write to descriptor 2, unless Python's stderr writes to the same one."""
    try:
        is_shared = sys.stderr.fileno() == STDERR_DESCRIPTOR
    except (AttributeError, OSError, ValueError):  # a stderr without a descriptor, as in a notebook
        is_shared = True
    if is_shared:
        yield
        return
    previous, null = os.dup(STDERR_DESCRIPTOR), os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, STDERR_DESCRIPTOR)
    os.close(null)
    try:
        yield
    finally:
        os.dup2(previous, STDERR_DESCRIPTOR)
        os.close(previous)


@contextmanager
def _replaced(module: Any, name: str, value: Any) -> Iterator[None]:
    """Within the block, a module's attribute has this value."""
    previous = getattr(module, name)
    setattr(module, name, value)
    try:
        yield
    finally:
        setattr(module, name, previous)
