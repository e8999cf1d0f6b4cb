"""How long a run waits for the process that writes its record, once the last command is sent."""

from __future__ import annotations

import math

STOPPED_SECONDS = 30.0  # in all, for a run that was stopped or failed: the next run completes the record
START_SECONDS = 300.0  # in all, until MLflow is imported and its tables exist, which a busy machine does slowly
IDLE_SECONDS = 30.0  # in all, in which nothing gets written to a server
LOCAL_IDLE_SECONDS = 180.0  # to a file of this machine, where only a busy machine makes it slow
STEP_SECONDS = 1.0  # that writing a trial or a file may take before the wait counts as idle
MAX_GAP_SECONDS = 1.0  # between two looks: a process that was suspended has not waited meanwhile


class Patience:
    """The time that a run has left to wait; only what gets written prolongs it, not what the process prints.

    Args:
        now: The time of a monotonic clock.
        stopped: Whether the run was stopped or failed.
        local: Whether the store is a file of this machine.
    """

    def __init__(self, now: float, *, stopped: bool, local: bool = False) -> None:
        self._left = STOPPED_SECONDS if stopped else math.inf
        self._start_left, self._idle_left = START_SECONDS, LOCAL_IDLE_SECONDS if local else IDLE_SECONDS
        self._seen, self._written_at, self._written = now, now, 0

    def is_over(self, now: float, *, started: bool, written: int) -> bool:
        """Return whether the run has waited long enough.

        Args:
            now: The time of the same clock.
            started: Whether the store has been reached, or is known to be away.
            written: How many trials and files have been written so far.
        """
        passed, self._seen = min(now - self._seen, MAX_GAP_SECONDS), now
        if written > self._written:
            self._written, self._written_at = written, now
        self._left -= passed
        if not started:
            self._start_left -= passed
        elif now - self._written_at > STEP_SECONDS:
            self._idle_left -= passed
        return min(self._left, self._start_left, self._idle_left) <= 0.0
