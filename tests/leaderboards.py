"""The leaderboard of trials as Optuna reads them, with which those of the library's own readers are compared."""

from __future__ import annotations

from searchlab.monitor.leaderboard import Leaderboard
from searchlab.monitor.snapshot import TopTrial


def leaderboard_of(trials, goal):
    """The leaderboard of trial records."""
    board = Leaderboard(goal)
    for trial in trials:
        board.add_start(trial.number, trial.started)
        if trial.state == "RUNNING":
            continue
        board.add_end(trial.number, trial.state, trial.ended or trial.started)
        board.add_failure(trial.number, trial.state, trial.reason)
        if trial.state == "COMPLETE" and trial.value is not None and board.is_top_score(trial.number, trial.value):
            std = trial.std if trial.epoch else None
            board.add_top_trial(TopTrial(trial.number, trial.value, std, trial.epoch, dict(trial.parameters)))
    return board
