"""The content of a report as plain values, and its rendering as one HTML file to be mailed, printed and archived."""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from searchlab.monitor.reasons import ReasonCount
from searchlab.reporting import formats
from searchlab.reporting.pruning_savings import PruningSavings
from searchlab.reporting.svg_charts import StepChart
from searchlab.reporting.winner_choice import optimism_text, search_choice, tie_text
from searchlab.runs.events import Scalar
from searchlab.runs.secrets import masker
from searchlab.space.byte_size import format_bytes

if TYPE_CHECKING:
    from jinja2 import Environment

    from searchlab.metrics import Goal

TEMPLATES = Path(__file__).with_name("templates")
CAPTIONS = {  # by the name of the figure's file, in the order in which figures are shown
    "learning-curves": "Learning curves of the best trials: mean over folds after each epoch ± one standard deviation; "
    "dashed, where it was measured, the score on a sample of training rows.",
    "optimization-history": "The score of every trial by its number, and the best score so far.",
    "pareto-front": "The complete trials by the first two metrics, and the Pareto front.",
    "fold-boxes": "Fold scores of the best trials.",
    "ranking": "The difference of each of the best trials to the best one, fold by fold, with 95% intervals.",
    "importance": "Importance of each parameter for being among the best trials, by Optuna's PED-ANOVA.",
    "parameter-scatter": "The score of each trial by each continuous parameter; pruned trials are hollow.",
    "parameter-heat-map": "Mean scores by two important parameters, of complete and pruned trials at equal epochs.",
    "parallel-coordinates": "The parameters of each trial, the most important ones first, and its score.",
    "predicted-numbers": "Predicted against true numbers of the test rows.",
    "confusion-matrix": "Predicted classes of the test rows by true class.",
    "misclassified-images": "The misclassified test images, those with the highest predicted probability first.",
    "decision-boundary": "Decision boundary of the winner.",
    "attention-maps": "Attention of the winner for five training rows.",
    "word-map": "Vectors of word classes in the winner, on their first two principal axes.",
    "layer-statistics": "Gradient norm and standard deviation of the outputs of each layer of the winner, on one batch "
    "of training rows, before its training and after each epoch.",
    "gradient-through-time": "Gradient norm of the winner by time steps before the last one.",
}
FILTERS = {
    "score": formats.score,
    "parameter_value": formats.parameter_value,
    "parameter_name": formats.parameter_name,
    "duration": formats.duration,
    "date_time": formats.date_time,
    "count": formats.count,
    "times": formats.times,
    "factors_text": formats.factors_text,
    "network_scores": formats.network_scores,
    "percent": formats.percent,
    "interval_text": formats.interval_text,
    "format_bytes": format_bytes,
}


@dataclass(frozen=True)
class TrialRow:
    """A trial as a row of a table.

    Attributes:
        number: Number of the trial.
        state: Its state as a word, such as "complete".
        score: Mean over folds at the best epoch, None where it has none.
        std: Standard deviation over folds at that epoch.
        others: Values of the metrics after the primary one at that epoch.
        epoch: The best epoch, from 1.
        epochs: Number of epochs trained.
        seconds: Training time in seconds.
        parameters: Values by path.
        reason: Why it was pruned, failed or is infeasible.
        options: Its parameters as `--set` options.
        python: Its parameters as an argument of `sweep.run`.
        overfitted: Whether its held-out score fell while the gap to its score on training rows grew.
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
    options: str
    python: str
    overfitted: bool = False


@dataclass(frozen=True, kw_only=True)
class Page:
    """The content of a report.

    Attributes:
        name: Name of the sweep.
        state: "finished", "failed", "interrupted" or "running".
        over: Which limit of the budget ended the search; None where all trials were run.
        requested: Number of trials requested.
        counts: Number of trials by state, as a word.
        metric: Name of the primary metric.
        goal: Its direction, "max" or "min".
        others: Direction of each metric after the primary one, by name.
        best: What `result.json` says of the winner; None while there is none.
        top: The best trials.
        front: The Pareto front, where there are several metrics.
        trials: All trials, as far as the table has room for them.
        omitted: Number of trials for which it has none.
        charts: The best score so far over time and over trials.
        pruning: What pruning saved; None where no trial was pruned.
        failures: Reasons of failed and infeasible trials, by state.
        tracebacks: Traceback of the first trial of each reason, by its number, where an exception failed it.
        settings: The parts of the sweep, as text.
        arguments: Domain or value of each argument by path, and whether it is searched.
        seconds: Duration of each phase.
        command: The command that starts the same run again.
        code_changes: Each change of the code while the sweep was run, as text.
        is_reproducible: Whether that command gives the same trials.
        origin: Versions, commit and checksums.
        places: Where everything is stored.
        created: When the sweep was created, in seconds since 1970.
        written: When the report was written, in seconds since 1970.
        figures: Paths of the figures, as PNG files.
        happened: What happened, in up to three sentences.
        artifact_bytes: Size of the winner's artifact, None without one.
        loading: Python code that loads the artifact; empty without one.
        dashboard: URL of the sweep's run on an MLflow server; None where the record is in a file or there is none.
        samples: What a language model, or a model of pairs of sequences, wrote after each epoch.
    """

    name: str
    state: str
    over: str | None
    requested: int
    counts: Mapping[str, int]
    metric: str
    goal: str
    others: Mapping[str, str]
    best: Mapping[str, Any] | None
    top: Sequence[TrialRow]
    front: Sequence[TrialRow]
    trials: Sequence[TrialRow]
    omitted: int
    charts: Sequence[StepChart]
    pruning: PruningSavings | None
    failures: Mapping[str, Sequence[ReasonCount]]
    tracebacks: Mapping[int, str]
    settings: Mapping[str, str]
    arguments: Mapping[str, tuple[str, bool]]
    seconds: Mapping[str, float]
    command: str
    is_reproducible: bool
    origin: Mapping[str, str]
    places: Mapping[str, str]
    created: float
    written: float
    figures: Sequence[Path] = ()
    samples: str | None = None
    code_changes: Sequence[str] = ()
    happened: Sequence[str] = ()
    artifact_bytes: int | None = None
    loading: str = ""
    dashboard: str | None = None

    @property
    def finalists(self) -> Sequence[Mapping[str, Any]]:
        """What `result.json` says of the trials that were run again, the winner first."""
        finalists: Sequence[Mapping[str, Any]] = (self.best or {}).get("finalists", ())
        return finalists

    @property
    def finalist(self) -> Mapping[str, Any] | None:
        """The winner as it was run again; None where it was not."""
        winner = (self.best or {}).get("trial")
        return next((each for each in self.finalists if each["trial"] == winner and each["scores"]), None)

    @property
    def search_choice(self) -> str:
        """What the winner's score in the search has to do with the choice of it, as a relative clause."""
        best, goal = self.best or {}, cast("Goal", self.goal)
        return search_choice(best.get("score") or 0.0, [each["search_score"] for each in self.finalists], goal)

    @property
    def tie(self) -> str:
        """That the winner is one of several tied finalists, and why it won; empty where it is not."""
        return tie_text((self.best or {}).get("trial", -1), self.finalists)

    @property
    def optimism(self) -> str:
        """How the winner's score in the search compares with that of fresh seeds, as part of a sentence."""
        return optimism_text((self.best or {}).get("optimism") or 0.0)

    @property
    def winner_row(self) -> TrialRow | None:
        """The winner's row of a table; None where there is none."""
        winner = (self.best or {}).get("trial")
        return next((row for row in (*self.top, *self.trials) if row.number == winner), None)

    @property
    def training(self) -> str:
        """How the winner was trained, as part of a sentence."""
        best = self.best or {}
        return formats.winner_training(best.get("networks", 1), best.get("epoch") or 0)

    def columns(self, trials: Sequence[TrialRow]) -> dict[str, str]:
        """Return the heading of each parameter's column, by path: its last part, unless a trial has two of it."""
        paths = [[*trial.parameters] for trial in trials]
        counts = [Counter(map(formats.parameter_name, of_trial)) for of_trial in paths]
        ambiguous = {name for counted in counts for name, count in counted.items() if count > 1}
        headings = {path: formats.parameter_name(path) for of_trial in paths for path in of_trial}
        return {path: path if heading in ambiguous else heading for path, heading in headings.items()}

    def numeric_columns(self, trials: Sequence[TrialRow], columns: Mapping[str, str]) -> set[str]:
        """Return the headings of the columns that hold only numbers, which are right-aligned."""
        pairs = [pair for trial in trials for pair in trial.parameters.items()]
        with_text = {columns[path] for path, value in pairs if isinstance(value, (str, bool)) or value is None}
        return set(columns.values()) - with_text


def render(page: Page) -> str:
    """Return the page as HTML that loads nothing: figures, style, charts and a script are inside.

    The page's policy allows that script alone, by its checksum; the page is complete where no script runs.
    """
    from markupsafe import Markup

    script = (TEMPLATES / "report.js").read_text(encoding="utf-8")
    checksum = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    figures = [{"data": _data_url(path), "caption": _caption(path.stem)} for path in _ordered(page.figures)]
    return (
        template_environment()
        .get_template("report.html.j2")
        .render(
            page=page,
            figures=figures,
            script=Markup(script),  # noqa: S704, a file of this package
            script_checksum=checksum,
        )
    )


def template_environment() -> Environment:
    """Return Jinja's environment.

    It escapes every value, since a reason, a parameter or a path may hold any text, and masks secrets in it.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    mask = masker()
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: mask(value) if type(value) is str else value,  # not of macros, which are masked inside
    )
    environment.filters |= FILTERS
    return environment


def _ordered(figures: Sequence[Path]) -> list[Path]:
    """Return the figures of the search, then those of the winner, then those by parameter."""
    order = list(CAPTIONS)
    return sorted(figures, key=lambda path: (order.index(path.stem) if path.stem in order else 99, path.name))


def _caption(name: str) -> str:
    if name.startswith("by-"):
        return f"Scores by the value of {name.removeprefix('by-')}."
    return CAPTIONS.get(name, name)


def _data_url(path: Path) -> str:
    return f"data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()}"
