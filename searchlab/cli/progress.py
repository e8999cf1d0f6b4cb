"""The live display of a run: a bar over trials, the best so far, and the newest ends."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar
from rich.table import Table

from searchlab.cli.output import short, short_name

if TYPE_CHECKING:
    from searchlab.metrics import Metric
    from searchlab.service.order import Order
    from searchlab.tracking.tracker import Ending

SHOWN = 5  # best trials in the live table
LINES = 10  # progress lines where there is no terminal to redraw
PHASES = {"start": "starting Ray and the record", "search": "searching", "winner": "refitting the winner, testing it"}


class Progress:
    """Watches a run and shows it: redrawn in place on a terminal, a line now and then elsewhere."""

    def __init__(self, console: Console, metric: Metric | None = None) -> None:
        self.console, self._goal = console, metric.goal if metric else "max"
        self._bar = Bar(
            TextColumn("{task.description}"), BarColumn(bar_width=30), MofNCompleteColumn(), TimeElapsedColumn(),
            console=console,
        )  # fmt: skip
        self._task = self._bar.add_task("starting", total=None)
        self._ended: dict[int, tuple[str, float | None]] = {}
        self._std: dict[int, dict[int, float]] = {}
        self._parameters: dict[int, Mapping[str, Any]] = {}
        self._asked = 0
        self._guard = threading.Lock()  # events come from the listener's thread, redraws from rich's
        self._live = Live(get_renderable=self._draw, console=console, refresh_per_second=5, transient=True)

    def __enter__(self) -> Progress:
        if self.console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._live.stop()

    def phase(self, name: str, order: Order) -> None:
        """The run enters a phase."""
        self._asked, self._goal = order.trials, order.goal
        self._bar.update(self._task, description=PHASES[name], total=order.trials)
        if not self.console.is_terminal:
            self.console.print(f"{order.name}: {PHASES[name]}")

    def start(self, trial: int, parameters: Mapping[str, Any], time: float) -> None:
        """A trial has begun."""
        with self._guard:
            self._parameters[trial] = parameters

    def log(
        self,
        trial: int,
        epoch: int,
        scores: Sequence[float],
        losses: Sequence[float],
        time: float,
        others: Sequence[Sequence[float]] = (),
    ) -> None:
        """A trial has trained an epoch: the spread over folds is kept for the table."""
        mean = sum(scores) / len(scores)
        spread = (sum((score - mean) ** 2 for score in scores) / len(scores)) ** 0.5
        with self._guard:
            self._std.setdefault(trial, {})[epoch] = spread

    def finish(self, trial: int, ending: Ending) -> None:
        """A trial has ended."""
        with self._guard:
            self._ended[trial] = (ending.state, ending.value)
            self._std[trial] = {0: self._std.get(trial, {}).get(ending.epoch or 0, float("nan"))}
            done = min(self._asked, len(self._ended))  # what breaks the constraint ends, and does not count
        self._bar.update(self._task, completed=done)
        if not self.console.is_terminal and done % max(1, self._asked // LINES) == 0:
            self.console.print(f"{done} of {self._asked} trials ended{self._best_so_far()}")

    def note(self, text: str) -> None:
        """A line of its own, above what is redrawn."""
        self.console.print(text)

    def _draw(self) -> RenderableType:
        table = Table(box=None, header_style="dim", pad_edge=False)
        for heading in ("best so far", "trial", "parameters"):
            table.add_column(heading, no_wrap=True, overflow="ellipsis")
        with self._guard:
            for number, score in self._best()[:SHOWN]:
                pairs = self._parameters[number].items()
                parameters = "  ".join(f"{short_name(path)} {short(value)}" for path, value in pairs)
                table.add_row(f"{score:.4f} ± {self._std[number][0]:.4f}", str(number), parameters)
        return Group(self._bar.get_renderable(), table) if table.row_count else self._bar.get_renderable()

    def _best(self) -> list[tuple[int, float]]:
        scored = [(number, value) for number, (_, value) in self._ended.items() if value is not None]
        return sorted(scored, key=lambda pair: -pair[1] if self._goal == "max" else pair[1])

    def _best_so_far(self) -> str:
        with self._guard:
            best = self._best()
        return f"; best {best[0][1]:.4f} (trial {best[0][0]})" if best else ""
