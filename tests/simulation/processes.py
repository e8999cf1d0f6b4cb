"""Simulated processes: threads of which one runs at a time, and their calls to an actor, which arrive late or never."""

from __future__ import annotations

import pickle
import threading
from collections import deque
from types import SimpleNamespace

from ray.exceptions import ActorUnavailableError


class ProcessKilled(BaseException):
    """Raised in the thread of a process that is killed; no handler of exceptions sees it."""


class Reference:
    """The result of a call, as Ray's: `process` has made the call."""

    def __init__(self, process=None):
        self.process, self.is_ready, self._content, self._error = process, False, b"", None

    def resolve(self, result):
        """Keep a copy of the result, unless the connection was cut."""
        self._content, self.is_ready = pickle.dumps(result), True

    def fail(self):
        """Have whoever reads the result find that the connection was cut."""
        self._error, self.is_ready = ActorUnavailableError("the connection is cut", None), True

    def result(self):
        if self._error:
            raise self._error
        return pickle.loads(self._content)  # noqa: S301, written by this test


class Call:
    """A call on its way to the actor, with a copy of its arguments at the time of the call."""

    def __init__(self, process, method, arguments):
        self.method, self.reference, self._content = method, Reference(process), pickle.dumps(arguments)

    @property
    def arguments(self):
        return pickle.loads(self._content)  # noqa: S301, written by this test


class Process:
    """A process that runs only from one `resume` to its next `pause`.

    Attributes:
        calls: Its calls that have not reached the actor, in order.
        waits_for: The result that it waits for; None where it can run.
        has_ended: Whether it has ended, by itself or killed.
        error: The exception that ended it; None where it ended by itself.
    """

    def __init__(self, name, body):
        self.name, self.calls, self.waits_for = name, deque(), None
        self.has_ended, self.error, self._is_killed = False, None, False
        self._turn, self._turn_over = threading.Semaphore(0), threading.Semaphore(0)
        self._thread = threading.Thread(target=self._run, args=(body,), name=name, daemon=True)
        self._thread.start()

    @property
    def can_run(self):
        return not self.has_ended and (self.waits_for is None or self.waits_for.is_ready)

    @property
    def is_current(self):
        """Whether this is the process that asks."""
        return threading.current_thread() is self._thread

    def resume(self):
        """Let the process run until it pauses or ends."""
        self._turn.release()
        self._turn_over.acquire()

    def pause(self):
        """Wait for the next turn; called by the process itself, wherever another may come before it."""
        if not self._is_killed:
            self._turn_over.release()
            self._turn.acquire()
        if self._is_killed:
            raise ProcessKilled

    def kill(self, delivered):
        """End the process; of its calls, only so many still reach the actor."""
        self.cut(delivered)
        self._is_killed = True
        if not self.has_ended:
            self.resume()
        self._thread.join()

    def cut(self, delivered):
        """Cut the connection for a moment: the results of all calls on their way are lost, and so are the last calls.

        The first calls, as many as `delivered`, still reach the actor.
        """
        for call in self.calls:
            call.reference.fail()
        self.calls = deque(list(self.calls)[:delivered])

    def get(self, reference):
        """Wait for a result."""
        while not reference.is_ready:
            self.waits_for = reference
            self.pause()
        self.waits_for = None
        return reference.result()

    def _run(self, body):
        self._turn.acquire()
        try:
            if not self._is_killed:
                body(self)
        except ProcessKilled:
            pass
        except BaseException as error:
            self.error = error
        finally:
            self.has_ended = True
            self._turn_over.release()


class ActorHandle:
    """A process's handle of an actor: its calls are queued, and the scheduler has them reach the actor."""

    def __init__(self, process):
        self._process = process

    def __getattr__(self, method):
        def remote(*arguments):
            call = Call(self._process, method, arguments)
            self._process.calls.append(call)
            self._process.pause()
            return call.reference

        return SimpleNamespace(remote=remote)


class DirectHandle:
    """The driver's handle of an actor: `execute(method, arguments)` carries out each call at once."""

    def __init__(self, execute):
        self._execute = execute

    def __getattr__(self, method):
        def remote(*arguments):
            reference = Reference()
            reference.resolve(self._execute(method, arguments))
            return reference

        return SimpleNamespace(remote=remote)


def get(reference):
    """Return the result of a call, in place of `ray.get`."""
    return reference.process.get(reference) if reference.process else reference.result()
