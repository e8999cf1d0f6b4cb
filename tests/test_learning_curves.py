"""Learning curves of a sweep: what they keep, and that a decision from them does not visit every trial."""

from __future__ import annotations

import math

import numpy as np
import pytest

from searchlab import Halving, Median, Race
from searchlab.pruning import epoch_summary, paired_test
from searchlab.pruning.epoch_summary import MAX_LATEST_TRIALS
from searchlab.pruning.learning_curves import LearningCurves
from searchlab.pruning.paired_test import EXTRA_DEGREES_OF_FREEDOM, MIN_OTHER_TRIALS, student_t_sf
from tests.learning_curves import curves_of, noisy_scores


def test_scores_to_minimize_change_their_sign():
    curves = curves_of([[3.0, 5.0], [2.0, 1.0]], [[9.0, 7.0]], goal="min")
    assert (curves.last_epoch(0), curves.last_epoch(1), curves.last_epoch(2), curves.total_epochs) == (2, 1, 0, 3)
    assert curves.scores_of(0).tolist() == [[-3.0, -5.0], [-2.0, -1.0]]
    assert curves.fold_means[0].tolist() == [-4.0, -1.5]
    assert curves.fold_means[1, 0] == -8.0
    assert math.isnan(curves.fold_means[1, 1])
    assert curves.rows_with_epoch(2).tolist() == [0]
    assert curves.has_best_epoch(0)
    assert not curves.has_best_epoch(1)


def test_a_different_number_of_folds_is_an_error():
    with pytest.raises(ValueError, match="3 folds"):
        curves_of([[3.0, 5.0]]).add_epoch(1, [1.0, 2.0, 3.0])


def test_a_level_is_the_best_mean_of_two_successive_epochs_so_far():
    (levels,) = curves_of([[0.2], [0.4], [0.9], [0.1], [0.7], [0.8]]).levels
    assert levels == pytest.approx([0.2, 0.3, 0.65, 0.65, 0.65, 0.75])


def test_a_score_that_is_not_finite_is_worse_than_any_other():
    curves = curves_of([[0.5, 0.5], [0.5, math.nan], [math.inf, -math.inf]])
    assert curves.fold_means[0].tolist() == [0.5, -math.inf, -math.inf]
    assert curves.best_means[0].tolist() == [0.5, 0.5, 0.5]


def test_a_subset_equals_curves_to_which_only_these_trials_were_added():
    draws = np.random.default_rng(0)
    curves, alone = LearningCurves("max"), LearningCurves("max")
    for step in range(600):
        trial = int(draws.integers(0, 40))
        scores = draws.normal(size=3).tolist()
        curves.add_epoch(trial, scores)
        if trial % 3 == 0:
            alone.add_epoch(trial, scores)
        if step % 100 == 50:
            subset = curves.subset([trial for trial in range(60) if trial % 3 == 0])
            assert subset.trials == alone.trials
            assert subset.total_epochs == alone.total_epochs
            for name in ("scores", "fold_means", "best_means", "levels", "level_scores", "last_epochs"):
                assert np.array_equal(getattr(subset, name), getattr(alone, name), equal_nan=True), name
    subset.add_epoch(99, [0.0, 0.0, 0.0])
    assert curves.last_epoch(99) == 0, "an epoch added to the copy is not added to the original"


def test_a_failed_trial_is_compared_with_nobody():
    """The leader diverges in its fourth epoch, and the trial that was behind it goes on."""
    draws = np.random.default_rng(0)
    fold = draws.normal(0.0, 0.004, 5)

    def epoch_of(mean):
        return (mean + fold + draws.normal(0.0, 0.001, 5)).tolist()

    for end in ("diverges", "fails", "runs on"):
        curves = curves_of([epoch_of(mean) for mean in (0.90, 0.93, 0.95)])
        if end == "fails":  # for another reason, such as a loss that exploded
            curves.mark_failed(0)
        else:
            curves.add_epoch(0, epoch_of(math.nan if end == "diverges" else 0.96))
        reasons = []
        for mean in (0.86, 0.90, 0.925, 0.94):
            curves.add_epoch(1, epoch_of(mean))
            reasons.append(Halving().stop_reason(curves, 1))
        assert any(reasons) == (end == "runs on"), (end, reasons)


def test_a_trial_that_fails_later_gives_up_its_places():
    curves = curves_of([[0.9, 0.9], [0.9, 0.9]], [[0.5, 0.5], [0.5, 0.5]], [[0.4, 0.4], [0.4, 0.4]])
    assert curves.rank(1, window=1) == (2, 3)
    assert (curves.leader_row(2), curves.has_best_epoch(1)) == (0, False)
    curves.mark_failed(0)
    for known in (curves, curves.subset([0, 1, 2])):
        assert known.rank(1, window=1) == (1, 2)
        assert (known.leader_row(2), known.has_best_epoch(1)) == (1, True)
        assert known.latest_trials(2) == [1, 2]
    curves.add_epoch(3, [0.1, 0.1])
    for trial in (1, 2, 3):
        curves.mark_failed(trial)
    curves.add_epoch(4, [0.2, 0.2])
    assert (curves.leader_row(1), curves.rank(4, window=1)) == (4, (1, 1))


def rank_reason_by_definition(pruner, curves, trial):
    """Return what `Halving` says of a trial at a rung, from a pass over all trials."""
    epoch, row = curves.last_epoch(trial), curves.row_of(trial)
    begin, rows = max(0, epoch - pruner.window), curves.rows_with_epoch(epoch)
    recent_means = curves.fold_means[rows, begin:epoch].mean(axis=1)
    rank = 1 + int((recent_means > curves.fold_means[row, begin:epoch].mean()).sum())
    survivors = max(pruner.min_survivors, math.ceil(len(rows) / pruner.reduction_factor))
    if rank <= survivors or curves.has_best_epoch(trial):
        return None
    return f"rank {rank} of {len(rows)} after epoch {epoch}; the best {survivors} continue"


def race_reason_by_definition(race, curves, trial, max_latest):
    """Return what `Race` says of a trial, from a pass over all trials; the variance is that of the latest by number."""
    epoch, row, numbers = curves.last_epoch(trial), curves.row_of(trial), np.array(curves.trials)
    if epoch < race.first_epoch or curves.has_best_epoch(trial):
        return None
    tests = epoch - race.first_epoch + 1
    alpha, rows = race.alpha / (tests * (tests + 1)), curves.rows_with_epoch(epoch)
    levels = curves.levels[rows, epoch - 1]
    leader = int(rows[levels.argmax()])
    if not math.isfinite(curves.levels[row, epoch - 1]):
        return None
    gaps = curves.level_scores[leader, epoch - 1] - curves.level_scores[row, epoch - 1]
    folds, now, half = len(gaps), float(gaps.mean()), max(1, epoch // 2) - 1
    then, own = float(curves.levels[leader, half]), float(curves.levels[row, half])
    gap = now - (max(0.0, then - own - now) if math.isfinite(then) and math.isfinite(own) else 0.0)
    if folds < 2 or not 0.0 < gap < math.inf or float(gaps.sum() - gaps.max()) / (folds - 1) <= now - gap:
        return None
    others = rows[(rows != leader) & (rows != row) & np.isfinite(levels)]
    others = others[np.argsort(numbers[others])][-max_latest:]
    has_others = len(others) >= MIN_OTHER_TRIALS
    variance, degrees, typical = float(gaps.var(ddof=1)), folds - 1 + EXTRA_DEGREES_OF_FREEDOM * has_others, 0.0
    if has_others:
        theirs = curves.level_scores[leader, epoch - 1] - curves.level_scores[others, epoch - 1]
        theirs -= theirs.mean(axis=1, keepdims=True)
        typical = float(np.median(np.einsum("nk,nk->n", theirs, theirs)) / (folds - 1))
    own_p, p_value = (
        student_t_sf(gap / math.sqrt(each / folds), degrees) if each > 0.0 else 1.0
        for each in (variance, max(variance, typical))
    )
    if own_p > alpha or p_value > alpha:
        return None
    return f"{gap:.3g} behind trial {numbers[leader]} after epoch {epoch}, p = {p_value:.2g}"


def reason_by_definition(pruner, curves, trial, max_latest=10**9):
    """Return what a pruner says by its definition, from a pass over all trials for each decision."""
    if isinstance(pruner, Race):
        return race_reason_by_definition(pruner, curves, trial, max_latest)
    is_rung = pruner.is_rung(curves.last_epoch(trial))
    reason = rank_reason_by_definition(pruner, curves, trial) if is_rung else None
    return reason or (race_reason_by_definition(pruner.race, curves, trial, max_latest) if pruner.race else None)


def growing_at_random(draws, goal):
    """Yield curves that grow at random, each time with the trial that has a new epoch. Some scores are not finite."""
    folds, noise, decimals = (
        int(draws.integers(1, 6)),
        float(draws.choice([0.001, 0.05, 0.3])),
        int(draws.integers(1, 6)),
    )
    numbers = draws.permutation(60)[:30].tolist()
    lengths = dict.fromkeys(numbers, 0) | {number: -1 for number in numbers[: int(draws.integers(0, 3))]}
    height = {number: float(draws.normal(0.8, 0.1)) for number in numbers}
    difficulty, curves = draws.normal(0.0, 0.02, folds), LearningCurves(goal)
    for _ in range(330):
        trial = int(draws.choice(numbers[: 3 + sum(length != 0 for length in lengths.values())]))
        if trial in curves.failed:  # a failed trial has ended
            continue
        lengths[trial] += 1
        scores = height[trial] * (1 - 0.6 ** (1 + lengths[trial])) + difficulty + draws.normal(0.0, noise, folds)
        scores = np.round(scores, decimals)
        if draws.random() < 0.01:
            scores[int(draws.integers(folds)) :] = draws.choice([np.nan, np.inf, -np.inf])
        curves.add_epoch(trial, scores.tolist())
        if trial not in curves.failed:
            yield curves, trial


PRUNERS = [
    Halving(),
    Halving(reduction_factor=2, first_rung=1, min_survivors=1, window=1, race=None),
    Halving(reduction_factor=2, first_rung=3, window=9, race=Race(alpha=0.4, first_epoch=1)),
    Halving(reduction_factor=2, first_rung=5, min_survivors=3, window=40, race=None),
    Race(),
    Race(alpha=0.9, first_epoch=1),
]


@pytest.mark.parametrize("goal", ["max", "min"])
@pytest.mark.parametrize("seed", range(15))
def test_every_decision_equals_that_from_a_pass_over_all_trials(seed, goal):
    draws, reasons, copy = np.random.default_rng(seed), [], None
    with np.errstate(invalid="ignore"):
        for curves, trial in growing_at_random(draws, goal):
            if copy is None or draws.random() < 0.02:
                copy = curves.subset([number for number in curves.trials if number == trial or draws.random() < 0.6])
            for scores in (curves.scores_of(trial) * (1 if goal == "max" else -1))[copy.last_epoch(trial) :].tolist():
                copy.add_epoch(trial, scores)
            for pruner in PRUNERS:
                for known in (curves, copy):
                    reasons.append(pruner.stop_reason(known, trial))
                    assert reasons[-1] == reason_by_definition(pruner, known, trial), (pruner, trial)
    assert sum("rank" in reason for reason in reasons if reason) > 20


def test_a_race_stops_some_of_the_random_curves():
    """Otherwise the test above would say little about races."""
    draws = np.random.default_rng(0)
    with np.errstate(invalid="ignore"):
        reasons = [Race(alpha=0.9).stop_reason(*each) for _ in range(12) for each in growing_at_random(draws, "max")]
    assert sum(map(bool, reasons)) > 50


@pytest.mark.parametrize("seed", range(10))
def test_the_typical_variance_is_that_of_the_latest_trials_by_number(seed, monkeypatch):
    """Not of the trials that were added last: which these are depends on the speed of workers and on restarts."""
    for module in (epoch_summary, paired_test):
        monkeypatch.setattr(module, "MAX_LATEST_TRIALS", 6)
    draws, limited = np.random.default_rng(seed), 0
    race = Race(alpha=0.9, first_epoch=1)
    with np.errstate(invalid="ignore"):
        for curves, trial in growing_at_random(draws, "max"):
            for known in (curves, curves.subset(curves.trials)):
                assert race.stop_reason(known, trial) == reason_by_definition(race, known, trial, max_latest=6)
                limited += len(known.rows_with_epoch(known.last_epoch(trial))) > 8
    assert limited > 50


def test_a_decision_does_not_visit_all_trials(monkeypatch):
    """They are visited once per rung, at its first decision, and never for a race; the memory of a race is bounded."""
    draws, visits, curves = np.random.default_rng(0), [], LearningCurves("max")
    rows_with_epoch = LearningCurves.rows_with_epoch
    monkeypatch.setattr(
        LearningCurves, "rows_with_epoch", lambda self, epoch: visits.append(epoch) or rows_with_epoch(self, epoch)
    )
    for trial in range(MAX_LATEST_TRIALS + 50):
        for scores in draws.normal(0.8, 0.1, (7, 3)).tolist():
            curves.add_epoch(trial, scores)
            Halving().stop_reason(curves, trial)
    assert visits == [2, 6]
    assert curves.trials is curves.trials, "their numbers are not copied either"
    assert len(curves.latest_trials(7)) == MAX_LATEST_TRIALS + 2
    assert curves.latest_trials(7)[-1] == MAX_LATEST_TRIALS + 49


def test_decisions_among_two_thousand_trials():
    curves, draws = LearningCurves("max"), np.random.default_rng(4)
    for trial in range(2000):
        for scores in noisy_scores(draws, [draws.normal()], epochs=20)[0]:
            curves.add_epoch(trial, scores.tolist())
    few = curves.subset(range(20))
    assert (curves.scores.shape, few.scores.shape) == ((2000, 20, 5), (20, 20, 5))
    for pruner in (Halving(first_rung=20), Race(first_epoch=1), Median()):
        for known in (curves, few):
            assert sum(pruner.stop_reason(known, trial) is not None for trial in range(20)) > 5, pruner
