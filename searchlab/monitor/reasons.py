"""The reasons why trials were pruned, failed or are infeasible, counted; those that differ only in numbers are one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from searchlab.wording import count

if TYPE_CHECKING:
    from searchlab.runs.trials import State, TrialRecord

STATE_NAMES: Mapping[State, str] = {
    "COMPLETE": "complete",
    "PRUNED": "pruned",
    "FAIL": "failed",
    "INFEASIBLE": "infeasible",
    "RUNNING": "unfinished",
}
NUMBER = re.compile(r"\d[\d.,]*(?:e[+-]?\d+)?")
NO_REASON = "no reason was recorded"


@dataclass(frozen=True)
class ReasonCount:
    """How many trials ended in one state for one reason.

    Attributes:
        state: "pruned", "failed" or "infeasible".
        reason: The reason of the first of these trials.
        count: Number of trials; their reasons differ only in numbers.
        first_trial: Number of the first of them.
    """

    state: str
    reason: str
    count: int
    first_trial: int


class ReasonCounter:
    """Counts reasons, which are added in the order in which trials end."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str], ReasonCount] = {}

    def add(self, trial: int, state: State, reason: str | None) -> None:
        """Count the reason of one trial."""
        name, text = STATE_NAMES[state], reason or NO_REASON
        key = (name, NUMBER.sub("#", text))
        known = self._counts.get(key) or ReasonCount(name, text, 0, trial)
        self._counts[key] = replace(known, count=known.count + 1)

    def most_common(self, limit: int | None = None) -> tuple[ReasonCount, ...]:
        """Return the reasons, the most frequent first; of two that are equally frequent, that of the earlier trial."""
        ordered = sorted(self._counts.values(), key=lambda counted: (-counted.count, counted.first_trial))
        return tuple(ordered[:limit])


def reason_text(reason: ReasonCount) -> str:
    """Return why trials failed or are infeasible, with their number: "failed: out of memory  (2 trials, first 1)"."""
    trials = f"trial {reason.first_trial}"
    if reason.count > 1:
        trials = f"{count(reason.count, 'trial')}, first {reason.first_trial}"
    return f"{reason.state}: {reason.reason}  ({trials})"


def count_reasons(trials: Iterable[TrialRecord]) -> tuple[ReasonCount, ...]:
    """Return the reasons of these trials, the most frequent first."""
    counter = ReasonCounter()
    for trial in trials:
        counter.add(trial.number, trial.state, trial.reason)
    return counter.most_common()
