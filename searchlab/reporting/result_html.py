"""A result as HTML for a notebook: its facts, a table of the best trials, and the best score so far."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from searchlab.metrics import Goal
from searchlab.reporting.formats import count, parameter_name, parameter_value, score
from searchlab.reporting.page import template_environment
from searchlab.reporting.svg_charts import StepChart, best_score_chart
from searchlab.runs.trials import TrialRecord

MAX_ROWS = 10  # trials in the table of the best


def render_result(
    headline: str,
    facts: Sequence[tuple[str, str]],
    best: Sequence[TrialRecord],
    trials: Sequence[TrialRecord],
    goals: Mapping[str, Goal],
) -> str:
    """Return the HTML of a result; it has no script and loads nothing.

    Args:
        headline: What the first line says.
        facts: Pairs of a name and a text.
        best: The trials of the table, best first; the first 10 are shown.
        trials: Every trial, for the curve of the best score so far.
        goals: Direction of each metric by name, the primary one first.
    """
    shown = best[:MAX_ROWS]
    headings = _parameter_headings(shown)
    names = list(dict.fromkeys(headings.values()))
    template = template_environment().get_template("result.html.j2")
    return template.render(
        headline=headline,
        facts=facts,
        caption=f"The best {count(len(shown), 'trial')} of {len(trials)}",
        headings=["trial", *_score_headings(goals), "epoch", *names],
        rows=[_row(trial, names, headings) for trial in shown],
        chart=_best_score_chart(trials, goals),
    )


def _score_headings(goals: Mapping[str, Goal]) -> list[str]:
    primary, *others = goals
    return [primary, "± folds", *others]


def _row(trial: TrialRecord, names: Sequence[str], headings: Mapping[str, str]) -> list[str]:
    scores = [score(trial.value), score(trial.std), *map(score, trial.values[1:])]
    values = {headings[path]: parameter_value(value) for path, value in trial.parameters.items()}
    return [str(trial.number), *scores, str(trial.epoch or ""), *(values.get(name, "") for name in names)]


def _parameter_headings(trials: Sequence[TrialRecord]) -> dict[str, str]:
    """Return the heading of each parameter's column by path: its last part, unless a trial has two of that name."""
    counts = [Counter(map(parameter_name, trial.parameters)) for trial in trials]
    ambiguous = {name for counted in counts for name, number in counted.items() if number > 1}
    paths = {path: parameter_name(path) for trial in trials for path in trial.parameters}
    return {path: path if name in ambiguous else name for path, name in paths.items()}


def _best_score_chart(trials: Sequence[TrialRecord], goals: Mapping[str, Goal]) -> StepChart | None:
    metric, goal = next(iter(goals.items()))
    ended = sorted((trial for trial in trials if trial.ended is not None), key=lambda trial: trial.ended or 0.0)
    points = [
        (float(position), trial.value)
        for position, trial in enumerate(ended, start=1)
        if trial.state == "COMPLETE" and trial.value is not None
    ]
    return best_score_chart(points, "trials that have ended", metric, goal, float(len(ended)))
