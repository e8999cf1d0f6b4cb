"""Trials counted as they end, with the best few, the reasons of failures, and the rate at which trials end."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from searchlab.monitor.reasons import ReasonCounter
from searchlab.monitor.snapshot import Snapshot, TopTrial

if TYPE_CHECKING:
    from searchlab.metrics import Goal
    from searchlab.runs.trials import State

TOP_TRIALS = 5  # trials kept as the best ones
TOP_REASONS = 3  # reasons of failures in a snapshot


class Leaderboard:
    """Counts trials by state and keeps the best. A start or an end that is added twice counts once."""

    def __init__(self, goal: Goal) -> None:
        self._sign = -1.0 if goal == "max" else 1.0
        self._counts: Counter[State] = Counter()
        self._started: set[int] = set()
        self._ended: set[int] = set()
        self._start_times: list[float] = []  # seconds since 1970, sorted
        self._end_times: list[float] = []  # the same, without infeasible trials
        self._top: list[tuple[float, int, TopTrial]] = []
        self._failures = ReasonCounter()

    @property
    def started(self) -> int:
        """Number of trials that have started."""
        return len(self._started)

    @property
    def ended(self) -> int:
        """Number of trials that have ended, in whatever state."""
        return len(self._ended)

    @property
    def last_change(self) -> float:
        """When a trial last started or ended, in seconds since 1970; 0 before the first has started."""
        return max(self._start_times[-1:] + self._end_times[-1:], default=0.0)

    @property
    def best(self) -> TopTrial | None:
        """The best complete trial; of two with the same score, the earlier one."""
        return self._top[0][2] if self._top else None

    def count(self, state: State) -> int:
        """Return the number of trials that ended in this state."""
        return self._counts[state]

    def add_start(self, trial: int, time: float) -> None:
        """Count a trial that has started."""
        if trial not in self._started:
            self._started.add(trial)
            insort(self._start_times, time)

    def add_end(self, trial: int, state: State, time: float) -> bool:
        """Count a trial that has ended; return whether it was not counted before."""
        if trial in self._ended:
            return False
        self._ended.add(trial)
        self._counts[state] += 1
        if state != "INFEASIBLE":
            insort(self._end_times, time)
        return True

    def is_top_score(self, trial: int, score: float) -> bool:
        """Return whether a complete trial with this score is one of the best."""
        return len(self._top) < TOP_TRIALS or (self._sign * score, trial) < self._top[-1][:2]

    def add_top_trial(self, top: TopTrial) -> None:
        """Insert a complete trial into the best ones, by its score."""
        insort(self._top, (self._sign * top.score, top.trial, top), key=lambda entry: entry[:2])
        del self._top[TOP_TRIALS:]

    def add_failure(self, trial: int, state: State, reason: str | None) -> None:
        """Count the reason of a trial that failed or is infeasible; other trials are ignored."""
        if state in ("FAIL", "INFEASIBLE"):
            self._failures.add(trial, state, reason)

    def fill(self, snapshot: Snapshot, since: float, now: float) -> Snapshot:
        """Return the snapshot with the counts, the best trials, and the rate of the run that began at `since`.

        Times are in seconds since 1970.
        """
        filled = replace(
            snapshot,
            complete=self.count("COMPLETE"),
            pruned=self.count("PRUNED"),
            failed=self.count("FAIL"),
            infeasible=self.count("INFEASIBLE"),
            unfinished=max(0, self.started - self.ended),
            top=tuple(top for *_, top in self._top),
            failures=self._failures.most_common(TOP_REASONS),
        )
        rate, remaining = self._rate(since, now), filled.requested - filled.ended
        if filled.state != "running" or filled.is_search_over or not rate:
            return filled
        return replace(filled, trials_per_second=rate, seconds_left=remaining / rate if remaining > 0 else None)

    def _rate(self, since: float, now: float) -> float | None:
        """Return how many trials per second ended since the run's first trial started; None while none has ended."""
        ends = len(self._end_times) - bisect_left(self._end_times, since)
        first = bisect_left(self._start_times, since)
        begin = self._start_times[first] if first < len(self._start_times) else since  # it resumes trials and adds none
        return ends / (now - begin) if ends and now > begin else None
