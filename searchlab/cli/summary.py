"""What a finished run prints: the best trials, the winner, and where everything lies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from searchlab.cli.output import short, short_name
from searchlab.service.records import TrialRecord, ranked
from searchlab.service.result import Result

SHOWN = 10


def print_result(result: Result, console: Console) -> None:
    """Print it."""
    counts = f"{result.count('COMPLETE')} complete, {result.count('PRUNED')} pruned, {result.count('FAIL')} failed"
    console.print(f"\n[bold]{result.sweep}[/bold]: {len(result.trials)} trials: {counts}")
    if result.winner:
        console.print(_best_trials(result, console.width))
    _print_failures(result.trials, console)
    console.print(_facts(result))
    if not result.winner:
        console.print("\n[bold]No winner:[/bold] every trial failed; the reasons are above.")


def _best_trials(result: Result, width: int) -> Table:
    """The best trials with a column per parameter; in a narrow window, with one column for all of them."""
    best = ranked(result.trials, result.goal)[:SHOWN]
    names = list(dict.fromkeys(short_name(path) for trial in best for path in trial.parameters))
    wide = 32 + sum(2 + max(6, len(name.rpartition("_")[2])) for name in names) <= width
    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in ("trial", result.metric, "± folds", "epoch"):
        table.add_column(heading, justify="right", no_wrap=True)
    for heading in names if wide else ["parameters"]:
        table.add_column(heading.replace("_", " "), justify="right" if wide else "left")  # a heading may take two lines
    for trial in best:
        values = {short_name(path): short(value) for path, value in trial.parameters.items()}
        scores = (str(trial.number), f"{trial.value:.4f}", f"{trial.std:.4f}", str(trial.epoch))
        together = "  ".join(f"{name}={value}" for name, value in values.items())
        table.add_row(*scores, *((values.get(name, "") for name in names) if wide else [together]))
    return table


def _print_failures(trials: Sequence[TrialRecord], console: Console) -> None:
    reasons = Counter(trial.reason or "" for trial in trials if trial.state == "FAIL")
    for reason, count in reasons.most_common(3):
        first = next(trial.number for trial in trials if trial.reason == reason)
        console.print(
            f"failed: {reason}  ({'trial' if count == 1 else f'{count} trials, first'} {first})", markup=False
        )


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
        table.add_row("artifact", str(_near(result.winner.artifact)))
        if result.winner.samples:
            table.add_row("samples", f"{_near(result.winner.samples)}: what it wrote after each epoch")
    if result.figures:
        table.add_row("pictures", str(_near(result.figures[0].parent)))
    table.add_row("record", f"{result.tracking_uri}  run {result.run_id}")
    table.add_row("dashboard", "searchlab ui")
    parts = ", ".join(f"{phase} {seconds:.1f}" for phase, seconds in result.seconds.items() if phase != "total")
    table.add_row("seconds", f"{result.seconds['total']:.1f}: {parts}")
    return table


def _near(path: Path) -> Path:
    """The path from here, where it lies below."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
