"""The phases of a run, and how long each of them takes."""

from __future__ import annotations

import time
from itertools import pairwise
from typing import get_args

from searchlab.runs.events import Phase


class PhaseClock:
    """Measures the phases of one run in seconds. The search ends with its last trial, and the next phase begins."""

    def __init__(self) -> None:
        self._phases: list[tuple[Phase, float]] = []  # each with the time at which it began
        self._last_trial_ended: float | None = None

    @property
    def phase(self) -> Phase:
        """The phase that was entered last."""
        return self._phases[-1][0]

    def enter(self, phase: Phase) -> None:
        """Begin a phase now; the one after the search began when the last trial ended."""
        follows_search = bool(self._phases) and self.phase == "search" and self._last_trial_ended is not None
        began = self._last_trial_ended if follows_search else None
        self._phases.append((phase, time.perf_counter() if began is None else began))

    def record_trial_end(self) -> None:
        """Record that a trial ends now."""
        self._last_trial_ended = time.perf_counter()

    def seconds(self) -> dict[str, float]:
        """Return the seconds of each phase so far and in total."""
        marks = [*self._phases, ("end", time.perf_counter())]
        phases = {name: later - began for (name, began), (_, later) in pairwise(marks)}
        total = marks[-1][1] - marks[0][1]
        return {"total": total, **dict.fromkeys(get_args(Phase), 0.0), **phases}
