"""Checkpoints: the latest state of each group in training, from which any worker can continue the group."""

from __future__ import annotations

import io
import json
import time
import zipfile
from collections.abc import Container
from dataclasses import dataclass, fields
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np

from searchlab.backend import Array
from searchlab.engine.blob_store import open_blob_store, unavailable_reason
from searchlab.fusion.groups import Group
from searchlab.runs.retry import RetryPolicy
from searchlab.training import EpochReport

MAX_TIME_SHARE = 0.05  # fraction of a worker's time that may go into writing checkpoints
STORE_TIMEOUT = 60.0  # seconds that an outage of the store may last


@dataclass(frozen=True)
class Checkpoint:
    """The state of a group after an epoch.

    Attributes:
        trials: Numbers of the trials that are still trained.
        reports: Every report so far, each with the trials that were trained in its epoch.
        state: The trainer's arrays by name, (replicas, ...).
    """

    trials: tuple[int, ...]
    reports: tuple[tuple[tuple[int, ...], EpochReport], ...]
    state: dict[str, Array]

    @property
    def epoch(self) -> int:
        """The number of epochs trained."""
        return self.reports[-1][1].epoch

    def select(self, trials: Container[int]) -> Checkpoint | None:
        """Return the checkpoint with these of its trials only; None when it holds none of them."""
        positions = [position for position, number in enumerate(self.trials) if number in trials]
        if not positions:
            return None
        state = {}
        for name, array in self.state.items():
            by_trial = array.reshape(len(self.trials), -1, *array.shape[1:])  # (trials, folds, ...)
            state[name] = by_trial[positions].reshape(-1, *array.shape[1:])
        return Checkpoint(tuple(self.trials[position] for position in positions), self.reports, state)

    def merge(self, other: Checkpoint) -> Checkpoint:
        """Return one checkpoint of two groups of equal structure after the same epoch, this one's trials first."""
        state = {name: np.concatenate([array, other.state[name]]) for name, array in self.state.items()}
        return Checkpoint(self.trials + other.trials, (*other.reports, *self.reports), state)


class CheckpointStore:
    """The checkpoints of a sweep, one per group, each replaced as a whole.

    Args:
        location: A folder, or the URL of a bucket, s3://BUCKET/PREFIX.
        min_interval: Seconds between two checkpoints, at least; default 1.

    Raises:
        WorldFault: When the location cannot be used, or a store is unavailable for a minute.
    """

    def __init__(self, location: Path | str, min_interval: float = 1.0) -> None:
        self._blobs, self._min_interval = open_blob_store(location), min_interval
        advice = "the checkpoints in it are kept, and `searchlab resume` continues from them."
        self._retries = RetryPolicy(STORE_TIMEOUT, f"the store {location}", advice)
        self._next_due = time.monotonic() + min_interval

    def unavailable_reason(self) -> str | None:
        """Return why the store cannot be used; None when a small blob can be written, read and deleted."""
        return unavailable_reason(self._blobs)

    def is_due(self) -> bool:
        """Return whether enough time has passed that another checkpoint keeps to `MAX_TIME_SHARE`."""
        return time.monotonic() >= self._next_due

    def save(self, group: str, checkpoint: Checkpoint) -> None:
        """Save this as the latest state of the group with this id."""
        started = self._retries.call(lambda: self._write(group, checkpoint))
        now = time.monotonic()
        self._next_due = now + max(self._min_interval, (now - started) / MAX_TIME_SHARE)

    def load(self, group: str) -> Checkpoint | None:
        """Return the latest state of the group with this id; None when none can be read, and the group starts over."""
        content = self._retries.call(lambda: self._blobs.read(_blob_name(group)))
        if content is None:
            return None
        try:
            with np.load(io.BytesIO(content)) as arrays:
                meta = json.loads(arrays["meta"].tobytes())
                state = {name.removeprefix("state/"): arrays[name] for name in arrays.files if name != "meta"}
        except (ValueError, KeyError, zipfile.BadZipFile, EOFError):
            return None
        reports = tuple((tuple(trials), _report_from_json(report)) for trials, report in meta["reports"])
        return Checkpoint(tuple(meta["trials"]), reports, state)

    def load_group(self, group: Group) -> Checkpoint | None:
        """Return the latest state of this group's trials, which may be saved under the ids of the groups it merges.

        Of merged groups, only those after the latest epoch count; the trials of the others start over.
        """
        saved = self.load(group.id)
        if saved is None and group.merged_groups:
            loaded = [checkpoint for name in group.merged_groups if (checkpoint := self.load(name))]
            parts = [part for checkpoint in loaded if (part := checkpoint.select(group.trials))]
            latest = max((part.epoch for part in parts), default=0)
            parts = [part for part in parts if part.epoch == latest]
            saved = reduce(Checkpoint.merge, parts) if parts else None
        return saved and saved.select(group.trials)

    def delete(self, group: str) -> None:
        """Delete the state of the group with this id, if there is one."""
        self._retries.call(lambda: self._blobs.delete(_blob_name(group)))

    def _write(self, group: str, checkpoint: Checkpoint) -> float:
        """Write the checkpoint once; return when that started, so that the time of an outage does not count."""
        started = time.monotonic()
        reports = [(trials, _report_to_json(report)) for trials, report in checkpoint.reports]
        meta = json.dumps({"trials": checkpoint.trials, "reports": reports})
        arrays: dict[str, Any] = {f"state/{name}": array for name, array in checkpoint.state.items()}
        content = io.BytesIO()
        np.savez(content, allow_pickle=False, **arrays, meta=np.frombuffer(meta.encode(), dtype=np.uint8))
        self._blobs.write(_blob_name(group), content.getvalue())
        return started


def _blob_name(group: str) -> str:
    return f"{group}.npz"


def _report_to_json(report: EpochReport) -> dict[str, Any]:
    return {name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in vars(report).items()}


def _report_from_json(values: dict[str, Any]) -> EpochReport:
    names = [field.name for field in fields(EpochReport) if isinstance(values.get(field.name), list)]
    arrays = {name: np.array(values[name], dtype=np.float64) for name in names if name != "failures"}
    return EpochReport(**(values | arrays | {"failures": tuple(values["failures"])}))
