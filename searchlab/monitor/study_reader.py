"""The readers of a study that another process may own: of a journal file, and of a database."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from searchlab.monitor.journal_tail import JournalTail
from searchlab.monitor.leaderboard import Leaderboard, leaderboard_of

if TYPE_CHECKING:
    from searchlab.metrics import Goal


class DatabaseReader:
    """A reader that loads all trials of the study from its database each time."""

    def __init__(self, url: str, study: str, goal: Goal) -> None:
        self._url, self._study, self._goal = url, study, goal

    def read(self) -> Leaderboard:
        """Return the leaderboard of all stored trials."""
        from searchlab.study.reading import read_trials  # here alone: it takes a second

        return leaderboard_of(read_trials(self._url, self._study), self._goal)


def open_study(
    storage: Path | str, study: str, goal: Goal, *, with_parameters: bool = True
) -> JournalTail | DatabaseReader:
    """Return a reader of the journal at this path, or of the study with this name in the database at this URL.

    Without parameters of the top trials, a journal is read in half the time.
    """
    if isinstance(storage, Path):
        return JournalTail(storage, goal, with_parameters=with_parameters)
    return DatabaseReader(storage, study, goal)
