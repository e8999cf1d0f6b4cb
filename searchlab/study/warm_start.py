"""Warm starts: the trials of an earlier sweep, which the sampler of a new one learns from."""

from __future__ import annotations

from collections.abc import Sequence

from searchlab.errors import UserMistake
from searchlab.runs.job import PriorTrial
from searchlab.runs.manifest import SweepManifest
from searchlab.runs.trials import TrialRecord, ranked
from searchlab.runs.workspace import Workspace
from searchlab.space.initial_points import is_valid_point
from searchlab.space.sweep import Sweep
from searchlab.study.reading import read_trials
from searchlab.wording import count


def load_prior_trials(workspace: Workspace, name: str, sweep: Sweep) -> list[PriorTrial]:
    """Return the trials of an earlier sweep that are points of this space, in the order in which TPE ranks them.

    The complete trials come first, the best one in front, then the pruned ones, those that were trained for longest in
    front. With several metrics there are no pruned ones, because samplers do not learn from these.

    Args:
        workspace: Where the earlier sweep was run.
        name: Its name.
        sweep: The new sweep.

    Raises:
        UserMistake: When there is no such sweep, it has other metrics, or none of its trials is a point of this space.
    """
    folder = workspace.sweep(name)
    manifest = SweepManifest.load(folder)
    goals = {metric.name: metric.goal for metric in sweep.metrics}
    if manifest.goals != goals:
        raise UserMistake(
            f"--warm-start {name}: it is scored by {', '.join(manifest.goals)}, and this sweep by {', '.join(goals)}; "
            "a sampler learns from trials with the same metrics only."
        )
    trials = read_trials(manifest.study_storage(folder), manifest.name)
    ordered = ranked(trials, sweep.primary_metric.goal) + (_pruned(trials, sweep) if len(goals) == 1 else [])
    valid = [trial for trial in ordered if is_valid_point(sweep, trial.parameters)]
    if not valid:
        raise UserMistake(
            f"--warm-start {name}: none of its {count(len(trials), 'trial')} is a point of this space"
            f"{_removed_parameters(trials, sweep)}."
        )
    return [
        PriorTrial(trial.parameters, trial.values, len(trial.curve.scores) if trial.state == "PRUNED" else None)
        for trial in valid
    ]


def _pruned(trials: Sequence[TrialRecord], sweep: Sweep) -> list[TrialRecord]:
    """Return the pruned trials with a value, those that were trained for longest first, and of these the best first."""
    sign = -1.0 if sweep.primary_metric.goal == "max" else 1.0
    pruned = [trial for trial in trials if trial.state == "PRUNED" and trial.value is not None]
    return sorted(pruned, key=lambda trial: (-len(trial.curve.scores), sign * (trial.value or 0.0)))


def _removed_parameters(trials: list[TrialRecord], sweep: Sweep) -> str:
    """Return which parameters of the earlier trials this sweep does not have, for people."""
    earlier = {path for trial in trials for path in trial.parameters}
    present = {path for path, _, _ in sweep.iter_arguments()} | set(sweep.parts)
    removed = sorted(earlier - present)
    return f", which has no {', '.join(removed)}" if removed else ""
