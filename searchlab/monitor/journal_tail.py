"""A study's journal, followed while another process writes it: only new lines are read, and Optuna is not needed."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from searchlab.errors import WorldFault
from searchlab.monitor.leaderboard import Leaderboard
from searchlab.monitor.snapshot import TopTrial
from searchlab.study.storage.journal_format import (
    PARAMETER_PREFIX,
    TrialDetail,
    TrialEnd,
    TrialInfeasible,
    TrialStart,
    complete_lines,
    read_details,
    read_trial_line,
)

if TYPE_CHECKING:
    from searchlab.metrics import Goal
    from searchlab.runs.trials import State


class JournalTail:
    """A reader that continues where it stopped. The journal may be missing, and its last line half written.

    Args:
        journal: Path of the journal.
        goal: Direction of the primary metric.
        with_parameters: Whether the top trials have their parameters, which doubles the time of reading.
    """

    def __init__(self, journal: Path, goal: Goal, *, with_parameters: bool = True) -> None:
        self._journal, self._goal = journal, goal
        self._skipped = () if with_parameters else (PARAMETER_PREFIX,)
        self._reset()

    def read(self) -> Leaderboard:
        """Return the leaderboard with everything that is new; raise WorldFault when a line is damaged."""
        try:
            size = self._journal.stat().st_size
        except FileNotFoundError:
            return self._board
        if size < self._offset:  # its owner has cut off a line that a kill or a full disk had left half written
            self._reset()
        if size > self._offset:
            with self._journal.open("rb") as file:
                file.seek(self._offset)
                for line in complete_lines(file):
                    self._offset += len(line)
                    if not line.startswith(self._skipped):
                        self._take(line)
        return self._board

    def _reset(self) -> None:
        self._offset = 0  # bytes that have been read
        self._created, self._prior = 0, 0  # trials in the lines read; the first `_prior` are of an earlier sweep
        self._board = Leaderboard(self._goal)
        self._details: dict[int, list[bytes]] = {}  # by unfinished trial: the lines with its parameters and its end
        self._infeasible: set[int] = set()

    def _take(self, line: bytes) -> None:
        """Take in what a line says; the most frequent kinds come first, since a journal has many lines."""
        try:
            found = read_trial_line(line)
            if isinstance(found, TrialDetail):
                self._details.setdefault(found.trial_id - self._prior, []).append(line)
            elif isinstance(found, TrialEnd):
                self._end_trial(found)
            elif isinstance(found, TrialStart):
                self._start_trial(found)
            elif isinstance(found, TrialInfeasible):
                self._infeasible.add(found.trial_id - self._prior)
        except ValueError as error:
            raise WorldFault(
                f"The study {self._journal} is damaged in the line {line[:80]!r}; replace it with a copy."
            ) from error

    def _start_trial(self, start: TrialStart) -> None:
        self._created += 1
        if start.is_prior:
            self._prior += 1
        else:
            self._board.add_start(self._created - self._prior - 1, start.started_at)

    def _end_trial(self, end: TrialEnd) -> None:
        trial = end.trial_id - self._prior
        state: State = "INFEASIBLE" if trial in self._infeasible else end.state
        details = self._details.pop(trial, [])
        if not self._board.add_end(trial, state, end.ended_at or self._board.last_change):
            return
        if state == "COMPLETE" and end.value is not None and self._board.is_top_score(trial, end.value):
            self._board.add_top_trial(_top_trial(trial, end.value, details))
        elif state in ("FAIL", "INFEASIBLE"):
            self._board.add_failure(trial, state, read_details(details).end.get("reason"))


def _top_trial(trial: int, score: float, details: list[bytes]) -> TopTrial:
    parameters, end = read_details(details)
    epoch, curve = end.get("epoch"), json.loads(end.get("curve") or "{}")
    std = _std(curve["scores"][epoch - 1]) if epoch and curve else None
    return TopTrial(trial, score, std, epoch, parameters)


def _std(scores: Sequence[float]) -> float:
    """Return the standard deviation of the population; the module `statistics` is slow to import."""
    mean = math.fsum(scores) / len(scores)
    return math.sqrt(math.fsum((score - mean) ** 2 for score in scores) / len(scores))
