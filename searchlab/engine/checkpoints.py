"""The latest state of each group at work, kept so that whoever takes the group up again goes on from there."""

from __future__ import annotations

import io
import json
import time
import zipfile
from collections.abc import Container
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np

from searchlab.backend import Array
from searchlab.engine.blob_store import blob_store_at, unavailable_reason
from searchlab.fusion.groups import Group
from searchlab.runs.retry import RetryPolicy
from searchlab.training import EpochReport

SHARE = 0.05  # of the time may go into writing checkpoints
PATIENCE = 60.0  # seconds that a store which went away is waited for


@dataclass(frozen=True)
class Checkpoint:
    """A group after some epochs: which trials it still held, every report so far, and the trainer's arrays."""

    trials: tuple[int, ...]
    reports: tuple[tuple[tuple[int, ...], EpochReport], ...]  # the trials at work in that epoch, and what it gave
    state: dict[str, Array]

    @property
    def epoch(self) -> int:
        """Epochs trained."""
        return self.reports[-1][1].epoch

    def of(self, trials: Container[int]) -> Checkpoint | None:
        """What it holds of these trials; None when that is nothing. Every array has the replicas in order as axis 0."""
        left = [at for at, number in enumerate(self.trials) if number in trials]
        if not left:
            return None
        state = {}
        for name, array in self.state.items():
            by_trial = array.reshape(len(self.trials), -1, *array.shape[1:])  # (trials, folds, ...)
            state[name] = by_trial[left].reshape(-1, *array.shape[1:])
        return Checkpoint(tuple(self.trials[at] for at in left), self.reports, state)

    def beside(self, other: Checkpoint) -> Checkpoint:
        """Both as one: two groups of a structure after as many epochs, the trials of this one first."""
        state = {name: np.concatenate([array, other.state[name]]) for name, array in self.state.items()}
        return Checkpoint(self.trials + other.trials, (*other.reports, *self.reports), state)


class Checkpoints:
    """One piece per group, each replaced whole, in a folder or a bucket: a path, or a URL like s3://BUCKET/PREFIX.

    Raises WorldFault when the place cannot be used, or a store stays away for a minute.
    """

    def __init__(self, place: Path | str, least_seconds: float = 1.0) -> None:
        self._shelf, self.least_seconds = blob_store_at(place), least_seconds
        self._patience = RetryPolicy(
            PATIENCE, f"the store {place}", "the checkpoints in it are kept, and `searchlab resume` goes on from there."
        )
        self._next = time.monotonic() + least_seconds

    def unavailable_reason(self) -> str | None:
        """Why the place cannot be used; None where a small piece can be written, read back and dropped."""
        return unavailable_reason(self._shelf)

    def due(self) -> bool:
        """Whether enough time has passed for writing to cost at most a twentieth of it."""
        return time.monotonic() >= self._next

    def save(self, group: str, checkpoint: Checkpoint) -> None:
        """Keep this as the group's latest state."""
        started = self._patience.call(lambda: self._write(group, checkpoint))
        now = time.monotonic()
        self._next = now + max(self.least_seconds, (now - started) / SHARE)

    def load(self, group: str) -> Checkpoint | None:
        """The group's latest state; None when there is none that can be read, and the group starts over."""
        content = self._patience.call(lambda: self._shelf.read(_name(group)))
        if content is None:
            return None
        try:
            with np.load(io.BytesIO(content)) as packed:
                meta = json.loads(packed["meta"].tobytes())
                state = {name.removeprefix("state/"): packed[name] for name in packed.files if name != "meta"}
        except (ValueError, KeyError, zipfile.BadZipFile, EOFError):
            return None
        reports = tuple((tuple(trials), _report(report)) for trials, report in meta["reports"])
        return Checkpoint(tuple(meta["trials"]), reports, state)

    def of(self, group: Group) -> Checkpoint | None:
        """What is kept of a group's trials, be it under the names of the groups that it brings together.

        Of parts that have not trained as long as the longest, nothing is: they start over by themselves.
        """
        saved = self.load(group.id)
        if saved is None and group.parts:
            found = [part for name in group.parts if (part := self.load(name)) and (part := part.of(group.trials))]
            latest = max((part.epoch for part in found), default=0)
            alike = [part for part in found if part.epoch == latest]
            saved = reduce(Checkpoint.beside, alike) if alike else None
        return saved and saved.of(group.trials)

    def drop(self, group: str) -> None:
        """Forget a group that has ended."""
        self._patience.call(lambda: self._shelf.drop(_name(group)))

    def _write(self, group: str, checkpoint: Checkpoint) -> float:
        """Write it once; when that began. The time that a store was away is no cost of writing."""
        started = time.monotonic()
        meta = {"trials": checkpoint.trials, "reports": [(trials, _plain(r)) for trials, r in checkpoint.reports]}
        packed = io.BytesIO()
        text = np.frombuffer(json.dumps(meta).encode(), dtype=np.uint8)
        arrays: dict[str, Any] = {f"state/{name}": array for name, array in checkpoint.state.items()}
        np.savez(packed, allow_pickle=False, **arrays, meta=text)
        self._shelf.write(_name(group), packed.getvalue())
        return started


def _name(group: str) -> str:
    return f"{group}.npz"


def _plain(report: EpochReport) -> dict[str, Any]:
    return {name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in vars(report).items()}


def _report(plain: dict[str, Any]) -> EpochReport:
    """The report again; one written before there were several metrics has no others."""
    arrays = {name: np.array(plain[name], dtype=np.float64) for name in ("loss", "score", "others") if name in plain}
    return EpochReport(**(plain | arrays | {"failures": tuple(plain["failures"])}))
