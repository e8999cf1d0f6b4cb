"""A sweep's pictures, from its records: matplotlib takes half a second to import, so it is imported when asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from searchlab import artifact
from searchlab.errors import UserMistake
from searchlab.metrics import Goal
from searchlab.service.outcome.winner import Winner
from searchlab.service.records import TrialRecord

if TYPE_CHECKING:
    from searchlab.tracking.figures import Figure, TrialCurve


def save_pictures(
    trials: Sequence[TrialRecord],
    winner: Winner | None,
    metric: str,
    goal: Goal,
    folder: Path,
    others: Mapping[str, Goal] | None = None,
) -> tuple[Path, ...]:
    """Draw the search and what its winner answered into the folder; the paths.

    `others` are the goals of the metrics after the first, by name.
    """
    from searchlab.tracking.figures import save_figures, save_recurrent_figures, save_winner_figures

    paths = save_figures(_curves(trials), metric, goal, folder, others or {})
    if winner and winner.answers:
        paths += save_winner_figures(folder, winner.answers, artifact.load(winner.artifact).predict)
    if winner and winner.through_time is not None:
        paths += save_recurrent_figures(folder, winner.through_time)
    return tuple(paths)


def boxes(trials: Sequence[TrialRecord], parameter: str, metric: str, goal: Goal) -> Figure:
    """A box of scores for each value of a parameter, by path or by the last word of several.

    Raises UserMistake when no trial has the parameter, naming those they have.
    """
    from searchlab.tracking.figures import parameter_boxes

    known = list(dict.fromkeys(path for trial in trials for path in trial.parameters))
    if not any(parameter in (path, path.rpartition(".")[2]) for path in known):
        raise UserMistake(f"no trial has a parameter {parameter!r}; they have: {', '.join(known)}.")
    return parameter_boxes(_curves(trials), parameter, metric, goal)


def _curves(trials: Sequence[TrialRecord]) -> list[TrialCurve]:
    from searchlab.tracking.figures import TrialCurve

    return [TrialCurve(t.number, t.state, t.value, t.curve.scores, t.parameters, t.values) for t in trials]
