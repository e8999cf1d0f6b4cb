"""A result in a few lines of text: what a notebook and an interactive session print of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from searchlab.monitor.reasons import count_reasons
from searchlab.reporting.formats import (
    count,
    duration,
    parameter_name,
    parameter_value,
    score,
    score_with_std,
    times,
    winner_training,
)
from searchlab.runs.trials import TrialRecord, winner_candidates

if TYPE_CHECKING:
    from searchlab.results.result import Result
    from searchlab.results.winner import Winner

MAX_LINES = 12  # of the text of a result
MAX_WIDTH = 160  # letters of a line
MAX_REASONS = 2  # of failed and infeasible trials


def result_text(result: Result) -> str:
    """Return a result as at most 12 lines: its trials, the winner, and where everything is stored."""
    facts = result_facts(result)
    width = max((len(name) for name, _ in facts), default=0)
    lines = [headline(result), *(f"  {name:{width}}  {text}" for name, text in facts)]
    return "\n".join(map(_one_line, lines[:MAX_LINES]))


def headline(result: Result) -> str:
    """Return the name of the sweep, its state and how its trials ended."""
    counts = ", ".join(f"{number} {state}" for state, number in result.counts().items())
    return f"Result of {result.sweep!r}: {result.state}, {count(len(result.trials), 'trial')} ({counts})"


def result_facts(result: Result) -> list[tuple[str, str]]:
    """Return the facts of a result as pairs of a name and a text."""
    facts = _winner_facts(result, result.winner) if result.winner else _best_facts(result)
    if result.over:
        facts.append(("over", f"before all {count(result.requested, 'trial')} had ended: {result.over}"))
    if "total" in result.seconds:
        facts.append(("time", duration(result.seconds["total"])))
    if result.winner:
        facts.append(("artifact", shown_path(result.winner.artifact)))
    if result.report:
        facts.append(("report", shown_path(result.report)))
    if result.record_fault:
        facts.append(("record", result.record_fault))
    elif result.tracking_uri:
        facts.append(("MLflow", f"{result.tracking_uri} run {result.run_id}"))
    return facts


def trial_text(trial: TrialRecord, metric: str, others: tuple[str, ...] = ()) -> str:
    """Return a trial's number and its scores: "trial 3, accuracy 0.9713 ± 0.0054 over 3 folds at epoch 10"."""
    scores = f"{metric} {score_with_std(trial.value, trial.std)}"
    more = "".join(f", {name} {score(value)}" for name, value in zip(others, trial.values[1:], strict=False))
    return f"trial {trial.number}, {scores} over {count(len(trial.folds), 'fold')} at epoch {trial.epoch}{more}"


def parameters_text(trial: TrialRecord) -> str:
    """Return the parameters of a trial: "hidden=32, lr=0.413"."""
    return ", ".join(f"{parameter_name(path)}={parameter_value(value)}" for path, value in trial.parameters.items())


def shown_path(path: Path) -> str:
    """Return a path relative to the current folder, where it is inside."""
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def _winner_facts(result: Result, winner: Winner) -> list[tuple[str, str]]:
    trial = winner.trial
    facts = [
        ("winner", trial_text(trial, result.metric, tuple(result.others))),
        ("parameters", parameters_text(trial)),
        ("training", winner_training(winner.networks, trial.epoch or 0)),
        ("test", _test_text(winner)),
    ]
    if winner.finalist:
        seeds = count(len(winner.finalist.scores), "fresh seed")
        tie = f"; {winner.tie}" if winner.tie else ""
        facts.insert(1, ("run again", f"{result.metric} {score(winner.finalist.mean)} with {seeds}{tie}"))
    if winner.baseline:
        verdict = "" if result.beats_baseline else ", and the winner is no better"
        facts.append(("baseline", f"{score(winner.baseline.score)} by {winner.baseline.name}{verdict}"))
    return facts


def _test_text(winner: Winner) -> str:
    if winner.test_look is None:
        return "the test rows were opened before, and were not opened again"
    tested = [
        f"{name} {score(value)}, {score(winner.artifact_scores.get(name))} as float16"
        for name, value in winner.test_scores.items()
    ]
    look = f" (test rows opened {times(winner.test_look)})" if winner.test_look > 1 else ""
    return "; ".join(tested) + look


def _best_facts(result: Result) -> list[tuple[str, str]]:
    """Return the best trial so far, or else why trials failed."""
    goals = (result.goal, *result.others.values())
    best = next(iter(winner_candidates(result.trials, goals)), None)
    if best is not None:
        return [
            ("best so far", trial_text(best, result.metric, tuple(result.others))),
            ("parameters", parameters_text(best)),
        ]
    failed = (trial for trial in result.trials if trial.state in ("FAIL", "INFEASIBLE"))
    return [(each.state, f"{each.reason} ({count(each.count, 'trial')})") for each in count_reasons(failed)][
        :MAX_REASONS
    ]


def _one_line(text: str) -> str:
    """Return the text on one line that is not longer than `MAX_WIDTH`."""
    indent = text[: len(text) - len(text.lstrip())]
    line = indent + " ".join(text.split()) if "\n" in text else text.rstrip()
    return line if len(line) <= MAX_WIDTH else f"{line[: MAX_WIDTH - 1]}…"
