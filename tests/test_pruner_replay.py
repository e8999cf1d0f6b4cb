"""A finished sweep told again under other pruners."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from searchlab import Halving, NoPruning, Race
from searchlab.errors import UserMistake
from searchlab.pruning.replay import best_of, replay, score_of, standard_error
from searchlab.results.pruner_replay import replay_records, replay_sweep
from searchlab.runner.run import run
from searchlab.runs.trials import LearningCurve, TrialRecord
from searchlab.runs.workspace import Workspace
from tests.sweeps import spiral_sweep

ROOT = Path(__file__).parents[1]


def recorded(trials=40, epochs=8, folds=3, seed=0):
    """Curves (epochs, folds) that climb to different heights; trial 5 diverges, trial 6 has no epoch."""
    draws = np.random.default_rng(seed)
    climb = 1.0 - 0.6 ** np.arange(1, epochs + 1)[:, None]
    curves = {
        trial: draws.uniform(0.3, 0.9) * climb + draws.normal(0, 0.005, (epochs, folds)) for trial in range(trials)
    }
    curves[5] = np.vstack([curves[5][:2], [[np.nan] * folds]])
    curves[6] = np.zeros((0, folds))
    return curves


def records_of(curves, pruned=()):
    return [
        TrialRecord(
            trial, "PRUNED" if trial in pruned else "COMPLETE", {}, None, None, None,
            LearningCurve(scores=scores.tolist()), 0.0, 1.0,
        )
        for trial, scores in curves.items()
    ]  # fmt: skip


def test_without_pruning_everything_is_spent_and_the_best_is_found():
    curves = recorded()
    told = replay(curves, "max", NoPruning(), list(curves))
    assert told.spent == sum(map(len, curves.values()))
    assert told.stopped == {}
    assert told.winner == best_of(curves, "max")
    assert score_of(curves[told.winner], "max") == max(
        scores.mean(axis=1).max() for trial, scores in curves.items() if trial not in (5, 6)
    )


def test_a_stopped_trial_spends_what_it_trained_and_cannot_win():
    curves = recorded()

    class StopsAt3:
        def due(self, epoch):
            return epoch == 3

        def why_stop(self, curves, trial):
            return "enough" if trial != 11 else None

    told = replay(curves, "max", StopsAt3(), list(curves))
    assert told.stopped == {trial: 3 for trial in curves if trial not in (5, 6, 11)}
    assert told.winner == 11
    assert told.spent == 3 * 39 + 5


def test_side_by_side_each_sees_what_the_others_have_reached():
    curves = recorded()
    seen = []

    class Looks:
        def due(self, epoch):
            return True

        def why_stop(self, curves, trial):
            seen.append((trial, curves.lengths.tolist()))

    replay(curves, "max", Looks(), [0, 1, 2], abreast=2)
    assert seen[:3] == [(0, [1]), (1, [1, 1]), (0, [2, 1])]
    assert seen[-1] == (2, [8, 8, 7])


def test_smaller_is_better_where_the_goal_says_so():
    curves = recorded()
    turned = {trial: -scores for trial, scores in curves.items()}
    there, back = replay(curves, "max", Halving(), list(curves)), replay(turned, "min", Halving(), list(curves))
    assert there == back
    assert there.stopped
    assert standard_error(curves[1], "max") == standard_error(turned[1], "min")


def test_a_standard_error_is_that_of_the_best_epoch_over_folds():
    scores = np.array([[0.1, 0.2, 0.3], [0.5, 0.6, 1.0]])
    assert standard_error(scores, "max") == pytest.approx(np.std([0.5, 0.6, 1.0], ddof=1) / math.sqrt(3))
    assert math.isnan(standard_error(scores[:, :1], "max"))


def test_what_is_told_of_a_sweep_agrees_with_its_curves():
    curves = recorded()
    told = replay_records("mine", records_of(curves, pruned=[3, 4]), "accuracy", "max", Halving(), orders=5)
    assert (told.trials, told.cut, told.epochs, len(told.outcomes)) == (39, 2, sum(map(len, curves.values())), 6)
    assert told.best == best_of(curves, "max")
    own = replay({t: s for t, s in curves.items() if len(s)}, "max", Halving(), sorted(set(curves) - {6}))
    assert (told.outcomes[0].spent, told.outcomes[0].winner) == (own.spent, own.winner)
    assert 0.2 < told.share < 0.7
    for outcome in told.outcomes:
        assert outcome.lost == pytest.approx(told.score - outcome.score)
        assert outcome.place == 1 + sum(score_of(s, "max") > outcome.score for s in curves.values())
    assert told == replay_records("mine", records_of(curves, pruned=[3, 4]), "accuracy", "max", Halving(), orders=5)


def test_what_cannot_be_replayed_is_refused(tmp_path):
    with pytest.raises(UserMistake, match="no trial of 'mine' has a score"):
        replay_records("mine", records_of({6: np.zeros((0, 3))}), "accuracy", "max", Halving(), 5)
    with pytest.raises(UserMistake, match="one fold"):
        replay_records("mine", records_of(recorded(folds=1)), "accuracy", "max", Race(), 5)
    with pytest.raises(UserMistake, match="there is no sweep called 'none'"):
        replay_sweep("none", Halving(), Workspace.at(tmp_path))


def searchlab(*arguments):
    command = [sys.executable, "-m", "searchlab.cli", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A home in which a sweep has run, no trial stopped."""
    folder = tmp_path_factory.mktemp("home")
    run(spiral_sweep(trials=8, epochs=6, pruner=NoPruning()), home=folder, engine="local", fuse=4)
    return folder


def test_a_sweep_is_replayed_from_its_records(home):
    all_of_it, halved = (
        replay_sweep("spiral", pruner, Workspace.at(home)) for pruner in (NoPruning(), Halving(least=1))
    )
    assert (all_of_it.share, all_of_it.lost, all_of_it.epochs) == (1.0, 0.0, 48)
    assert halved.share < 1.0
    assert len(halved.outcomes) == 21
    assert halved.best == all_of_it.best == all_of_it.outcomes[0].winner


def test_the_command_line_tells_it_in_a_table_and_as_json(home):
    done = searchlab("replay", "spiral", "--home", home, "--pruner", "halving", "--set", "least=1",
                     "--set", "pruner.race.level=0.2", "--orders", 4, "--json")  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["pruner"] == "Halving(reduction=3, first=2, least=1, window=2, race=Race(level=0.2, grace=2))"
    assert len(told["outcomes"]) == 5
    for word in ("as it ran", "4 shuffled, median", "of these the worst", "of the 48 recorded epochs"):
        assert word in " ".join(done.stderr.split())
    assert "cut short" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--pruner", "median", "--set", "reduction=2"], "Median(first=2, least=5) has no argument 'reduction'"),
        (["--pruner", "none", "--set", "first=2"], "has no argument 'first'; it has: none"),
        (["--set", "reduction=one"], "Halving(reduction=...) is a whole number"),
        (["--pruner", "best"], "'best' is not one of"),
    ],
)
def test_the_command_line_refuses_in_one_sentence(home, arguments, told):
    done = searchlab("replay", "spiral", "--home", home, *arguments)
    assert done.returncode == 2
    assert told in done.stderr
    assert "Traceback" not in done.stderr
