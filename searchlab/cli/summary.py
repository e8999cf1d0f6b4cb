"""What a finished run prints: the best trials, the winner, and where everything lies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from searchlab.cli.output import short, short_name
from searchlab.results.result import Result
from searchlab.runs.trials import TrialRecord, ranked

SHOWN = 10


def print_result(result: Result, console: Console) -> None:
    """Print it."""
    counts = ", ".join(f"{count} {word}" for word, count in result.counts().items())
    console.print(f"\n[bold]{result.sweep}[/bold]: {len(result.trials)} trials: {counts}")
    if result.over:
        console.print(f"over before its {result.asked} trials were used up: {result.over}", markup=False)
    if result.winner:
        console.print(_best_trials(result, console.width))
    _print_reasons(result.trials, console)
    console.print(_facts(result))
    if not result.winner:
        console.print(f"\n[bold]No winner:[/bold] {_why_none(result)}; the reasons are above.")


def _why_none(result: Result) -> str:
    counts = {word: count for word, count in result.counts().items() if count}
    if list(counts) == ["failed"]:
        return "every trial failed"
    return f"no trial is complete ({', '.join(f'{count} {word}' for word, count in counts.items()) or 'there is none'})"


def _best_trials(result: Result, width: int) -> Table:
    """The best trials with a column per parameter; in a narrow window, with one column for all of them.

    Of several metrics, the Pareto front: the trials that no other beats in one without losing in another.
    """
    best = (result.front if result.others else ranked(result.trials, result.goal))[:SHOWN]
    names = list(dict.fromkeys(short_name(path) for trial in best for path in trial.parameters))
    columns = [max(9, len(name)) for name in result.others]
    columns += [max(6, len(name.rpartition("_")[2])) for name in names]
    wide = 32 + sum(2 + column for column in columns) <= width
    table = Table(box=None, header_style="bold", pad_edge=False, title=_front_told(result), title_justify="left")
    for heading in ("trial", result.metric, "± folds", *result.others, "epoch"):
        table.add_column(heading, justify="right", no_wrap=True)
    for heading in names if wide else ["parameters"]:
        table.add_column(heading.replace("_", " "), justify="right" if wide else "left")  # a heading may take two lines
    for trial in best:
        values = {short_name(path): short(value) for path, value in trial.parameters.items()}
        others = [_score(value) for value in trial.values[1:]]
        scores = (str(trial.number), f"{trial.value:.4f}", f"{trial.std:.4f}", *others, str(trial.epoch))
        together = "  ".join(f"{name}={value}" for name, value in values.items())
        table.add_row(*scores, *((values.get(name, "") for name in names) if wide else [together]))
    return table


def _front_told(result: Result) -> str | None:
    """What the table of several metrics shows."""
    if not result.others:
        return None
    front, complete = len(result.front), result.count("COMPLETE")
    shown = f", the {SHOWN} best in {result.metric}" if front > SHOWN else ""
    return f"Pareto front: {front} of {complete} complete trials{shown}"


def _score(value: float) -> str:
    """A value of a metric: a count as a whole number, anything else to four places."""
    return f"{value:,.0f}" if value.is_integer() and abs(value) >= 10 else f"{value:.4f}"


def _print_reasons(trials: Sequence[TrialRecord], console: Console) -> None:
    """Why trials failed or were not trained; that one was pruned is no mishap."""
    for state, word in (("FAIL", "failed"), ("INFEASIBLE", "infeasible")):
        found = [trial for trial in trials if trial.state == state]
        for reason, count in Counter(trial.reason or "" for trial in found).most_common(3):
            first = next(trial.number for trial in found if (trial.reason or "") == reason)
            which = "trial" if count == 1 else f"{count} trials, first"
            console.print(f"{word}: {reason}  ({which} {first})", markup=False)


def _facts(result: Result) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row("", "")
    if result.winner:
        trial = result.winner.trial
        table.add_row("winner", f"trial {trial.number}, refitted on all training rows for {trial.epoch} epochs")
        table.add_row(
            f"test {result.metric}",
            f"{result.winner.test_score:.4f} on rows no trial has seen; {result.winner.artifact_score:.4f} as float16",
        )
        for name in result.others:
            tested, halved = (_score(of[name]) for of in (result.winner.test_scores, result.winner.artifact_scores))
            table.add_row(f"test {name}", f"{tested}; {halved} as float16")
        table.add_row("artifact", str(_near(result.winner.artifact)))
        if result.winner.samples:
            table.add_row("samples", f"{_near(result.winner.samples)}: what it wrote after each epoch")
    if result.figures:
        table.add_row("pictures", str(_near(result.figures[0].parent)))
    if result.report:
        table.add_row("report", str(_near(result.report)))
    table.add_row("record", f"{result.tracking_uri}  run {result.run_id}")
    table.add_row("dashboard", "searchlab ui")
    parts = ", ".join(f"{phase} {seconds:.1f}" for phase, seconds in result.seconds.items() if phase != "total")
    table.add_row("seconds", f"{result.seconds['total']:.1f}: {parts}")
    return table


def _near(path: Path) -> Path:
    """The path from here, where it lies below."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
