"""The picture of a sweep under way, of one snapshot of it: a bar over trials, their counts, the best, and mishaps."""

from __future__ import annotations

from datetime import timedelta

from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from searchlab.cli.output import short, short_name
from searchlab.monitor.snapshot import FailureSummary, Leader, Snapshot

BAR = 30  # characters
LINES = 10  # lines in all where there is no terminal to redraw
COLOURS = {"complete": "green", "pruned": "cyan", "failed": "red"}


class Board:
    """A snapshot, drawn; `label` says what is going on, and `since` is how many seconds ago it was taken."""

    def __init__(self, snapshot: Snapshot, label: str | None = None, since: float = 0.0) -> None:
        self._shown, self._label, self._since = snapshot, label or label_of(snapshot), since

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Text.assemble((self._shown.sweep, "bold"), "  " if self._shown.sweep else "", self._label)
        if self._shown.asked:
            yield self._bar(options.ascii_only)
            yield self._counts()
        if self._shown.top:
            yield self._table()
        for mishap in self._shown.mishaps:
            yield Text(_mishap_told(mishap), style="dim", overflow="ellipsis", no_wrap=True)

    def _bar(self, ascii_only: bool) -> Text:
        """One part for each way in which trials end, how many have, and the time."""
        shown, full = self._shown, "=" if ascii_only else "━"
        bar, filled, ended = Text(no_wrap=True, overflow="ellipsis"), 0, 0
        for word, colour in COLOURS.items():
            ended += getattr(shown, word)
            reached = min(BAR, BAR * ended // shown.asked)  # rounded as a sum: the parts end where the whole does
            bar.append(full * (reached - filled), style=colour)
            filled = reached
        bar.append(("-" if ascii_only else "─") * (BAR - filled), style="dim")
        bar.append(f"  {shown.ended}/{shown.asked}  {_clock(shown.seconds + self._since)}")
        if shown.rate:
            bar.append(f"  {_rate_told(shown.rate)}", style="dim")
        if shown.left is not None:
            bar.append(f"  about {_clock(max(0.0, shown.left - self._since))} left", style="dim")
        return bar

    def _counts(self) -> Text:
        shown, told = self._shown, Text(no_wrap=True, overflow="ellipsis")
        for word, colour in COLOURS.items():
            count = getattr(shown, word)
            told.append(f"{count} {word}  ", style=colour if count else "dim")
        told.append(f"{shown.infeasible} infeasible  " if shown.infeasible else "", style="dim")
        if shown.open:
            told.append(f"{shown.open} {'under way' if shown.state == 'running' else 'left open'}", style="dim")
        told.rstrip()
        return told

    def _table(self) -> Table:
        table = Table(box=None, header_style="dim", pad_edge=False)
        table.add_column(f"best {self._shown.metric}", no_wrap=True)
        for heading in ("trial", "epoch"):
            table.add_column(heading, justify="right", no_wrap=True)
        table.add_column("parameters")  # the one that gives way where the terminal is narrow
        for leader in self._shown.top:
            pairs = "  ".join(f"{short_name(path)} {short(value)}" for path, value in leader.params.items())
            epoch = "" if leader.epoch is None else str(leader.epoch)
            table.add_row(_score_told(leader), str(leader.trial), epoch, Text(pairs, no_wrap=True, overflow="ellipsis"))
        return table


def label_of(snapshot: Snapshot) -> str:
    """What is going on, in a word or a few."""
    if snapshot.state == "running":
        return "refitting the winner, testing it" if snapshot.searched else "searching"
    return snapshot.state


def ended_told(snapshot: Snapshot) -> str:
    """How many trials have ended, and the best of them."""
    best = snapshot.best
    reached = f"; best {best.score:.4f} (trial {best.trial})" if best else ""
    return f"{snapshot.ended} of {snapshot.asked} trials ended{reached}"


def tenths(snapshot: Snapshot) -> int:
    """How many tenths of the trials have ended: where there is no terminal, a line is due when this has changed."""
    return snapshot.ended // max(1, snapshot.asked // LINES)


def _score_told(leader: Leader) -> str:
    return f"{leader.score:.4f}" if leader.std is None else f"{leader.score:.4f} ± {leader.std:.4f}"


def _mishap_told(mishap: FailureSummary) -> str:
    which = "trial" if mishap.count == 1 else f"{mishap.count} trials, first"
    return f"{mishap.state}: {mishap.reason}  ({which} {mishap.first})"


def _clock(seconds: float) -> str:
    return str(timedelta(seconds=int(seconds)))


def _rate_told(rate: float) -> str:
    """Trials in a second, a minute or an hour, whichever makes at least one."""
    units = {"second": 1, "minute": 60, "hour": 3600}
    unit = next((unit for unit, seconds in units.items() if rate * seconds >= 1), "hour")
    return f"{rate * units[unit]:.3g} trials a {unit}"
