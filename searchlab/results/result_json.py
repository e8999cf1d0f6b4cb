"""A result as JSON values, as `searchlab run --json` prints it."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from searchlab.runs.trials import TrialRecord

if TYPE_CHECKING:
    from searchlab.results.result import Result
    from searchlab.results.winner import Winner


def result_json(result: Result) -> dict[str, Any]:
    """Return a result as JSON values, without the trials that are neither the winner nor on the Pareto front."""
    return {
        "sweep": result.sweep,
        "state": result.state,
        "trials": {"asked": result.requested, **result.counts()},
        "over": result.over,
        "best": _plain_winner(result, result.winner) if result.winner else None,
        **({"pareto": [_plain_point(result, trial) for trial in result.front]} if result.others else {}),
        "seconds": {phase: round(seconds, 3) for phase, seconds in result.seconds.items()},
        "artifact": str(result.artifact) if result.artifact else None,
        "report": str(result.report) if result.report else None,
        "tracking_uri": result.tracking_uri,
        "run_id": result.run_id,
        "registered": result.registered,
        "record_fault": result.record_fault,
    }


def _plain_winner(result: Result, winner: Winner) -> dict[str, Any]:
    """Return the winner: its trial, its scores on the test rows, and what they are compared with."""
    whole, tested, halved = winner.trial.to_json(), winner.test_scores, winner.artifact_scores
    best = {k: whole[k] for k in ("trial", "score", "std", "folds", "epoch", "params")}
    best |= {"test": winner.test_score, "test_float16": winner.artifact_score}
    best |= {"test_look": winner.test_look}
    if winner.networks > 1:
        best |= {"networks": winner.networks, "network_tests": list(winner.network_scores)}
    if winner.learning_rate_factors:
        best |= {"learning_rate_factors": list(winner.learning_rate_factors)}
    if winner.baseline:
        best |= {"baseline": asdict(winner.baseline), "beats_baseline": result.beats_baseline}
    if winner.finalists:
        best |= {"finalists": [finalist.to_json() for finalist in winner.finalists]}
    if winner.finalist:
        best |= {"reseeded": winner.finalist.mean, "optimism": result.optimism}
    values = dict(zip(result.others, winner.trial.values[1:], strict=True))
    others = {n: {"score": v, "test": tested.get(n), "test_float16": halved.get(n)} for n, v in values.items()}
    return best | ({"others": others} if others else {})


def _plain_point(result: Result, trial: TrialRecord) -> dict[str, Any]:
    """Return a trial of the Pareto front with its score by each metric."""
    scores = dict(zip((result.metric, *result.others), trial.values, strict=True))
    return {"trial": trial.number, "scores": scores, "params": dict(trial.parameters)}
