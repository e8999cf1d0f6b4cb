"""Prunings: who is stopped by which curves, and what a race is worth against chance."""

from __future__ import annotations

import math

import numpy as np
import optuna
import pytest
from scipy import stats

from searchlab import Halving, Holdout, Median, NoPruning, OptunaPruner, Race
from searchlab.errors import UserMistake
from searchlab.metrics import Accuracy
from searchlab.pruning import learning_curves as curves_file
from searchlab.pruning import paired_test as race_file
from searchlab.pruning.learning_curves import RECENT, LearningCurves
from searchlab.pruning.paired_test import FREEDOM, OTHERS, tail
from searchlab.pruning.replay import replay
from searchlab.study.optuna_pruners import stopping_rule_of
from tests.sweeps import spiral_sweep


def curves_of(*trials, goal="max"):
    """Curves of trials 0, 1, ... with these scores: a list of epochs, each a list of folds."""
    curves = LearningCurves(goal)
    for number, epochs in enumerate(trials):
        for scores in epochs:
            curves.add(number, scores)
    return curves


def flat(level, epochs=2):
    """The same score in three folds at every epoch."""
    return [[level] * 3] * epochs


def noisy(draws, levels, epochs, folds=5, noise=0.01):
    """Scores (trials, epochs, folds) around the level of each trial, with folds of their own difficulty."""
    folded = np.asarray(levels)[:, None, None] + draws.normal(0.0, 0.05, (1, 1, folds))
    return folded + draws.normal(0.0, noise, (len(levels), epochs, folds))


def test_curves_keep_every_score_with_the_better_one_larger():
    curves = curves_of([[3.0, 5.0], [2.0, 1.0]], [[9.0, 7.0]], goal="min")
    assert (curves.length(0), curves.length(1), curves.length(2), curves.epochs) == (2, 1, 0, 3)
    assert curves.of(0).tolist() == [[-3.0, -5.0], [-2.0, -1.0]]
    assert curves.means[0].tolist() == [-4.0, -1.5]
    assert curves.means[1, 0] == -8.0
    assert math.isnan(curves.means[1, 1])
    assert curves.rows_at(2).tolist() == [0]
    assert curves.leads(0)
    assert not curves.leads(1)
    with pytest.raises(ValueError, match="3 folds"):
        curves.add(1, [1.0, 2.0, 3.0])


def test_a_level_is_the_best_of_two_successive_epochs_so_far():
    (levels,) = curves_of([[0.2], [0.4], [0.9], [0.1], [0.7], [0.8]]).levels
    assert levels == pytest.approx([0.2, 0.3, 0.65, 0.65, 0.65, 0.75])


def test_what_is_no_number_is_worse_than_any():
    curves = curves_of([[0.5, 0.5], [0.5, math.nan], [math.inf, -math.inf]])
    assert curves.means[0].tolist() == [0.5, -math.inf, -math.inf]
    assert curves.best[0].tolist() == [0.5, 0.5, 0.5]


def test_curves_of_some_trials_alone_are_as_if_there_had_been_no_others():
    draws = np.random.default_rng(0)
    curves, alone = LearningCurves("max"), LearningCurves("max")
    for step in range(600):
        trial = int(draws.integers(0, 40))
        scores = draws.normal(size=3).tolist()
        curves.add(trial, scores)
        if trial % 3 == 0:
            alone.add(trial, scores)
        if step % 100 == 50:
            some = curves.only([trial for trial in range(60) if trial % 3 == 0])
            assert some.trials == alone.trials
            assert some.epochs == alone.epochs
            for name in ("scores", "means", "best", "levels", "level_scores", "lengths"):
                assert np.array_equal(getattr(some, name), getattr(alone, name), equal_nan=True), name
    some.add(99, [0.0, 0.0, 0.0])
    assert curves.length(99) == 0, "what is added to the copy is not added to the original"


def test_halving_lets_the_best_third_of_those_that_came_go_on():
    pruner = Halving(least=1, race=None)
    assert [epoch for epoch in range(1, 60) if pruner.due(epoch)] == [2, 6, 18, 54]
    curves = curves_of(*(flat(level / 10) for level in range(9)))
    stopped = [trial for trial in range(9) if pruner.why_stop(curves, trial)]
    assert stopped == [0, 1, 2, 3, 4, 5]
    assert pruner.why_stop(curves, 4) == "rank 5 of 9 after epoch 2, where the best 3 go on"
    curves.add(4, [0.0] * 3)
    assert pruner.why_stop(curves, 4) is None, "epoch 3 is no rung"


def test_halving_ranks_by_the_latest_epochs_together():
    lucky, steady, others = [[0.0] * 3, [0.6] * 3], [[0.5] * 3, [0.5] * 3], [[0.4] * 3, [0.4] * 3]
    curves = curves_of(steady, lucky, others, [[0.7] * 3, [0.0] * 3])
    one, two = (Halving(reduction=4, least=1, window=window, race=None) for window in (1, 2))
    assert one.why_stop(curves, 0)
    assert two.why_stop(curves, 0) is None


def test_the_first_trials_to_come_go_on_for_want_of_comparison():
    pruner = Halving(least=3, race=None)
    curves = curves_of(flat(0.9), flat(0.8), flat(0.7), flat(0.6))
    assert [pruner.why_stop(curves, trial) is None for trial in range(4)] == [True, True, True, False]


def test_the_best_trial_so_far_goes_on_though_it_sinks():
    sinking = [[0.9] * 3] + [[0.1] * 3] * 5
    curves = curves_of(sinking, *(flat(0.5 + trial / 100, 6) for trial in range(8)))
    assert Halving().why_stop(curves, 0) is None
    assert Race().why_stop(curves, 0) is None
    curves.add(8, [0.95] * 3)
    assert Halving().why_stop(curves, 0), "until another is better"


def test_median_stops_what_never_reached_the_average_of_the_middle():
    curves = curves_of(*(flat(float(level)) for level in range(7)))
    assert [trial for trial in range(7) if Median().why_stop(curves, trial)] == [0, 1, 2]
    assert Median().why_stop(curves, 0) == "at best 0, worse than the median after epoch 2, 3.5"
    assert Median(least=7).why_stop(curves, 0) is None
    assert Median(first=3).why_stop(curves, 0) is None
    falling = curves_of(*(flat(float(level)) for level in range(7)), goal="min")
    assert [trial for trial in range(7) if Median().why_stop(falling, trial)] == [4, 5, 6]


@pytest.mark.parametrize("freedom", [1, 2, 3, 4, 5, 8, 9, 30])
def test_the_tail_of_students_t_is_scipys(freedom):
    for t in (-3.0, 0.0, 0.5, 2.0, 4.5, 12.0, 40.0):
        assert tail(t, freedom) == pytest.approx(stats.t.sf(t, freedom), rel=1e-6, abs=1e-13)


def test_a_race_stops_what_is_behind_in_every_fold():
    draws = np.random.default_rng(0)
    curves = curves_of(*noisy(draws, [0.9, 0.85, 0.5], epochs=4).tolist())
    assert Race().why_stop(curves, 1)
    why = Race().why_stop(curves, 2)
    assert why.startswith("0.397 behind")
    assert " behind trial 0 after epoch 4, by chance with p = " in why
    assert Race(grace=5).why_stop(curves, 2) is None
    assert Race().why_stop(curves, 0) is None


@pytest.mark.parametrize("loss", [0.05, 0.3, 10.0])
def test_a_race_never_stops_on_one_folds_bad_luck(loss):
    draws = np.random.default_rng(1)
    scores = noisy(draws, [0.9] * 8, epochs=6, noise=0.001)
    scores[5, :, 2] -= loss
    curves = curves_of(*scores.tolist())
    assert Race(level=0.5, grace=1).why_stop(curves, 5) is None


def test_a_race_waits_for_a_trial_that_is_catching_up():
    leader = [[0.80, 0.82, 0.81]] * 4
    slow = [[0.30, 0.33, 0.30], [0.50, 0.53, 0.50], [0.60, 0.62, 0.60], [0.68, 0.70, 0.69]]
    stuck = [[0.68, 0.70, 0.69]] * 4
    curves = curves_of(leader, slow, stuck)
    assert Race().why_stop(curves, 1) is None
    assert Race().why_stop(curves, 2)


def test_folds_that_differ_by_the_same_few_rows_prove_nothing():
    """Of few rows, the same difference in every fold is common; a t test alone would be sure of it."""
    draws = np.random.default_rng(2)
    scores = np.round(noisy(draws, [0.9] * 10, epochs=2, folds=3, noise=0.02), 2)
    scores[1] = scores[0] - 0.01
    assert Race().why_stop(curves_of(*scores.tolist()), 1) is None
    twins = curves_of([[0.9, 0.8, 0.7]] * 2, [[0.89, 0.79, 0.69]] * 2)
    assert Race().why_stop(twins, 1) is None, "and with nothing to compare the spread with, it is not asked"


@pytest.mark.parametrize(("folds", "wild"), [(3, 1.0), (5, 1.0), (3, 3.0), (5, 3.0)])
def test_a_race_keeps_its_level_however_often_one_looks(folds, wild):
    """A trial as good as the leader, at its side from the first epoch to the twelfth, among others of the same noise.

    `wild` is how much more its folds differ than those of others; its level is shifted, so that chance decides.
    """
    draws, stopped, rounds = np.random.default_rng(3), 0, 400
    for _ in range(rounds):
        scores = noisy(draws, [0.9, 0.9, *[0.7] * 8], epochs=12, folds=folds)
        scores[1] += draws.normal(0.0, 0.01 * wild, (1, folds))
        curves, race = LearningCurves("max"), Race(level=0.1)
        for epoch in range(12):
            for trial in (0, *range(2, 10), 1):
                curves.add(trial, scores[trial, epoch].tolist())
            if race.why_stop(curves, 1):
                stopped += 1
                break
    assert stopped / rounds < 0.1 + 3 * math.sqrt(0.1 * 0.9 / rounds)


def plain_rank(pruner, curves, trial):
    """The rank of a trial at a rung, found by going through all trials."""
    epoch, row = curves.length(trial), curves.row(trial)
    begin, rows = max(0, epoch - pruner.window), curves.rows_at(epoch)
    levels = curves.means[rows, begin:epoch].mean(axis=1)
    ahead = int((levels > curves.means[row, begin:epoch].mean()).sum())
    stay = max(pruner.least, math.ceil(len(rows) / pruner.reduction))
    if ahead < stay or curves.leads(trial):
        return None
    return f"rank {ahead + 1} of {len(rows)} after epoch {epoch}, where the best {stay} go on"


def plain_race(race, curves, trial, recent):
    """What a race says of a trial, found by going through all trials; the spread is that of the latest by number."""
    epoch, row, numbers = curves.length(trial), curves.row(trial), np.array(curves.trials)
    if epoch < race.grace or curves.leads(trial):
        return None
    looks = epoch - race.grace + 1
    enough, rows = race.level / (looks * (looks + 1)), curves.rows_at(epoch)
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
    others = others[np.argsort(numbers[others])][-recent:]
    own, freedom, usual = float(gaps.var(ddof=1)), folds - 1 + FREEDOM * (len(others) >= OTHERS), 0.0
    if len(others) >= OTHERS:
        theirs = curves.level_scores[leader, epoch - 1] - curves.level_scores[others, epoch - 1]
        theirs -= theirs.mean(axis=1, keepdims=True)
        usual = float(np.median(np.einsum("nk,nk->n", theirs, theirs)) / (folds - 1))
    first, chance = (
        tail(gap / math.sqrt(variance / folds), freedom) if variance > 0.0 else 1.0
        for variance in (own, max(own, usual))
    )
    if first > enough or chance > enough:
        return None
    return f"{gap:.3g} behind trial {numbers[leader]} after epoch {epoch}, by chance with p = {chance:.2g}"


def plain(pruner, curves, trial, recent=10**9):
    """What these pruners say, as they are defined: every trial is looked at anew for each judgement."""
    if isinstance(pruner, Race):
        return plain_race(pruner, curves, trial, recent)
    ranked = plain_rank(pruner, curves, trial) if pruner.is_rung(curves.length(trial)) else None
    return ranked or (plain_race(pruner.race, curves, trial, recent) if pruner.race else None)


def told_at_random(draws, goal):
    """Curves that grow at random: each time, they and the trial whose epoch is new. Some scores are no numbers."""
    folds, noise, rounded = (
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
        lengths[trial] += 1
        scores = height[trial] * (1 - 0.6 ** (1 + lengths[trial])) + difficulty + draws.normal(0.0, noise, folds)
        scores = np.round(scores, rounded)
        if draws.random() < 0.04:
            scores[int(draws.integers(folds)) :] = draws.choice([np.nan, np.inf, -np.inf])
        curves.add(trial, scores.tolist())
        yield curves, trial


QUICK = [
    Halving(),
    Halving(reduction=2, first=1, least=1, window=1, race=None),
    Halving(reduction=2, first=3, window=9, race=Race(level=0.4, grace=1)),
    Halving(reduction=2, first=5, least=3, window=40, race=None),
    Race(),
    Race(level=0.9, grace=1),
]


@pytest.mark.parametrize("goal", ["max", "min"])
@pytest.mark.parametrize("seed", range(15))
def test_every_verdict_is_the_one_that_one_comes_to_by_looking_at_all_trials(seed, goal):
    draws, verdicts, copy = np.random.default_rng(seed), [], None
    with np.errstate(invalid="ignore"):
        for curves, trial in told_at_random(draws, goal):
            if copy is None or draws.random() < 0.02:
                copy = curves.only([number for number in curves.trials if number == trial or draws.random() < 0.6])
            for scores in (curves.of(trial) * (1 if goal == "max" else -1))[copy.length(trial) :].tolist():
                copy.add(trial, scores)
            for pruner in QUICK:
                for known in (curves, copy):
                    verdicts.append(pruner.why_stop(known, trial))
                    assert verdicts[-1] == plain(pruner, known, trial), (pruner, trial)
    told = [verdict for verdict in verdicts if verdict]
    assert sum("rank" in verdict for verdict in told) > 20


def test_random_curves_are_stopped_by_the_race_as_well():
    """Else the test before this one would say little of it."""
    draws = np.random.default_rng(0)
    with np.errstate(invalid="ignore"):
        verdicts = [Race(level=0.9).why_stop(*one) for _ in range(12) for one in told_at_random(draws, "max")]
    assert sum(map(bool, verdicts)) > 50


@pytest.mark.parametrize("seed", range(10))
def test_the_usual_spread_is_that_of_the_latest_trials_by_number(seed, monkeypatch):
    """Not of those that came last: which these are, depends on who was faster and on restarts."""
    for file in (curves_file, race_file):
        monkeypatch.setattr(file, "RECENT", 6)
    draws, cut = np.random.default_rng(seed), 0
    with np.errstate(invalid="ignore"):
        for curves, trial in told_at_random(draws, "max"):
            for known in (curves, curves.only(curves.trials)):
                verdict = Race(level=0.9, grace=1).why_stop(known, trial)
                assert verdict == plain(Race(level=0.9, grace=1), known, trial, recent=6)
                cut += len(known.rows_at(known.length(trial))) > 8
    assert cut > 50


def test_a_judgement_does_not_go_through_the_trials(monkeypatch):
    """Once for each rung, when it is first asked about, and never for a race; what it keeps of a race is bounded."""
    draws, passes, curves = np.random.default_rng(0), [], LearningCurves("max")
    rows_at = LearningCurves.rows_at
    monkeypatch.setattr(LearningCurves, "rows_at", lambda self, epoch: passes.append(epoch) or rows_at(self, epoch))
    for trial in range(RECENT + 50):
        for scores in draws.normal(0.8, 0.1, (7, 3)).tolist():
            curves.add(trial, scores)
            Halving().why_stop(curves, trial)
    assert passes == [2, 6]
    assert curves.trials is curves.trials, "nor are their numbers copied"
    assert len(curves.recent(7)) == RECENT + 2
    assert curves.recent(7)[-1] == RECENT + 49


def test_two_thousand_trials_are_decided_among_as_are_twenty():
    curves, draws = LearningCurves("max"), np.random.default_rng(4)
    for trial in range(2000):
        for scores in noisy(draws, [draws.normal()], epochs=20)[0]:
            curves.add(trial, scores.tolist())
    few = curves.only(range(20))
    assert (curves.scores.shape, few.scores.shape) == ((2000, 20, 5), (20, 20, 5))
    for pruner in (Halving(first=20), Race(grace=1), Median()):
        stops = [trial for trial in range(20) if pruner.why_stop(curves, trial)]
        assert len(stops) > 5, pruner
        assert len([trial for trial in range(20) if pruner.why_stop(few, trial)]) > 5, pruner


@pytest.mark.parametrize(
    "make",
    [
        lambda: Halving(reduction=1),
        lambda: Halving(first=0),
        lambda: Halving(least=True),
        lambda: Halving(window=0.5),
        lambda: Halving(race=0.05),
        lambda: Median(first=0),
        lambda: Race(level=0),
        lambda: Race(level=1.5),
        lambda: Race(grace=0),
        lambda: OptunaPruner(Halving()),
        lambda: OptunaPruner(optuna.pruners.MedianPruner),
        lambda: spiral_sweep(pruner="halving"),
        lambda: spiral_sweep(pruner=Halving),
        lambda: spiral_sweep(pruner=Race(), validation=Holdout(0.2)),
        lambda: spiral_sweep(pruner=Halving(), metric=(Accuracy(), Accuracy(name="again"))),
    ],
)
def test_what_cannot_prune_is_refused_in_one_sentence(make):
    with pytest.raises(UserMistake) as refused:
        make()
    assert str(refused.value).endswith(".")
    assert "\n" not in str(refused.value)


def test_a_sweep_prunes_by_halving_unless_it_has_several_metrics():
    sweep = spiral_sweep(pruner=None)
    assert sweep.chosen_pruner == Halving()
    assert spiral_sweep(pruner=None, validation=Holdout(0.2)).chosen_pruner == Halving()
    assert spiral_sweep(pruner=None, metric=(Accuracy(), Accuracy(name="again"))).chosen_pruner == NoPruning()


def test_a_pruner_tells_sweeps_apart_where_it_is_not_the_default():
    plain, halving, without, race = (spiral_sweep(pruner=pruner) for pruner in (None, Halving(), NoPruning(), Race()))
    assert plain.fingerprint() == halving.fingerprint()
    assert len({plain.fingerprint(), without.fingerprint(), race.fingerprint()}) == 3
    assert "pruner" not in plain.describe()
    ten, twenty = (spiral_sweep(pruner=optuna.pruners.MedianPruner(startup)) for startup in (10, 20))
    assert ten.fingerprint() != twenty.fingerprint()
    assert ten.fingerprint() == spiral_sweep(pruner=optuna.pruners.MedianPruner(10)).fingerprint()


def test_a_pruners_arguments_are_fixed_by_path():
    sweep = spiral_sweep(pruner=None).with_values({"pruner.reduction": 4, "pruner.race.level": 0.01})
    assert sweep.pruner == Halving(reduction=4, race=Race(level=0.01))
    assert spiral_sweep(pruner=None).with_values({"pruner.race": None}).pruner == Halving(race=None)
    with pytest.raises(UserMistake, match="reduction, first, least, window, race"):
        spiral_sweep(pruner=None).with_values({"pruner.rate": 4})


def test_a_native_pruner_is_its_own_judge():
    assert stopping_rule_of(Halving(), "max") == Halving()


def by_hand(pruner, goal, curves):
    """What Optuna's own loop makes of the means of these curves, one trial after the other: the epochs each ran."""
    study = optuna.create_study(
        study_name="searchlab", pruner=pruner, direction={"max": "maximize", "min": "minimize"}[goal]
    )
    lengths = []
    for scores in curves:
        trial = study.ask()
        for epoch, mean in enumerate(scores.mean(axis=1).tolist(), start=1):
            trial.report(mean, epoch)
            if epoch < len(scores) and trial.should_prune():
                break
        lengths.append(epoch)
        means = scores.mean(axis=1)
        if epoch == len(scores):
            study.tell(trial, float(means.max() if goal == "max" else means.min()))
        else:
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)
    return lengths


@pytest.mark.parametrize("goal", ["max", "min"])
@pytest.mark.parametrize(
    "make",
    [
        lambda: optuna.pruners.MedianPruner(n_startup_trials=3, n_warmup_steps=1),
        lambda: optuna.pruners.PercentilePruner(30.0, n_startup_trials=3),
        lambda: optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=3),
        lambda: optuna.pruners.SuccessiveHalvingPruner(),
        lambda: optuna.pruners.HyperbandPruner(min_resource=1, max_resource=9, reduction_factor=3),
        lambda: optuna.pruners.HyperbandPruner(),
        lambda: optuna.pruners.WilcoxonPruner(p_threshold=0.2),
        lambda: optuna.pruners.ThresholdPruner(lower=0.3, upper=0.9),
        lambda: optuna.pruners.PatientPruner(optuna.pruners.MedianPruner(), patience=2),
        lambda: optuna.pruners.NopPruner(),
    ],
    ids=["median", "percentile", "halving", "halving auto", "hyperband", "hyperband auto", "wilcoxon", "threshold",
         "patient", "none"],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_optunas_pruners_decide_as_they_do_in_optunas_own_loop(make, goal):
    draws = np.random.default_rng(5)
    levels = draws.uniform(0.2, 0.9, 40)
    scores = noisy(draws, levels, epochs=9, folds=3) * (1.0 - 0.8 ** np.arange(1, 10))[None, :, None]
    expected = by_hand(make(), goal, scores)
    judge = stopping_rule_of(OptunaPruner(make()), goal)
    told = replay(dict(enumerate(scores)), goal, judge, range(40))
    assert [told.stopped.get(trial, 9) for trial in range(40)] == expected


def test_an_optuna_pruner_is_not_changed_by_being_used_and_forgets_no_trial_it_is_not_shown():
    pruner = OptunaPruner(optuna.pruners.MedianPruner(n_startup_trials=3))
    curves = LearningCurves("max")
    for trial in range(6):
        for _ in range(3):
            curves.add(trial, [float(trial)])
        if trial < 5:
            curves.finish(trial)
    curves.add(9, [1.5])
    judge = stopping_rule_of(pruner, "max")
    assert judge.why_stop(curves, 9) == "MedianPruner stops it after epoch 1"
    assert judge.why_stop(curves.only([0, 1, 9]), 9) is None, "two are too few to begin with"
