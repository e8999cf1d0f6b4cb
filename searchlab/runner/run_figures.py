"""The figures of a run: those of the search are drawn while the winner is found, those of the winner after it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from searchlab.metrics import Goal, Metric
from searchlab.reporting.figure_process import BackgroundFigures
from searchlab.results.winner import Winner
from searchlab.results.winner_figures import save_winner_figures
from searchlab.runs.trials import TrialRecord


class RunFigures:
    """Draws the figures of one run into a folder.

    Args:
        metric: The primary metric.
        others: The goal of each metric after the primary one by its name.
        folder: Folder of the figures.
    """

    def __init__(self, metric: Metric, others: Mapping[str, Goal], folder: Path) -> None:
        self._metric, self._others, self._folder = metric, others, folder
        self._of_search: BackgroundFigures | None = None

    def begin(self, trials: Sequence[TrialRecord]) -> None:
        """Begin to draw the figures of the search, beside what this process does until `finish`."""
        metric = self._metric
        self._of_search = BackgroundFigures(trials, metric.name, metric.goal, self._folder, self._others)

    def finish(self, winner: Winner | None) -> tuple[Path, ...]:
        """Return the figures: all are drawn, or those of an earlier run where drawing was not begun."""
        if self._of_search is None:
            return tuple(sorted(self._folder.glob("*.png")))
        of_winner = save_winner_figures(winner, self._folder) if winner else ()
        drawn = self._of_search.finish() + of_winner
        for path in set(self._folder.glob("*.png")) - set(drawn):  # of an earlier winner of another kind
            path.unlink()
        return drawn

    def close(self) -> None:
        """End the process that draws, where its figures are not wanted any more."""
        if self._of_search:
            self._of_search.close()
