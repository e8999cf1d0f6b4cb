"""Knowledge: what a new sweep learns from an earlier one of the same home, without training any of it again."""

from __future__ import annotations

from searchlab.errors import UserMistake
from searchlab.runs.config import RunConfig
from searchlab.runs.job import PriorTrial
from searchlab.runs.trials import TrialRecord, ranked
from searchlab.runs.workspace import Workspace
from searchlab.space.initial_points import fits
from searchlab.space.sweep import Sweep
from searchlab.study.reading import peek


def prior_trials_of(home: Workspace, name: str, sweep: Sweep) -> list[PriorTrial]:
    """Parameters and values of the earlier sweep's complete trials that lie within this space, the best one first.

    Raises UserMistake when there is no such sweep, it was judged by another metric, or none of its trials fits.
    """
    order = RunConfig.of(home.sweep(name))
    goals = {metric.name: metric.goal for metric in sweep.metrics}
    if order.metrics != goals:
        raise UserMistake(
            f"--warm-start {name}: it was judged by {', '.join(order.metrics)}, and this sweep is by "
            f"{', '.join(goals)}; scores of the same metrics alone can be learnt from."
        )
    trials = peek(order.storage or home.sweep(name).study, order.name)
    fitting = [trial for trial in ranked(trials, sweep.primary.goal) if fits(sweep, trial.parameters)]
    if not fitting:
        raise UserMistake(
            f"--warm-start {name}: none of its {len(trials)} trials has the parameters of this space"
            f"{_difference(trials, sweep)}."
        )
    return [(trial.parameters, trial.values) for trial in fitting]


def _difference(trials: list[TrialRecord], sweep: Sweep) -> str:
    """What the earlier sweep's trials have and this space does not ask for, or the other way round."""
    there = {path for trial in trials for path in trial.parameters}
    here = {path for path, _, _ in sweep.walk()} | set(sweep.parts)
    lost = sorted(there - here)
    return f": it knows nothing of {', '.join(lost)}" if lost else ""
