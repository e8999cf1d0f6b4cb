"""A snapshot of a sweep on the terminal: a bar over its trials, their counts, the best of them, and failures."""

from __future__ import annotations

from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from searchlab.monitor.reasons import reason_text
from searchlab.monitor.snapshot import Snapshot
from searchlab.reporting.formats import (
    count,
    duration,
    parameter_name,
    parameter_value,
    rate,
    score,
    score_with_std,
)

BAR_WIDTH, MIN_BAR_WIDTH = 30, 10  # characters
PROGRESS_LINES = 10  # printed during a sweep where there is no terminal
STATE_COLORS = {"complete": "green", "pruned": "cyan", "failed": "red"}


class SnapshotView:
    """A rich renderable of a snapshot that was taken `age` seconds ago; `label` replaces the name of its state."""

    def __init__(self, snapshot: Snapshot, label: str | None = None, age: float = 0.0) -> None:
        self._snapshot, self._label, self._age = snapshot, label or state_label(snapshot), age

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        snapshot = self._snapshot
        yield Text.assemble((snapshot.sweep, "bold"), "  " if snapshot.sweep else "", self._label)
        if snapshot.requested:
            yield self._bar(options.ascii_only, options.max_width)
            yield self._counts()
        if snapshot.top:
            yield self._top_trials()
        for reason in snapshot.failures:
            yield Text(reason_text(reason), style="dim", overflow="ellipsis", no_wrap=True)

    def _bar(self, ascii_only: bool, width: int) -> Text:
        """Return a bar with a part for each state in which trials have ended, followed by numbers and times.

        In a narrow terminal the bar is shorter, then the rate is left out: the time that is left stays.
        """
        snapshot, character = self._snapshot, "=" if ascii_only else "━"
        numbers = self._numbers()
        if MIN_BAR_WIDTH + len(numbers) > width:
            numbers = self._numbers(with_rate=False)
        length = max(MIN_BAR_WIDTH, min(BAR_WIDTH, width - len(numbers)))
        bar, filled, ended = Text(no_wrap=True, overflow="ellipsis"), 0, 0
        for state, color in STATE_COLORS.items():
            ended += getattr(snapshot, state)
            end = min(length, length * ended // snapshot.requested)  # rounding sums makes the parts add up
            bar.append(character * (end - filled), style=color)
            filled = end
        bar.append(("-" if ascii_only else "─") * (length - filled), style="dim")
        return bar.append_text(numbers)

    def _numbers(self, *, with_rate: bool = True) -> Text:
        """Return how many trials have ended, the time, their rate, and the time that is left."""
        snapshot = self._snapshot
        text = Text(f"  {snapshot.ended}/{snapshot.requested}  {duration(snapshot.seconds + self._age)}")
        if snapshot.trials_per_second and with_rate:
            text.append(f"  {rate(snapshot.trials_per_second, 'trial')}", style="dim")
        if snapshot.seconds_left is not None:
            left = duration(max(0.0, snapshot.seconds_left - self._age), digits=2)
            text.append(f"  about {left} left", style="dim")
        return text

    def _counts(self) -> Text:
        snapshot, text = self._snapshot, Text(no_wrap=True, overflow="ellipsis")
        for state, color in STATE_COLORS.items():
            number = getattr(snapshot, state)
            text.append(f"{number} {state}  ", style=color if number else "dim")
        text.append(f"{snapshot.infeasible} infeasible  " if snapshot.infeasible else "", style="dim")
        if snapshot.unfinished:
            state = "running" if snapshot.state == "running" else "unfinished"
            text.append(f"{snapshot.unfinished} {state}", style="dim")
        text.rstrip()
        return text

    def _top_trials(self) -> Table:
        table = Table(box=None, header_style="dim", pad_edge=False)
        table.add_column(f"best {self._snapshot.metric}", no_wrap=True)
        for heading in ("trial", "epoch"):
            table.add_column(heading, justify="right", no_wrap=True)
        table.add_column("hyperparameters")  # a narrow terminal shortens this column
        for top in self._snapshot.top:
            pairs = "  ".join(f"{parameter_name(path)} {parameter_value(value)}" for path, value in top.params.items())
            epoch = "" if top.epoch is None else str(top.epoch)
            parameters = Text(pairs, no_wrap=True, overflow="ellipsis")
            table.add_row(score_with_std(top.score, top.std), str(top.trial), epoch, parameters)
        return table


def state_label(snapshot: Snapshot) -> str:
    """Return what the sweep is doing, in a few words."""
    if snapshot.state == "running":
        return "training and testing the winner" if snapshot.is_search_over else "searching"
    return snapshot.state


def progress_text(snapshot: Snapshot) -> str:
    """Return how many trials have ended, and the best score."""
    best = snapshot.best
    best_text = f"; best {score(best.score)} (trial {best.trial})" if best else ""
    return f"{snapshot.ended} of {count(snapshot.requested, 'trial')} ended{best_text}"


def progress_step(snapshot: Snapshot) -> int:
    """Return how many tenths of the trials have ended; without a terminal, a line is printed when this changes."""
    return snapshot.ended // max(1, snapshot.requested // PROGRESS_LINES)
