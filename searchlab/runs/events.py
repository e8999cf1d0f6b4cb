"""What happens during a run, as values: a study emits events, and records and displays handle them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

from searchlab.runs.secrets import mask

if TYPE_CHECKING:  # the process that writes the record needs no NumPy
    from searchlab.metrics import Goal
    from searchlab.runs.trials import State

Scalar: TypeAlias = bool | int | float | str | None
Phase: TypeAlias = Literal["start", "search", "finalists", "winner", "record"]


@dataclass(frozen=True)
class PhaseStarted:
    """A run has entered a phase; the first phase comes before any trial.

    Attributes:
        phase: "start" (Ray, data and the record are prepared), "search", "finalists" (the best trials are run again),
            "winner" (refit, test, export) or "record" (figures, report, and the end of the record in MLflow).
        sweep: Name of the sweep.
        trials: Number of trials requested; in the phase "finalists", of those that are run again.
        metric: Name of the primary metric.
        goal: Direction of the primary metric, "max" or "min".
    """

    phase: Phase
    sweep: str
    trials: int
    metric: str
    goal: Goal


@dataclass(frozen=True)
class TrialStarted:
    """A trial has started.

    Attributes:
        trial: Number of the trial, from 0.
        parameters: Suggested values by path, such as {"model.hidden": 64}.
        time: When it started, in seconds since 1970.
    """

    trial: int
    parameters: Mapping[str, Scalar]
    time: float


@dataclass(frozen=True)
class EpochFinished:
    """A trial has finished an epoch.

    Attributes:
        trial: Number of the trial.
        epoch: Number of the epoch, from 1.
        scores: Score of the primary metric on the held-out rows, one per fold.
        losses: Mean training loss in nats (or the loss's own unit), one per fold.
        time: When the epoch ended, in seconds since 1970.
        other_scores: One sequence of scores per fold for each metric after the primary one.
        held_out_losses: Mean loss on the held-out rows, one per fold; empty where it was not measured.
        training_scores: Score of the primary metric on a sample of the training rows, one per fold; empty where it was
            not measured.
    """

    trial: int
    epoch: int
    scores: Sequence[float]
    losses: Sequence[float]
    time: float
    other_scores: Sequence[Sequence[float]] = ()
    held_out_losses: Sequence[float] = ()
    training_scores: Sequence[float] = ()


@dataclass(frozen=True)
class TrialFinished:
    """A trial has ended.

    Attributes:
        trial: Number of the trial.
        state: "COMPLETE", "PRUNED", "FAIL" or "INFEASIBLE".
        value: Mean over folds at the best epoch; None where no epoch was reached.
        epoch: The best epoch, from 1; None where no epoch was reached.
        reason: Why the trial was pruned, failed or is infeasible; None for a complete trial.
        seconds: Training time in seconds.
        time: When it ended, in seconds since 1970.
        other_values: Values of the metrics after the primary one, at the same epoch.
        traceback: Traceback of the exception in its code that failed it; None otherwise.
        overfitted: Whether its held-out score fell while the gap to its score on training rows grew.
    """

    trial: int
    state: State
    value: float | None
    epoch: int | None
    reason: str | None
    seconds: float
    time: float
    other_values: Sequence[float] = ()
    traceback: str | None = None
    overfitted: bool = False


@dataclass(frozen=True)
class Message:
    """A line for whoever watches the run; no trial's result depends on it."""

    text: str


Event: TypeAlias = PhaseStarted | TrialStarted | EpochFinished | TrialFinished | Message
_KINDS: Mapping[str, type[Event]] = {
    kind.__name__: kind for kind in (PhaseStarted, TrialStarted, EpochFinished, TrialFinished, Message)
}


class EventHandler(Protocol):
    """An object that records or displays the events of a run.

    For each trial the events come in the order TrialStarted, EpochFinished 1, 2, ..., TrialFinished.
    """

    def handle(self, event: Event) -> None:
        """Take in an event and return at once; an event that is handled twice has the effect of one."""


class NullHandler:
    """An event handler that ignores every event."""

    def handle(self, event: Event) -> None:
        """Ignore the event."""


class EventBuffer:
    """An event handler that keeps events until they are drained; it may be drained from any thread."""

    def __init__(self) -> None:
        self._events: deque[Event] = deque()  # never replaced by another: a thread may be appending to it

    def handle(self, event: Event) -> None:
        """Keep the event."""
        self._events.append(event)

    def drain(self) -> list[Event]:
        """Return the events since the last call, in order, and forget them."""
        return [self._events.popleft() for _ in range(len(self._events))]


def forward(events: Iterable[Event], handler: EventHandler) -> None:
    """Pass events on to a handler, in order."""
    for event in events:
        handler.handle(event)


def masked(event: Event) -> Event:
    """Return the event without secrets of the environment in its text."""
    match event:
        case Message():
            return Message(mask(event.text))
        case TrialFinished(reason=str(reason)):
            return replace(event, reason=mask(reason))
    return event


def to_json(event: Event) -> tuple[str, dict[str, Any]]:
    """Return the name of the event's class and its fields as JSON values."""
    return type(event).__name__, {field.name: _to_json(getattr(event, field.name)) for field in fields(event)}


def from_json(name: str, values: Mapping[str, Any]) -> Event | None:
    """Return the event that `to_json` gave these values for; None where the name is not an event's."""
    kind = _KINDS.get(name)
    return kind(**values) if kind else None


def _to_json(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    return [_to_json(item) for item in value] if isinstance(value, (list, tuple)) else value
