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


class _Tail:
    """A reader of a journal's lines that counts its trials.

    Args:
        journal: The journal's name for people.
        goal: Direction of the primary metric.
        with_parameters: Whether the top trials have their parameters, which doubles the time of reading.
    """

    def __init__(self, journal: str, goal: Goal, *, with_parameters: bool = True) -> None:
        self._name, self._goal = journal, goal
        self._skipped = () if with_parameters else (PARAMETER_PREFIX,)
        self._reset()

    def _reset(self) -> None:
        self._offset = 0  # bytes of a file, or appends in a database, that have been read
        self._created, self._prior = 0, 0  # trials in the lines read; the first `_prior` are of an earlier sweep
        self._board = Leaderboard(self._goal)
        self._details: dict[int, list[bytes]] = {}  # by unfinished trial: the lines with its parameters and its end
        self._infeasible: set[int] = set()

    def _take(self, line: bytes) -> None:
        """Take in what a line says; the most frequent kinds come first, since a journal has many lines."""
        if line.startswith(self._skipped):
            return
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
                f"The study {self._name} is damaged in the line {line[:80]!r}; replace it with a copy."
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


class JournalTail(_Tail):
    """A reader of a journal file that continues where it stopped.

    The file may be missing, and its last line half written.

    Args:
        journal: Path of the journal.
        goal: Direction of the primary metric.
        with_parameters: Whether the top trials have their parameters, which doubles the time of reading.
    """

    def __init__(self, journal: Path, goal: Goal, *, with_parameters: bool = True) -> None:
        super().__init__(str(journal), goal, with_parameters=with_parameters)
        self._journal = journal

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
                    self._take(line)
        return self._board


class DatabaseTail(_Tail):
    """A reader of a study in a PostgreSQL database that continues where it stopped. The study may be missing.

    Args:
        url: The URL of the database.
        study: The name of the study.
        goal: Direction of the primary metric.
        with_parameters: Whether the top trials have their parameters, which doubles the time of reading.
    """

    def __init__(self, url: str, study: str, goal: Goal, *, with_parameters: bool = True) -> None:
        from searchlab.study.storage.postgres_reader import StudyReader  # here alone: a file needs no driver

        super().__init__(repr(study), goal, with_parameters=with_parameters)
        self._reader, self._study, self._id = StudyReader(url), study, -1

    def read(self) -> Leaderboard:
        """Return the leaderboard with everything that is new.

        Raises:
            WorldFault: When the database cannot be read, or a line is damaged.
        """
        for study in self._reader.studies(self._study):
            if study.id != self._id:  # it was deleted and created again
                self._reset()
                self._id = study.id
            for append in self._reader.appends(study, self._offset):
                self._offset = append.number + 1
                for line in append.lines.encode().splitlines(keepends=True):
                    self._take(line)
        return self._board


def _top_trial(trial: int, score: float, details: list[bytes]) -> TopTrial:
    parameters, end = read_details(details)
    epoch, curve = end.get("epoch"), json.loads(end.get("curve") or "{}")
    std = _std(curve["scores"][epoch - 1]) if epoch and curve else None
    return TopTrial(trial, score, std, epoch, parameters)


def _std(scores: Sequence[float]) -> float:
    """Return the standard deviation of the population; the module `statistics` is slow to import."""
    mean = math.fsum(scores) / len(scores)
    return math.sqrt(math.fsum((score - mean) ** 2 for score in scores) / len(scores))
