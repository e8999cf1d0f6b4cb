"""The summary that a run prints at its end: the best trials, the winner, and where everything is stored."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from searchlab.cli.hints import command
from searchlab.monitor.reasons import count_reasons, reason_text
from searchlab.reporting.formats import (
    count,
    duration,
    factors_text,
    interval_text,
    network_scores,
    parameter_name,
    parameter_value,
    score,
    times,
    winner_training,
)
from searchlab.reporting.winner_choice import optimism_text
from searchlab.results.finalists import Finalist
from searchlab.results.result import Result
from searchlab.runs.trials import TrialRecord, ranked

MAX_ROWS = 10  # trials in the table of the best
MAX_REASONS = 3  # of failed trials, and of infeasible ones


def print_result(result: Result, console: Console) -> None:
    """Print the summary of a result."""
    console.print(f"\n[bold]{result.sweep}[/bold]: {count(len(result.trials), 'trial')}: {_counts(result.counts())}")
    if result.over:
        text = f"The search ended before its {count(result.requested, 'trial')} had ended: {result.over}."
        console.print(text, markup=False)
    if result.winner:
        console.print(_best_trials(result, console.width))
    if result.winner and result.winner.finalists:
        console.print(_finalists(result.winner.finalists, result.metric))
    _print_reasons(result.trials, console)
    console.print(_facts(result))
    if result.record_fault:
        console.print(f"\nwarning: {result.record_fault}", markup=False, soft_wrap=True)
    if not result.winner:
        console.print(f"\n[bold]There is no winner:[/bold] {_no_winner_reason(result)}; the reasons are above.")


def _no_winner_reason(result: Result) -> str:
    counts = {state: number for state, number in result.counts().items() if number}
    if list(counts) == ["failed"]:
        return "every trial failed"
    return f"no trial is complete ({_counts(counts) or 'there are none'})"


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{number} {state}" for state, number in counts.items())


def _best_trials(result: Result, width: int) -> Table:
    """Return a table of the best trials, with one column for all hyperparameters where `width` has no room for more.

    With several metrics, these are the trials of the Pareto front.
    """
    best = (result.front if result.others else ranked(result.trials, result.goal))[:MAX_ROWS]
    names = list(dict.fromkeys(parameter_name(path) for trial in best for path in trial.parameters))
    widths = [max(9, len(name)) for name in result.others] + [max(6, len(name.rpartition("_")[2])) for name in names]
    is_wide = 32 + sum(2 + column for column in widths) <= width
    table = Table(box=None, header_style="bold", pad_edge=False, title=_title(result), title_justify="left")
    for heading in ("trial", result.metric, "± folds", *result.others, "epoch"):
        table.add_column(heading, justify="right", no_wrap=True)
    for heading in names if is_wide else ["hyperparameters"]:
        table.add_column(heading.replace("_", " "), justify="right" if is_wide else "left")
    for trial in best:
        values = {parameter_name(path): parameter_value(value) for path, value in trial.parameters.items()}
        scores = map(score, (trial.value, trial.std, *trial.values[1:]))
        combined = "  ".join(f"{name}={value}" for name, value in values.items())
        parameters = [values.get(name, "") for name in names] if is_wide else [combined]
        table.add_row(str(trial.number), *scores, str(trial.epoch), *parameters)
    return table


def _finalists(finalists: Sequence[Finalist], metric: str) -> Table:
    """Return a table of the trials that were run again, the winner first."""
    seeds = max(len(finalist.scores) for finalist in finalists)
    title = f"\nRun again with {count(seeds, 'fresh seed')}; gaps are over these and that of the search:"
    table = Table(box=None, header_style="bold", pad_edge=False, title=title, title_justify="left")
    for heading in ("trial", f"{metric} again", "95% interval", "gap to the best", "95% interval", "weights"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for place, finalist in enumerate(finalists):
        note = finalist.reason or ("winner" if place == 0 else "tied" if finalist.is_tied else "")
        table.add_row(
            str(finalist.trial),
            score(finalist.mean),
            interval_text(finalist.low, finalist.high),
            score(finalist.gap),
            interval_text(finalist.gap_low, finalist.gap_high),
            f"{finalist.weights:,}",
            note,
        )
    return table


def _title(result: Result) -> str | None:
    """Return the title of the table of several metrics."""
    if not result.others:
        return None
    front = len(result.front)
    shown = f", the {MAX_ROWS} best in {result.metric}" if front > MAX_ROWS else ""
    return f"Pareto front: {front} of {count(result.count('COMPLETE'), 'complete trial')}{shown}"


def _print_reasons(trials: Sequence[TrialRecord], console: Console) -> None:
    """Print the most frequent reasons of failed and of infeasible trials."""
    for state in ("FAIL", "INFEASIBLE"):
        for reason in count_reasons(trial for trial in trials if trial.state == state)[:MAX_REASONS]:
            console.print(reason_text(reason), markup=False)


def _facts(result: Result) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row("", "")
    winner = result.winner
    if overfitted := [trial.number for trial in result.trials if trial.overfitted]:
        also = ", the winner among them" if winner and winner.trial.number in overfitted else ""
        table.add_row("overfitted", f"{count(len(overfitted), 'trial')}{also or f', such as trial {overfitted[0]}'}")
    if winner:
        training = winner_training(winner.networks, winner.trial.epoch or 0)
        table.add_row("winner", f"trial {winner.trial.number}, {training}")
        if winner.tie:
            table.add_row("tied", winner.tie)
        if result.optimism is not None:
            text = f"the winner's score in the search is {optimism_text(result.optimism)}"
            table.add_row("optimism", f"{score(result.optimism)}: {text}")
        if winner.baseline:
            verdict = "" if result.beats_baseline else ", and the winner is no better"
            table.add_row("baseline", f"{score(winner.baseline.score)} by {winner.baseline.name}{verdict}")
        if winner.learning_rate_factors:
            text = f"{factors_text(winner.learning_rate_factors)}: the geometric means of the folds"
            table.add_row("learning rate", f"times {text}")
        for name, test in winner.test_scores.items():
            halved = score(winner.artifact_scores[name])
            table.add_row(f"test {name}", f"{score(test)} on rows that no trial has seen; {halved} as float16")
        if winner.network_scores:
            table.add_row("each network", f"{network_scores(winner.network_scores)}, alone on the same rows")
        if winner.test_look is None:
            again = command(f"resume {result.sweep} --look-again")
            table.add_row("test rows", f"not opened, because they were before; `{again}` tests the winner")
        elif winner.test_look > 1:
            note = "each look after the first makes the test score more optimistic"
            table.add_row("test rows", f"opened {times(winner.test_look)}: {note}")
        table.add_row("artifact", _relative(winner.artifact))
        if winner.samples:
            table.add_row("samples", f"{_relative(winner.samples)}: what the model wrote after each epoch")
    if result.figures:
        table.add_row("figures", _relative(result.figures[0].parent))
    if result.report:
        table.add_row("report", _relative(result.report))
    if result.tracking_uri:
        run = f"run {result.run_id}" if result.run_id else "(the record is not complete)"
        table.add_row("MLflow", f"{result.tracking_uri}  {run}")
        table.add_row("dashboard", command("ui"))
    if result.registered:
        table.add_row("registered", f"models:/{result.registered}")
    phases = ", ".join(f"{phase} {duration(sec)}" for phase, sec in result.seconds.items() if phase != "total")
    table.add_row("time", f"{duration(result.seconds['total'])}: {phases}")
    return table


def _relative(path: Path) -> str:
    """Return the path relative to the current folder, where it is inside."""
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)
