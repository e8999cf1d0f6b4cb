"""The replay of a finished sweep under other pruners: in Python, and by `searchlab replay`."""

from __future__ import annotations

import io
import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from searchlab import Halving, NoPruning, Race
from searchlab.cli.replay import _table
from searchlab.errors import UserMistake
from searchlab.pruning.replay import best_score, best_trial, replay, standard_error
from searchlab.results.pruner_replay import replay_records, replay_sweep
from searchlab.runs.trials import LearningCurve, TrialRecord
from searchlab.runs.workspace import Workspace
from tests.jobs import run
from tests.sweeps import spiral_sweep
from tests.waiting import DEADLINE

ROOT = Path(__file__).parents[1]


def recorded_curves(trials=40, epochs=8, folds=3, seed=0):
    """Return curves (epochs, folds) that rise to different heights; trial 5 diverges, trial 6 has no epoch."""
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


def test_a_replay_without_pruning_trains_every_epoch_and_finds_the_best_trial():
    curves = recorded_curves()
    result = replay(curves, "max", NoPruning(), list(curves))
    assert result.epochs == sum(map(len, curves.values()))
    assert result.stopped == {}
    assert result.winner == best_trial(curves, "max")
    assert best_score(curves[result.winner], "max") == max(
        scores.mean(axis=1).max() for trial, scores in curves.items() if trial not in (5, 6)
    )


def test_a_stopped_trial_costs_the_epochs_it_trained_and_cannot_win():
    curves = recorded_curves()

    class StopsAt3:
        def is_due(self, epoch):
            return epoch == 3

        def stop_reason(self, curves, trial):
            return "enough" if trial != 11 else None

    result = replay(curves, "max", StopsAt3(), list(curves))
    assert result.stopped == {trial: 3 for trial in curves if trial not in (5, 6, 11)}
    assert result.winner == 11
    assert result.epochs == 3 * 39 + 5


def test_parallel_trials_advance_in_turn():
    curves = recorded_curves()
    seen = []

    class Recorder:
        def is_due(self, epoch):
            return True

        def stop_reason(self, curves, trial):
            seen.append((trial, curves.last_epochs.tolist()))

    replay(curves, "max", Recorder(), [0, 1, 2], parallel=2)
    assert seen[:3] == [(0, [1]), (1, [1, 1]), (0, [2, 1])]
    assert seen[-1] == (2, [8, 8, 7])


def test_a_goal_to_minimize_gives_the_same_replay_of_negative_scores():
    curves = recorded_curves()
    negative = {trial: -scores for trial, scores in curves.items()}
    larger, smaller = replay(curves, "max", Halving(), list(curves)), replay(negative, "min", Halving(), list(curves))
    assert larger == smaller
    assert larger.stopped
    assert standard_error(curves[1], "max") == standard_error(negative[1], "min")


def test_the_standard_error_is_that_over_folds_at_the_best_epoch():
    scores = np.array([[0.1, 0.2, 0.3], [0.5, 0.6, 1.0]])
    assert standard_error(scores, "max") == pytest.approx(np.std([0.5, 0.6, 1.0], ddof=1) / math.sqrt(3))
    assert math.isnan(standard_error(scores[:, :1], "max"))


def replay_in_orders(records, pruner):
    """Return the replay of these records in the order in which they ran and in five shuffled ones."""
    return replay_records("mine", records, metric="accuracy", goal="max", pruner=pruner, orders=5)


def test_the_replay_of_a_sweep_agrees_with_its_curves():
    curves = recorded_curves()
    records = records_of(curves, pruned=[3, 4])
    replayed = replay_in_orders(records, Halving())
    assert (replayed.trials, replayed.pruned_trials, len(replayed.orders)) == (39, 2, 6)
    assert replayed.epochs == sum(map(len, curves.values()))
    assert replayed.best_trial == best_trial(curves, "max")
    as_run = replay({t: s for t, s in curves.items() if len(s)}, "max", Halving(), sorted(set(curves) - {6}))
    assert (replayed.orders[0].epochs, replayed.orders[0].winner) == (as_run.epochs, as_run.winner)
    assert 0.2 < replayed.epochs_share < 0.7
    for order in replayed.orders:
        assert order.score_loss == pytest.approx(replayed.best_score - order.score)
        assert order.rank == 1 + sum(best_score(scores, "max") > order.score for scores in curves.values())
    assert replayed == replay_in_orders(records, Halving()), "the shuffled orders are always the same"


def test_a_sweep_that_cannot_be_replayed_is_a_user_mistake(tmp_path):
    with pytest.raises(UserMistake, match="no trial of 'mine' has a score"):
        replay_in_orders(records_of({6: np.zeros((0, 3))}), Halving())
    with pytest.raises(UserMistake, match="one fold"):
        replay_in_orders(records_of(recorded_curves(folds=1)), Race())
    with pytest.raises(UserMistake, match="'none'"):
        replay_sweep("none", Halving(), Workspace.at(tmp_path))


def searchlab(*arguments):
    command = [sys.executable, "-m", "searchlab.cli", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=DEADLINE)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Return a workspace in which a sweep has run and no trial was stopped."""
    folder = tmp_path_factory.mktemp("home")
    run(spiral_sweep(trials=8, epochs=6, pruner=NoPruning()), home=folder, engine="local", fuse=4)
    return folder


def test_a_sweep_is_replayed_from_its_records(home):
    full, halved = (
        replay_sweep("spiral", pruner, Workspace.at(home)) for pruner in (NoPruning(), Halving(min_survivors=1))
    )
    assert (full.epochs_share, full.score_loss, full.epochs) == (1.0, 0.0, 48)
    assert halved.epochs_share < 1.0
    assert len(halved.orders) == 21
    assert halved.best_trial == full.best_trial == full.orders[0].winner


def test_the_command_prints_a_table_and_json(home):
    done = searchlab("replay", "spiral", "--home", home, "--pruner", "halving", "--set", "min_survivors=1",
                     "--set", "pruner.race.alpha=0.2", "--orders", 4, "--json")  # fmt: skip
    assert done.returncode == 0, done.stderr
    printed = json.loads(done.stdout.splitlines()[-1])
    assert printed["pruner"] == repr(Halving(min_survivors=1, race=Race(alpha=0.2)))
    assert len(printed["orders"]) == 5
    for words in (
        "as run",
        "same order",
        "4 shuffled, median",
        "worst of these",
        "of the 48 recorded epochs",
    ):
        assert words in " ".join(done.stderr.split())
    assert "incomplete" not in done.stderr


def test_the_row_as_run_has_what_the_sweep_itself_stopped():
    records = records_of({trial: np.full((4, 2), 0.9 - trial / 10) for trial in range(6)}, pruned=[3, 4])
    records += records_of({6: np.zeros((0, 2))}, pruned=[6])
    console = Console(file=io.StringIO(), width=120)
    console.print(_table(replay_in_orders(records, NoPruning())))
    (row,) = [line for line in console.file.getvalue().splitlines() if line.startswith("as run")]
    assert row.split() == ["as", "run", "24", "100%", "2", "of", "6", "0.9000"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--pruner", "median", "--set", "reduction_factor=2"], "no argument 'reduction_factor'"),
        (["--pruner", "none", "--set", "first_rung=2"], "no argument 'first_rung'"),
        (["--set", "reduction_factor=one"], "Halving(reduction_factor=...) takes a whole number"),
        (["--pruner", "best"], "'best' is not one of"),
    ],
)
def test_a_wrong_argument_of_the_command_is_reported_without_a_traceback(home, arguments, message):
    done = searchlab("replay", "spiral", "--home", home, *arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
