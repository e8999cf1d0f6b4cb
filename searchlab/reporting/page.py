"""The report: one HTML file that holds all it shows, so that it can be mailed, printed and kept."""

from __future__ import annotations

import base64
import math
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from searchlab.reporting.svg_charts import Chart
from searchlab.runs.events import Scalar

if TYPE_CHECKING:
    from jinja2 import Environment

TEMPLATES = Path(__file__).with_name("templates")
CAPTIONS = {  # pictures by the name of their file, in the order in which they are shown
    "learning-curves": "Learning curves of the best trials: the mean over folds after each epoch, and its spread.",
    "optimization-history": "Every trial's score in the order of their numbers, and the best so far.",
    "pareto-front": "What each trial gives for what it costs; no other beats those on the front.",
    "fold-boxes": "Scores by fold of the best trials.",
    "confusion-matrix": "What the winner said to the test rows, by what they are.",
    "worst-mistakes": "The test images of which the winner was most surely wrong.",
    "decision-boundary": "Where the winner decides for which class.",
    "gradient-through-time": "How far back in time the winner's gradient reaches.",
}


@dataclass(frozen=True)
class Trial:
    """A line of a table: a trial with its score and the spread over folds at its best epoch, None where it has none.

    `others` are its values by the metrics after the first; `epochs` counts those it trained, in `seconds`.
    """

    number: int
    state: str
    score: float | None
    std: float | None
    others: Sequence[float]
    epoch: int | None
    epochs: int
    seconds: float
    parameters: Mapping[str, Scalar]
    reason: str | None


@dataclass(frozen=True)
class Reason:
    """Why trials ended as they did: one of them in its own words, and how many there are whose words differ in numbers.

    `first` is the number of the first of them.
    """

    words: str
    count: int
    first: int


@dataclass(frozen=True)
class PruningSavings:
    """What stopping trials saved: epochs trained, and those they would have been had all that the pruner stopped gone
    on to their end. `stopped` counts those by the epoch after which it was.
    """

    trained: int
    whole: int
    stopped: Mapping[int, int]
    chart: Chart | None
    reasons: Sequence[Reason] = ()

    @property
    def share(self) -> float:
        """The share of the epochs that was spent."""
        return self.trained / self.whole if self.whole else 1.0


@dataclass(frozen=True)
class Page:
    """All that a report says, in plain values. `state` is finished, failed, interrupted or running; seconds are by
    phase; `best`, of finished sweeps alone, is what `result.json` says of the winner; times in seconds since 1970.
    """

    name: str
    state: str
    over: str | None
    asked: int
    counts: Mapping[str, int]
    metric: str
    goal: str
    others: Mapping[str, str]
    best: Mapping[str, Any] | None
    top: Sequence[Trial]
    front: Sequence[Trial]
    trials: Sequence[Trial]
    charts: Sequence[Chart]
    saving: PruningSavings | None
    failures: Mapping[str, Sequence[Reason]]
    settings: Mapping[str, str]
    arguments: Mapping[str, tuple[str, bool]]  # by path: a domain or a value, and whether it is open
    seconds: Mapping[str, float]
    command: str
    steady: bool  # whether the command gives the same trials again
    origin: Mapping[str, str]
    places: Mapping[str, str]
    begun: float
    written: float
    pictures: Sequence[Path] = ()
    samples: str | None = None
    hidden: int = 0  # trials that the table of all has no room for

    @cached_property
    def columns(self) -> dict[str, str]:
        """What the columns of the parameters are called, by path: its last word, unless a trial has that twice."""
        shown = [[*trial.parameters] for trial in (*self.top, *self.front)]
        words = [Counter(_last(path) for path in paths) for paths in shown]
        twice = {word for counted in words for word, count in counted.items() if count > 1}
        return {path: path if _last(path) in twice else _last(path) for paths in shown for path in paths}

    @cached_property
    def numeric(self) -> set[str]:
        """The columns of numbers alone, which are set flush right."""
        shown = [pair for trial in (*self.top, *self.front) for pair in trial.parameters.items()]
        words = {self.columns[path] for path, given in shown if isinstance(given, (str, bool)) or given is None}
        return set(self.columns.values()) - words


def render(page: Page) -> str:
    """The page as HTML that asks nobody for anything: pictures, style and charts are in it, scripts are not."""
    return _environment().get_template("report.html.j2").render(page=page, pictures=[_picture(p) for p in _shown(page)])


def _environment() -> Environment:
    """Everything is escaped: a reason, a parameter or a path may hold any character."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"score": score, "value": value, "duration": duration, "moment": _moment}
    return made


def score(number: float | None) -> str:
    """A value of a metric: a count as a whole number, anything else to four places; nothing for None and NaN."""
    if number is None or not math.isfinite(number):
        return "" if number is None or math.isnan(number) else str(number)
    return f"{number:,.0f}" if float(number).is_integer() and abs(number) >= 10 else f"{number:.4f}"


def value(given: object) -> str:
    """A parameter's value, a fraction to three digits."""
    return f"{given:.3g}" if isinstance(given, float) else str(given)


def duration(seconds: float) -> str:
    """Seconds, in the words of a clock where there are many: 3.2 s, 4 min 10 s, 2 h 5 min."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60:,} h {minutes % 60} min"


def _last(path: str) -> str:
    return path.rpartition(".")[2]


def _moment(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))


def _shown(page: Page) -> list[Path]:
    """The pictures in their order: those of the search, those of the winner, those by parameter."""
    order = list(CAPTIONS)
    return sorted(page.pictures, key=lambda path: (order.index(path.stem) if path.stem in order else 99, path.name))


def _picture(path: Path) -> dict[str, str]:
    """A picture with all its bytes."""
    caption = CAPTIONS.get(path.stem)
    if caption is None:
        told = path.stem.removeprefix("by-")
        caption = f"A box of scores for each value of {told}." if told != path.stem else path.stem
    return {"data": f"data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()}", "caption": caption}
