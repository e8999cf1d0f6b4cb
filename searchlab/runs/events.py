"""The tracker: what a study tells whoever keeps the record, and two that keep it in memory or not at all."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeAlias

Scalar: TypeAlias = bool | int | float | str | None
Event: TypeAlias = tuple[str, dict[str, Any]]  # a method of Tracker and its keyword arguments, in JSON's values


@dataclass(frozen=True)
class Ending:
    """How a trial ended: COMPLETE, PRUNED, FAIL or INFEASIBLE; its value and the epoch that reached it, or the reason.

    `seconds` is what it trained for, `time` when it ended, in seconds since 1970; `others` are the values of the
    metrics after the first, at the same epoch.
    """

    state: str
    value: float | None
    epoch: int | None
    reason: str | None
    seconds: float
    time: float
    others: Sequence[float] = ()


class Tracker(Protocol):
    """Whoever keeps the record. Calls return at once and may be repeated: the same event twice is recorded once.

    Times are in seconds since 1970. Within a trial the calls come in the order start, log of epoch 1, 2, .., finish.
    """

    def start(self, trial: int, parameters: Mapping[str, Scalar], time: float) -> None:
        """A trial has begun with these parameters by path."""

    def log(
        self,
        trial: int,
        epoch: int,
        scores: Sequence[float],
        losses: Sequence[float],
        time: float,
        others: Sequence[Sequence[float]] = (),
    ) -> None:
        """An epoch, counted from 1, gave one score and one training loss per fold.

        `others` has one score per fold for each metric after the first.
        """

    def finish(self, trial: int, ending: Ending) -> None:
        """A trial has ended."""

    def note(self, text: str) -> None:
        """Something to be told to whoever watches; no trial's outcome depends on it."""


@dataclass(frozen=True)
class SweepRecord:
    """What the record of a sweep begins with.

    `home` is the folder of the embedded store's locks and artifacts. `study` tells searches of one name apart, as
    when two people run the same sweep file against one server. `params` are what the sweep began with, and stay;
    `tags` may change when it is resumed; `files` are logged at once. `metric` is the primary one, `others` the names
    of the further ones.
    """

    name: str
    metric: str
    goal: str
    home: Path
    params: Mapping[str, str]
    tags: Mapping[str, str]
    files: Sequence[Path] = ()
    study: str = ""
    others: Sequence[str] = ()


class Buffer:
    """A tracker that remembers what it was told, to be handed on later or elsewhere; drained from any thread."""

    def __init__(self) -> None:
        self._events: deque[Event] = deque()  # never exchanged for another: somebody may be about to append to it

    def start(self, trial: int, parameters: Mapping[str, Scalar], time: float) -> None:
        """Remember that a trial has begun."""
        self._events.append(("start", {"trial": trial, "parameters": dict(parameters), "time": time}))

    def log(
        self,
        trial: int,
        epoch: int,
        scores: Sequence[float],
        losses: Sequence[float],
        time: float,
        others: Sequence[Sequence[float]] = (),
    ) -> None:
        """Remember an epoch."""
        self._events.append(("log", {"trial": trial, "epoch": epoch, "time": time, **by_fold(scores, losses, others)}))

    def finish(self, trial: int, ending: Ending) -> None:
        """Remember how a trial has ended."""
        self._events.append(("finish", {"trial": trial, **vars(ending), "others": list(ending.others)}))

    def note(self, text: str) -> None:
        """Remember what is to be told."""
        self._events.append(("note", {"text": text}))

    def drain(self) -> list[Event]:
        """What was told since the last time, in order; forgotten here."""
        return [self._events.popleft() for _ in range(len(self._events))]


def by_fold(
    scores: Sequence[float], losses: Sequence[float], others: Sequence[Sequence[float]]
) -> dict[str, list[Any]]:
    """What an epoch gave, as JSON values under the names that `Tracker.log` has for them."""
    told: dict[str, list[Any]] = {"scores": list(map(float, scores)), "losses": list(map(float, losses))}
    return told | ({"others": [list(map(float, folds)) for folds in others]} if others else {})


def replay(events: Iterable[Event], tracker: Tracker) -> None:
    """Tell a tracker what a buffer was told."""
    for method, arguments in events:
        if method == "finish":
            tracker.finish(arguments["trial"], Ending(**{k: v for k, v in arguments.items() if k != "trial"}))
        else:
            getattr(tracker, method)(**arguments)


class NoRecord:
    """A recorder that keeps nothing, for comparisons of speed and tests that want no MLflow."""

    run_id = ""

    def start(self, trial: int, parameters: Mapping[str, Scalar], time: float) -> None:
        """Nothing."""

    def log(
        self,
        trial: int,
        epoch: int,
        scores: Sequence[float],
        losses: Sequence[float],
        time: float,
        others: Sequence[Sequence[float]] = (),
    ) -> None:
        """Nothing."""

    def finish(self, trial: int, ending: Ending) -> None:
        """Nothing."""

    def note(self, text: str) -> None:
        """Nothing."""

    def artifact(self, path: Path, folder: str = "") -> None:
        """Nothing."""

    def conclude(self, state: str, metrics: Mapping[str, float], tags: Mapping[str, str]) -> str:
        """Nothing; there is no run, so its id is empty."""
        return self.run_id

    def close(self) -> None:
        """Nothing."""
