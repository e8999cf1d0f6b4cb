"""The figures of a winner: predictions for the test rows, gradient norms through time, maps of attention."""

from __future__ import annotations

from pathlib import Path

from searchlab import artifact
from searchlab.results.winner import Winner


def save_winner_figures(winner: Winner, folder: Path) -> tuple[Path, ...]:
    """Save the figures that a winner allows into the folder and return their paths."""
    from searchlab.reporting import figures  # not at the top: matplotlib takes half a second to import

    paths: list[Path] = []
    if winner.predictions:
        paths += figures.save_prediction_figures(folder, winner.predictions, artifact.load(winner.artifact).predict)
    if winner.gradient_norms is not None:
        paths += figures.save_gradient_figure(folder, winner.gradient_norms)
    if winner.attention_maps:
        paths += figures.save_attention_figure(folder, winner.attention_maps)
    return tuple(paths)
