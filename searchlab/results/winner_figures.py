"""The figures of a winner: predictions, gradient norms by layer and through time, attention, a map of word classes."""

from __future__ import annotations

from pathlib import Path

from searchlab import artifact
from searchlab.reporting.predictions import NumberPredictions
from searchlab.results.winner import Winner
from searchlab.results.word_map import word_map


def save_winner_figures(winner: Winner, folder: Path) -> tuple[Path, ...]:
    """Save the figures that a winner allows into the folder and return their paths."""
    from searchlab.reporting import figures  # not at the top: matplotlib takes half a second to import

    paths, saved = list[Path](), artifact.load(winner.artifact)
    if isinstance(winner.predictions, NumberPredictions):
        paths += figures.save_number_figures(folder, winner.predictions)
    elif winner.predictions:
        paths += figures.save_prediction_figures(folder, winner.predictions, saved.predict)
    if winner.gradient_norms is not None:
        paths += figures.save_gradient_figure(folder, winner.gradient_norms)
    if winner.layer_statistics is not None:
        paths += figures.save_layer_figure(folder, winner.layer_statistics)
    if winner.attention_maps:
        paths += figures.save_attention_figure(folder, winner.attention_maps)
    if found := word_map(saved):
        paths += figures.save_word_map(folder, found.words, found.points, found.left_out)
    return tuple(paths)
