"""Knowledge: what a new sweep learns from an earlier one of the same home, without training any of it again."""

from __future__ import annotations

from searchlab.errors import UserMistake
from searchlab.service.engine.job import Known
from searchlab.service.home import Home
from searchlab.service.order import Order
from searchlab.service.records import TrialRecord, ranked
from searchlab.service.study.stored import peek
from searchlab.sweep.enqueue import fits
from searchlab.sweep.sweep import Sweep


def known_from(home: Home, name: str, sweep: Sweep) -> list[Known]:
    """Parameters and values of the earlier sweep's complete trials that lie within this space, the best one first.

    Raises UserMistake when there is no such sweep, it was judged by another metric, or none of its trials fits.
    """
    order = Order.of(home.sweep(name))
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
