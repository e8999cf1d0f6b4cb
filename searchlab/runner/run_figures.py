"""The figures of a run: those of the search are drawn while the winner is found, those of the winner after it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from searchlab.metrics import Goal, Metric
from searchlab.reporting.figure_process import BackgroundFigures
from searchlab.results.winner import Winner
from searchlab.results.winner_figures import save_winner_figures
from searchlab.runs.trials import TrialRecord

PREPARE_SECONDS = 60.0  # of a search, after which the start of the process that draws is not worth hiding


class RunFigures:
    """Draws the figures of one run into a folder.

    Args:
        metric: The primary metric.
        others: The goal of each metric after the primary one by its name.
        folder: Folder of the figures.
        trials: How many trials the search has; once half of them have ended, a short search prepares its figures.
    """

    def __init__(self, metric: Metric, others: Mapping[str, Goal], folder: Path, trials: int) -> None:
        self._metric, self._others, self._folder = metric, others, folder
        self._trials, self._ended, self._created = trials, 0, time.monotonic()
        self._process: BackgroundFigures | None = None
        self._is_begun = False

    def record_trial_end(self) -> None:
        """Start the process that draws once half of the trials have ended: it imports while the others train."""
        self._ended += 1
        is_short = time.monotonic() - self._created < PREPARE_SECONDS
        if self._process is None and is_short and 2 * self._ended >= self._trials:
            self._process = BackgroundFigures()

    def begin(self, trials: Sequence[TrialRecord]) -> None:
        """Begin to draw the figures of the search, beside what this process does until `finish`."""
        self._process = self._process or BackgroundFigures()
        self._process.draw(trials, self._metric.name, self._metric.goal, self._folder, self._others)
        self._is_begun = True

    def finish(self, winner: Winner | None) -> tuple[Path, ...]:
        """Return the figures: all are drawn, or those of an earlier run where drawing was not begun."""
        if self._process is None or not self._is_begun:
            return tuple(sorted(self._folder.glob("*.png")))
        of_winner = save_winner_figures(winner, self._folder) if winner else ()
        drawn = self._process.finish() + of_winner
        for path in set(self._folder.glob("*.png")) - set(drawn):  # of an earlier winner of another kind
            path.unlink()
        return drawn

    def close(self) -> None:
        """End the process that draws, where its figures are not wanted any more."""
        if self._process:
            self._process.close()
