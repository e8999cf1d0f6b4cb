"""What happened in a sweep, in up to three sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from searchlab.metrics import Goal
from searchlab.reporting.formats import count, duration, parameter_name, parameter_value, percent, score
from searchlab.reporting.winner_choice import tie_text
from searchlab.runs.manifest import SweepManifest
from searchlab.runs.trials import TrialRecord

MAX_NAMED = 6  # parameters of the winner


def sentences(manifest: SweepManifest, trials: Sequence[TrialRecord], result: Mapping[str, Any]) -> list[str]:
    """Return what happened: what was searched, which trial won, and which parameters mattered.

    `result` are the values of `Result.to_json`, empty while there are none.
    """
    if not trials:
        return []
    found = [_search(manifest.metric, trials, result.get("seconds", {}))]
    if best := result.get("best"):
        found.append(_winner(manifest.metric, best))
    found += _important(trials, manifest.goal)
    return found


def _search(metric: str, trials: Sequence[TrialRecord], seconds: Mapping[str, float]) -> str:
    states = [trial.state for trial in trials]
    ended = f"{count(len(states) - states.count('RUNNING'), 'trial')} ended"
    took = f" in {duration(seconds['total'])}" if seconds.get("total") else ""
    words = {"COMPLETE": "trained to the end", "PRUNED": "pruned early", "FAIL": "failed", "INFEASIBLE": "infeasible"}
    parts = [f"{states.count(state):,} {word}" for state, word in words.items() if state in states]
    epochs = sum(len(trial.curve.scores) for trial in trials)
    return f"{ended}{took}, judged by {metric}: {', '.join(parts) or 'none yet'}, {count(epochs, 'epoch')} in all."


def _winner(metric: str, best: Mapping[str, Any]) -> str:
    named = [f"{parameter_name(path)} {parameter_value(value)}" for path, value in best["params"].items()]
    more = f" and {len(named) - MAX_NAMED} more" if len(named) > MAX_NAMED else ""
    given = f" with {', '.join(named[:MAX_NAMED])}{more}" if named else ""
    tested = f" and of {score(best['test'])} on the test rows" if best.get("test") is not None else ""
    text = f"Trial {best['trial']} won{given}: it has a cross-validated {metric} of {score(best['score'])}{tested}"
    tie = tie_text(best["trial"], best.get("finalists", ()))
    return f"{text}; {tie}." if tie else f"{text}."


def _important(trials: Sequence[TrialRecord], goal: Goal) -> list[str]:
    from searchlab.study.importance import parameter_importance

    found = parameter_importance(trials, goal)
    named = [f"{path} ({percent(share)})" for path, share in list(found.shares.items())[:3] if share >= 0.1]
    if not named:
        return []
    mattered = f"{', '.join(named[:-1])} and {named[-1]}" if len(named) > 1 else named[0]
    return [f"What set the best trials apart most, by Optuna's {found.evaluator}, was {mattered}."]
