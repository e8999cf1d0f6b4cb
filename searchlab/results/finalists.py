"""The finalists: the best trials of a search, run again with fresh seeds, and the one of them that wins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from searchlab.backend import Array
from searchlab.data.repeated import Repeated
from searchlab.metrics import Goal
from searchlab.pruning.fixed_epochs import FixedEpochs
from searchlab.pruning.intervals import Interval, ratio_of_held_out, repeated_cv_interval
from searchlab.pruning.pruner import NoPruning
from searchlab.runs.job import Job
from searchlab.runs.trials import TrialRecord, winner_candidates
from searchlab.space.budget import Budget
from searchlab.space.constraints import count_weights
from searchlab.space.initial_points import enqueued_points
from searchlab.space.samplers import Random
from searchlab.space.winner_rule import WinnerRule

FINALIST_SEED = 0xF1A1  # combined with the sweep's seed, so that no finalist has the random numbers of the search
MIN_TIE_SCORES = 3  # of a finalist: the interval of two is 12.7 standard errors to each side, so nearly all are tied


@dataclass(frozen=True)
class Finalist:
    """A trial that was run again with fresh seeds.

    Attributes:
        trial: Number of the trial.
        search_score: Its score in the search.
        search_folds: The same by fold.
        scores: Scores by fresh seed and fold, after the epoch that was its best in the search; empty where it failed.
        weights: Number of trainable weights of its network.
        mean: Mean of the scores of fresh seeds; None where it failed.
        low: Lower end of the confidence interval of the mean; None where a single score says nothing of the spread.
        high: Upper end.
        gap: Mean difference to the finalist with the best mean, over all seeds, that of the search included, and folds;
            0 or worse.
        gap_low: Lower end of the interval of the difference.
        gap_high: Upper end.
        is_tied: Whether the interval of the difference includes 0; True of the best one, and of no other where a
            finalist has fewer than three scores.
        reason: Why it has no scores; None where it has.
    """

    trial: int
    search_score: float
    search_folds: Sequence[float]
    scores: Sequence[Sequence[float]]
    weights: int
    mean: float | None = None
    low: float | None = None
    high: float | None = None
    gap: float | None = None
    gap_low: float | None = None
    gap_high: float | None = None
    is_tied: bool = False
    reason: str | None = None

    @property
    def all_scores(self) -> Array:
        """The scores by seed and fold (1 + S, K), those of the search first."""
        return np.array([self.search_folds, *self.scores])

    def to_json(self) -> dict[str, Any]:
        """Return the finalist as JSON values."""
        lists = {"search_folds": list(self.search_folds), "scores": [list(folds) for folds in self.scores]}
        return asdict(self) | lists

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Finalist:
        """Return the finalist that `to_json` gave these values for."""
        return cls(**values)


def choose_finalists(job: Job, trials: Sequence[TrialRecord]) -> tuple[list[TrialRecord], int]:
    """Return the trials to run again, and the number of seeds: the best trials, and the first enqueued point.

    Trials with equal parameters count once. There are none where there is no choice.
    """
    rule, goals = job.sweep.winner, [metric.goal for metric in job.sweep.metrics]
    if rule.finalists < 2:
        return [], 0
    distinct = {frozenset(t.parameters.items()): t for t in reversed(winner_candidates(trials, goals))}
    candidates = list(reversed(distinct.values()))[: rule.finalists]
    trained = sum(len(trial.curve.scores) for trial in trials)
    count, seeds = affordable_runs(rule, [trial.epoch or 1 for trial in candidates], trained)
    chosen = candidates[:count]
    first = len(job.initial_points)  # the number of the first enqueued point
    if enqueued_points(job.sweep):
        chosen += [trial for trial in trials if trial.number == first and trial.value is not None]
    chosen = list({trial.number: trial for trial in chosen}.values())
    return (chosen, seeds) if len(chosen) > 1 else ([], 0)


def affordable_runs(rule: WinnerRule, epochs: Sequence[int], trained: int) -> tuple[int, int]:
    """Return how many finalists are run again, and with how many seeds.

    Args:
        rule: The rule of the winner.
        epochs: Number of epochs of each candidate, the best one first.
        trained: Number of epochs of the search.

    Example:
        >>> from searchlab import Refit
        >>> from searchlab.results.finalists import affordable_runs
        >>> [affordable_runs(Refit(), [10, 10, 10], trained) for trained in (1000, 500, 200, 50)]
        [(3, 3), (3, 1), (2, 1), (2, 1)]
    """
    options = [(len(epochs), seeds) for seeds in range(rule.seeds, 0, -1)]
    options += [(count, 1) for count in range(len(epochs) - 1, 1, -1)]
    limit = rule.max_cost * trained
    return next((option for option in options if option[1] * sum(epochs[: option[0]]) <= limit), options[-1])


def finalists_job(job: Job, finalists: Sequence[TrialRecord], seeds: int) -> Job:
    """Return the job that runs the finalists again: trial i of its study is finalist i, with S K folds."""
    sweep, numbers = job.sweep, "-".join(str(trial.number) for trial in finalists)
    study = f"finalists-{seeds}-{numbers}"  # other finalists, as of more trials, are another study
    is_file = isinstance(job.storage, Path)
    return replace(
        job,
        sweep=replace(
            sweep,
            validation=Repeated(sweep.validation, seeds),
            # several metrics exclude pruning: then the epochs after the best one are trained as well
            pruner=FixedEpochs(tuple(t.epoch or 1 for t in finalists)) if len(sweep.metrics) == 1 else NoPruning(),
            sampler=Random(),
            early_stopping=None,
            budget=Budget(),
            constraint=None,
            enqueue=(),
            trials=len(finalists),
        ),
        study=study if is_file else f"{job.study}-{study}",
        storage=job.storage.with_name(f"{study}.journal") if isinstance(job.storage, Path) else job.storage,
        checkpoints=job.checkpoints / study if isinstance(job.checkpoints, Path) else f"{job.checkpoints}/{study}",
        trials=len(finalists),
        config=replace(job.config, seed=job.config.seed ^ FINALIST_SEED),
        generation=0,
        prior_trials=(),
        initial_points=[dict(trial.parameters) for trial in finalists],
    )


def compare_finalists(job: Job, trials: Sequence[TrialRecord], again: Sequence[TrialRecord]) -> list[Finalist]:
    """Return the finalists, the winner first.

    Args:
        job: The job of the search.
        trials: The finalists as they were in the search.
        again: The same as they were run again, in the same order.
    """
    rows = job.rows.load()
    split = job.sweep.validation.split(rows)
    scores = [_scores(trial, run) for trial, run in zip(trials, again, strict=True)]
    finalists = [
        Finalist(
            trial.number,
            trial.value or 0.0,
            list(trial.folds),
            [] if values is None else values.tolist(),
            count_weights(job.sweep, trial.parameters, rows.sizes),
            reason=None if values is not None else run.reason or "it was not trained",
        )
        for trial, values, run in zip(trials, scores, again, strict=True)
    ]
    ratio = ratio_of_held_out(split.train.counts, split.held_out.counts)
    return rank_finalists(finalists, job.sweep.primary_metric.goal, ratio)


def rank_finalists(finalists: Sequence[Finalist], goal: Goal, held_out_ratio: float) -> list[Finalist]:
    """Return the finalists with their intervals, the winner first: of those tied with the best mean, the smallest.

    Means are over all seeds, that of the search included. The others follow in their order; those that failed are last.

    Args:
        finalists: Finalists of equal seeds and folds.
        goal: Direction of the metric.
        held_out_ratio: Held-out rows of a fold divided by its training rows.
    """
    sign = 1.0 if goal == "max" else -1.0
    with_scores = [f for f in finalists if f.scores]
    failed = [f for f in finalists if not f.scores]
    if not with_scores:
        return failed
    ordered = sorted(with_scores, key=lambda f: -sign * float(f.all_scores.mean()))
    compared = [_compare(finalist, ordered[0], held_out_ratio) for finalist in ordered]
    winner = min((f for f in compared if f.is_tied), key=lambda f: f.weights)  # of equal sizes the better mean
    return [winner, *(f for f in compared if f is not winner), *failed]


def _compare(finalist: Finalist, best: Finalist, held_out_ratio: float) -> Finalist:
    """Return the finalist with the intervals of its mean over fresh seeds, and of its difference to the best one."""
    own = repeated_cv_interval(np.array(finalist.scores), held_out_ratio)
    gap = Interval(0.0, None, None)
    if finalist is not best:
        gap = repeated_cv_interval(finalist.all_scores - best.all_scores, held_out_ratio)
    return replace(
        finalist,
        mean=own.mean,
        low=own.low,
        high=own.high,
        gap=gap.mean,
        gap_low=gap.low,
        gap_high=gap.high,
        is_tied=finalist is best or (finalist.all_scores.size >= MIN_TIE_SCORES and gap.includes(0.0)),
    )


def _scores(trial: TrialRecord, run: TrialRecord) -> Array | None:
    """Return the scores (S, K) of a trial that was run again, after its best epoch; None where it did not get there."""
    epoch = trial.epoch or 1
    if run.state == "FAIL" or len(run.curve.scores) < epoch:
        return None
    scores = np.array(run.curve.scores[epoch - 1]).reshape(-1, len(trial.folds))
    return scores if np.isfinite(scores).all() else None
