"""How the trials of a study stand, counted in the lines of its journal: what a list needs, without loading Optuna."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from searchlab.errors import WorldFault

if TYPE_CHECKING:
    from searchlab.metrics import Goal
    from searchlab.runs.trials import State, TrialRecord

BEGIN, END = b'{"op_code":4,', b'{"op_code":6,'  # how Optuna's journal begins the line of a new trial, and of its end
STATES: dict[int, State] = {1: "COMPLETE", 2: "PRUNED", 3: "FAIL"}  # by Optuna's number, for trials that have ended
INFEASIBLE = re.compile(rb'\{"op_code":8,[^{]*"trial_id":(\d+),"user_attr":\{"infeasible":')  # comes before the end


@dataclass(frozen=True)
class Tally:
    """How many trials were begun, how many ended in each state, and the best complete one: its value and number."""

    begun: int
    complete: int
    pruned: int
    failed: int
    infeasible: int
    best: tuple[float, int] | None

    @property
    def ended(self) -> int:
        """How many trials have ended, in whatever way."""
        return self.complete + self.pruned + self.failed + self.infeasible


def tally(journal: Path, goal: Goal) -> Tally:
    """Count the trials of a journal, there or not, that another process may be writing.

    The best is by the first metric, the earlier of two equals. Raises WorldFault when a line makes no sense.
    """
    begun = known = 0
    infeasible: set[int] = set()
    ends: dict[int, tuple[State, float | None]] = {}
    for line in _whole_lines(journal):
        if line.startswith(BEGIN):
            begun += 1
            known += b'"state":' in line  # it began as ended: an earlier sweep's, put before all of this one
        elif line.startswith(END):
            end = _parsed(line, journal)
            if end["state"] in STATES:
                ends.setdefault(end["trial_id"] - known, (STATES[end["state"]], (end["values"] or [None])[0]))
        elif found := INFEASIBLE.match(line):
            infeasible.add(int(found[1]) - known)
    ends |= {number: ("INFEASIBLE", None) for number in infeasible & ends.keys()}
    return _tally(begun - known, ((number, *end) for number, end in ends.items()), goal)


def tally_of(trials: Iterable[TrialRecord], goal: Goal) -> Tally:
    """Count trials that are loaded already."""
    known = list(trials)
    return _tally(len(known), ((trial.number, trial.state, trial.value) for trial in known), goal)


def _tally(begun: int, ends: Iterable[tuple[int, State, float | None]], goal: Goal) -> Tally:
    counts: dict[State, int] = {}
    complete: list[tuple[float, int]] = []
    for number, state, value in ends:
        counts[state] = counts.get(state, 0) + 1
        if state == "COMPLETE" and value is not None:
            complete.append((value, number))
    sign = -1.0 if goal == "max" else 1.0
    return Tally(
        begun, counts.get("COMPLETE", 0), counts.get("PRUNED", 0), counts.get("FAIL", 0), counts.get("INFEASIBLE", 0),
        min(complete, key=lambda one: (sign * one[0], one[1]), default=None),
    )  # fmt: skip


def _whole_lines(journal: Path) -> Iterable[bytes]:
    """The lines as far as they are whole; none where there is no journal yet."""
    if journal.exists():
        with journal.open("rb") as file:
            yield from (line for line in file if line.endswith(b"\n"))


def _parsed(line: bytes, journal: Path) -> dict[str, Any]:
    try:
        parsed: dict[str, Any] = json.loads(line)
    except ValueError as error:
        raise WorldFault(f"the study {journal} is damaged in the line {line[:80]!r}; put back a copy of it.") from error
    return parsed
