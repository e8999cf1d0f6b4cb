"""The best score of a search, and how many trials have ended since it was reached."""

from __future__ import annotations

from dataclasses import dataclass, field

from searchlab.metrics import Goal
from searchlab.runs.trials import State


@dataclass
class BestScore:
    """The best score of the complete trials so far, and the number of trials that ended without a better one.

    Args:
        goal: The direction in which a score is better.
        by_number: Whether trials count in the order of their numbers instead of that of their ends, which depends on
            the speed of the workers; a reproducible search asks only when no earlier trial is open.

    Attributes:
        ended: Number of trials that have ended.
    """

    goal: Goal
    by_number: bool = False
    ended: int = 0
    _value: float | None = None
    _since: int = 0
    _trials: dict[int, tuple[State, float | None]] = field(default_factory=dict)  # with `by_number` only

    def add(self, number: int, state: State, value: float | None) -> None:
        """Count a trial that has ended."""
        self.ended += 1
        if self.by_number:
            self._trials[number] = state, value
        else:
            self._count(state, value)

    def usage(self) -> tuple[float | None, int]:
        """Return the best score, None while no trial is complete, and the number of trials since it was reached."""
        if self.by_number:
            self._value, self._since = None, 0
            for number in sorted(self._trials):
                self._count(*self._trials[number])
        return self._value, self._since

    def _count(self, state: State, value: float | None) -> None:
        is_better = value is not None and (
            self._value is None or (value > self._value if self.goal == "max" else value < self._value)
        )
        if state == "COMPLETE" and is_better:
            self._value, self._since = value, 0
        elif state != "INFEASIBLE":
            self._since += 1
