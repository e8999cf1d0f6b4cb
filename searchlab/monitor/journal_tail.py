"""Follows a study while another process writes it: of a journal, only what is new is read, and Optuna is not loaded."""

from __future__ import annotations

import json
import re
from datetime import datetime
from pathlib import Path
from statistics import pstdev
from typing import TYPE_CHECKING, Any

from searchlab.errors import WorldFault
from searchlab.monitor.leaderboard import Leaderboard, leaderboard_of
from searchlab.monitor.snapshot import Leader
from searchlab.monitor.tally import BEGIN, END, INFEASIBLE, STATES

if TYPE_CHECKING:
    from searchlab.metrics import Goal
    from searchlab.runs.trials import State

# how the journal begins the line of a trial's parameter, and of its end with all that is known of it
TOLD = re.compile(rb'\{"op_code":(?:5|8),[^{]*?"trial_id":(\d+),(?:"param_name"|"user_attr":\{"end":)')


class JournalTail:
    """A study's journal, read on from where it was last read to; there or not, as far as its lines are whole."""

    def __init__(self, journal: Path, goal: Goal) -> None:
        self._journal, self._goal = journal, goal
        self._begin()

    def read(self) -> Leaderboard:
        """The board with what is new; raises WorldFault when a line makes no sense."""
        try:
            found = self._journal.stat()
        except FileNotFoundError:
            return self._board
        if found.st_size < self._offset:  # its owner has cut off what a kill or a full disk left half written
            self._begin()
        if found.st_size > self._offset:
            with self._journal.open("rb") as file:
                file.seek(self._offset)
                for line in file:
                    if not line.endswith(b"\n"):
                        break
                    self._offset += len(line)
                    self._take(line)
        return self._board

    def _begin(self) -> None:
        self._offset, self._count = 0, 0  # bytes and trials that are behind us
        self._known = 0  # of these trials, those of an earlier sweep, put before all of this one
        self._board = Leaderboard(self._goal)
        self._lines: dict[int, list[bytes]] = {}  # of open trials: what tells their parameters and their end
        self._infeasible: set[int] = set()

    def _take(self, line: bytes) -> None:
        if line.startswith(BEGIN):
            self._count += 1
            if b'"state":' in line:  # it began as ended
                self._known += 1
            else:
                self._board.begin(self._count - self._known - 1, _seconds(self._parsed(line)["datetime_start"]))
        elif line.startswith(END):
            self._end(self._parsed(line))
        elif found := TOLD.match(line):
            self._lines.setdefault(int(found[1]) - self._known, []).append(line)
        elif found := INFEASIBLE.match(line):
            self._infeasible.add(int(found[1]) - self._known)

    def _end(self, end: dict[str, Any]) -> None:
        number = end["trial_id"] - self._known
        if end["state"] not in STATES:
            return
        state: State = "INFEASIBLE" if number in self._infeasible else STATES[end["state"]]
        lines, value = self._lines.pop(number, []), (end["values"] or [None])[0]
        if not self._board.end(number, state, _seconds(end["datetime_complete"])):
            return
        if state == "COMPLETE" and value is not None and self._board.leads(number, value):
            self._board.lead(self._leader(number, value, lines))
        elif state in ("FAIL", "INFEASIBLE"):
            self._board.miss(number, state, self._told(lines)[1].get("reason"))

    def _leader(self, number: int, score: float, lines: list[bytes]) -> Leader:
        parameters, end = self._told(lines)
        curve, epoch = end.get("curve") or {}, end.get("epoch")
        curve = json.loads(curve) if isinstance(curve, str) else curve  # values in journals of before it was text
        std = pstdev(curve["scores"][epoch - 1]) if epoch and curve else None
        return Leader(number, score, std, epoch, parameters)

    def _told(self, lines: list[bytes]) -> tuple[dict[str, Any], dict[str, Any]]:
        """The parameters of a trial by path, and what is kept of its end."""
        parameters: dict[str, Any] = {}
        end: dict[str, Any] = {}
        for log in map(self._parsed, lines):
            if "param_name" in log:
                parameters[log["param_name"]] = _value(log)
            else:
                end = log["user_attr"]["end"]
        return parameters, end

    def _parsed(self, line: bytes) -> dict[str, Any]:
        try:
            parsed: dict[str, Any] = json.loads(line)
        except ValueError as error:
            raise WorldFault(
                f"the study {self._journal} is damaged in the line {line[:80]!r}; put back a copy of it."
            ) from error
        return parsed


class DatabaseReader:
    """A study in a database, asked for all of its trials each time."""

    def __init__(self, storage: str, name: str, goal: Goal) -> None:
        self._storage, self._name, self._goal = storage, name, goal

    def read(self) -> Leaderboard:
        """The board of all that is stored."""
        from searchlab.study.reading import peek  # here alone: it takes a second, and few sweeps have a database

        return leaderboard_of(peek(self._storage, self._name), self._goal)


def _value(log: dict[str, Any]) -> Any:
    """A parameter's value: Optuna stores a choice as the number of its option, and whole numbers as fractions."""
    there, kept = json.loads(log["distribution"]), log["param_value_internal"]
    if there["name"] == "CategoricalDistribution":
        return there["attributes"]["choices"][int(kept)]
    return int(kept) if there["name"] == "IntDistribution" else kept


def _seconds(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()
