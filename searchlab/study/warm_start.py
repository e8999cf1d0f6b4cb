"""Warm starts: the trials of an earlier sweep, which the sampler of a new one learns from."""

from __future__ import annotations

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
    """Return parameters and values of an earlier sweep's complete trials that are points of this space, the best first.

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
    valid = [trial for trial in ranked(trials, sweep.primary_metric.goal) if is_valid_point(sweep, trial.parameters)]
    if not valid:
        raise UserMistake(
            f"--warm-start {name}: none of its {count(len(trials), 'trial')} is a point of this space"
            f"{_removed_parameters(trials, sweep)}."
        )
    return [(trial.parameters, trial.values) for trial in valid]


def _removed_parameters(trials: list[TrialRecord], sweep: Sweep) -> str:
    """Return which parameters of the earlier trials this sweep does not have, for people."""
    earlier = {path for trial in trials for path in trial.parameters}
    present = {path for path, _, _ in sweep.iter_arguments()} | set(sweep.parts)
    removed = sorted(earlier - present)
    return f", which has no {', '.join(removed)}" if removed else ""
