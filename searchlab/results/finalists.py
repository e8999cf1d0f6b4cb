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
from searchlab.pruning.pruner import NoPruning
from searchlab.results.intervals import Interval, ratio_of_held_out, repeated_cv_interval
from searchlab.runs.job import Job
from searchlab.runs.trials import TrialRecord, winner_candidates
from searchlab.space.budget import Budget
from searchlab.space.constraints import count_weights
from searchlab.space.initial_points import enqueued_points
from searchlab.space.samplers import Random

FINALIST_SEED = 0xF1A1  # combined with the sweep's seed, so that no finalist has the random numbers of the search


@dataclass(frozen=True)
class Finalist:
    """A trial that was run again with fresh seeds.

    Attributes:
        trial: Number of the trial.
        search_score: Its score in the search, which chose it for that score.
        scores: Scores by seed and fold, after the epoch that was its best in the search; empty where it failed.
        mean: Mean of these scores; None where it failed.
        low: Lower end of the confidence interval of the mean; None where a single score says nothing of the spread.
        high: Upper end.
        gap: Mean difference to the finalist with the best mean, over the same seeds and folds; 0 or worse.
        gap_low: Lower end of the interval of the difference.
        gap_high: Upper end.
        is_tied: Whether the interval of the difference includes 0.
        weights: Number of trainable weights of its network.
        reason: Why it has no scores; None where it has.
    """

    trial: int
    search_score: float
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

    def to_json(self) -> dict[str, Any]:
        """Return the finalist as JSON values."""
        return asdict(self) | {"scores": [list(folds) for folds in self.scores]}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Finalist:
        """Return the finalist that `to_json` gave these values for."""
        return cls(**values)


def choose_finalists(job: Job, trials: Sequence[TrialRecord]) -> list[TrialRecord]:
    """Return the trials to run again: the best ones, and the first enqueued point; none where there is no choice.

    Trials with equal parameters count once.
    """
    rule, goals = job.sweep.winner, [metric.goal for metric in job.sweep.metrics]
    if rule.finalists < 2:
        return []
    distinct = {frozenset(t.parameters.items()): t for t in reversed(winner_candidates(trials, goals))}
    candidates = list(reversed(distinct.values()))
    chosen = candidates[: rule.finalists]
    first = len(job.initial_points)  # the number of the first enqueued point
    if enqueued_points(job.sweep):
        chosen += [trial for trial in trials if trial.number == first and trial.value is not None]
    chosen = list({trial.number: trial for trial in chosen}.values())
    return chosen if len(chosen) > 1 else []


def finalists_job(job: Job, finalists: Sequence[TrialRecord]) -> Job:
    """Return the job that runs the finalists again: trial i of its study is finalist i, with S K folds."""
    sweep, numbers = job.sweep, "-".join(str(trial.number) for trial in finalists)
    study = f"finalists-{sweep.winner.seeds}-{numbers}"  # other finalists, as of more trials, are another study
    is_file = isinstance(job.storage, Path)
    return replace(
        job,
        sweep=replace(
            sweep,
            validation=Repeated(sweep.validation, sweep.winner.seeds),
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
    rows, seeds = job.rows.load(), job.sweep.winner.seeds
    split = job.sweep.validation.split(rows)
    scores = [_scores(trial.epoch or 1, run, seeds) for trial, run in zip(trials, again, strict=True)]
    finalists = [
        Finalist(
            trial.number,
            trial.value or 0.0,
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

    Those after it are ordered by their means; those that failed come last.

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
    ordered = sorted(with_scores, key=lambda f: -sign * float(np.mean(f.scores)))
    best = np.array(ordered[0].scores)
    compared = [_compare(finalist, best, held_out_ratio) for finalist in ordered]
    winner = min((f for f in compared if f.is_tied), key=lambda f: f.weights)  # of equal sizes the better mean
    return [winner, *(f for f in compared if f is not winner), *failed]


def _compare(finalist: Finalist, best: Array, held_out_ratio: float) -> Finalist:
    """Return the finalist with the intervals of its mean, and of its difference to the best scores (S, K)."""
    scores = np.array(finalist.scores)
    own = repeated_cv_interval(scores, held_out_ratio)
    is_best = np.array_equal(scores, best)
    gap = Interval(0.0, None, None) if is_best else repeated_cv_interval(scores - best, held_out_ratio)
    return replace(
        finalist,
        mean=own.mean,
        low=own.low,
        high=own.high,
        gap=gap.mean,
        gap_low=gap.low,
        gap_high=gap.high,
        is_tied=gap.includes(0.0),
    )


def _scores(epoch: int, run: TrialRecord, seeds: int) -> Array | None:
    """Return the scores (S, K) after this epoch of a trial that was run again; None where it did not get so far."""
    if run.state == "FAIL" or len(run.curve.scores) < epoch:
        return None
    scores = np.array(run.curve.scores[epoch - 1]).reshape(seeds, -1)
    return scores if np.isfinite(scores).all() else None
