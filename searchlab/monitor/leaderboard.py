"""The score board: trials counted as they end, with the best few, why others failed, and how fast they come."""

from __future__ import annotations

import re
from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from searchlab.monitor.snapshot import FailureSummary, Leader, Snapshot

if TYPE_CHECKING:
    from searchlab.metrics import Goal
    from searchlab.runs.trials import TrialRecord

TOP = 5  # trials that are told
MISHAPS = 3  # reasons that are told
NUMBER = re.compile(r"\d[\d.,]*(?:e[+-]?\d+)?")  # reasons that differ in numbers alone are one


class Leaderboard:
    """Counts trials by how they ended. The same end may be told twice, and counts once."""

    def __init__(self, goal: Goal) -> None:
        self._sign = -1.0 if goal == "max" else 1.0
        self._counts: Counter[str] = Counter()
        self._begun: set[int] = set()
        self._ended: set[int] = set()
        self._starts: list[float] = []  # seconds since 1970, in order
        self._ends: list[float] = []  # alike, of trials that count
        self._top: list[tuple[float, int, Leader]] = []
        self._mishaps: dict[tuple[str, str], FailureSummary] = {}

    @property
    def begun(self) -> int:
        """How many trials have begun."""
        return len(self._begun)

    @property
    def ended(self) -> int:
        """How many trials have ended, in whatever way."""
        return len(self._ended)

    @property
    def latest(self) -> float:
        """When something was last begun or ended, in seconds since 1970; 0 when nothing was."""
        return max(self._starts[-1:] + self._ends[-1:], default=0.0)

    def begin(self, number: int, time: float) -> None:
        """A trial has begun."""
        if number not in self._begun:
            self._begun.add(number)
            insort(self._starts, time)

    def end(self, number: int, state: str, time: float) -> bool:
        """A trial has ended; whether that was news."""
        if number in self._ended:
            return False
        self._ended.add(number)
        self._counts[state] += 1
        if state != "INFEASIBLE":
            insort(self._ends, time)
        return True

    def leads(self, number: int, score: float) -> bool:
        """Whether a complete trial with this score is one of the best; the earlier of two equals is better."""
        return len(self._top) < TOP or (self._sign * score, number) < self._top[-1][:2]

    def lead(self, leader: Leader) -> None:
        """Put a complete trial where it belongs, if it is one of the best."""
        insort(self._top, (self._sign * leader.score, leader.trial, leader), key=lambda entry: entry[:2])
        del self._top[TOP:]

    def miss(self, number: int, state: str, reason: str | None) -> None:
        """A trial failed or was infeasible, for this reason; of others, nothing is kept."""
        if state not in ("FAIL", "INFEASIBLE"):
            return
        told = reason or "no reason was kept"
        kind = (state, NUMBER.sub("#", told))
        known = self._mishaps.get(kind) or FailureSummary(
            "failed" if state == "FAIL" else "infeasible", told, 0, number
        )
        self._mishaps[kind] = replace(known, count=known.count + 1)

    def fill(self, snapshot: Snapshot, since: float, now: float) -> Snapshot:
        """The snapshot with all that is known here; the rate is that of a run since then. Times in seconds since 1970.

        What remains is as many trials as are asked for and have not ended, at that rate.
        """
        count, mishaps = self._counts, sorted(self._mishaps.values(), key=lambda one: (-one.count, one.first))
        filled = replace(
            snapshot,
            complete=count["COMPLETE"],
            pruned=count["PRUNED"],
            failed=count["FAIL"],
            infeasible=count["INFEASIBLE"],
            open=max(0, len(self._begun) - len(self._ended)),
            top=tuple(leader for *_, leader in self._top),
            mishaps=tuple(mishaps[:MISHAPS]),
        )
        rate, lacking = self._rate(since, now), filled.asked - filled.ended
        if filled.state != "running" or filled.searched or not rate:
            return filled
        return replace(filled, rate=rate, left=lacking / rate if lacking > 0 else None)

    def _rate(self, since: float, now: float) -> float | None:
        """Trials that ended in a second of this run, from when it began one; None while none did."""
        ends = len(self._ends) - bisect_left(self._ends, since)
        first = bisect_left(self._starts, since)
        begun = self._starts[first] if first < len(self._starts) else since  # all it does was begun by an earlier run
        return ends / (now - begun) if ends and now > begun else None


def leaderboard_of(trials: Iterable[TrialRecord], goal: Goal) -> Leaderboard:
    """The board of trials that are loaded already."""
    board = Leaderboard(goal)
    for trial in trials:
        board.begin(trial.number, trial.started)
        if trial.state == "RUNNING":
            continue
        board.end(trial.number, trial.state, trial.ended or trial.started)
        board.miss(trial.number, trial.state, trial.reason)
        if trial.state == "COMPLETE" and trial.value is not None and board.leads(trial.number, trial.value):
            std = trial.std if trial.epoch else None
            board.lead(Leader(trial.number, trial.value, std, trial.epoch, dict(trial.parameters)))
    return board
