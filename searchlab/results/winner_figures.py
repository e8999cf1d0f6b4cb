"""The figures of a winner: what it predicts for the test rows, and its gradient through time."""

from __future__ import annotations

from pathlib import Path

from searchlab import artifact
from searchlab.results.winner import Winner


def save_winner_figures(winner: Winner, folder: Path) -> tuple[Path, ...]:
    """Draw the figures of a winner into the folder and return their paths; none where nothing can be drawn."""
    from searchlab.reporting import figures  # here alone: matplotlib takes half a second to import

    paths: list[Path] = []
    if winner.answers:
        paths += figures.save_winner_figures(folder, winner.answers, artifact.load(winner.artifact).predict)
    if winner.through_time is not None:
        paths += figures.save_recurrent_figures(folder, winner.through_time)
    return tuple(paths)
