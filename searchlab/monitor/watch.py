"""A sweep watched through what is stored of it, whichever process runs it, until none does."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from searchlab.monitor.journal_tail import DatabaseTail, JournalTail
from searchlab.monitor.leaderboard import Leaderboard
from searchlab.monitor.snapshot import FINAL_STATES, Snapshot, SnapshotState
from searchlab.monitor.status import final_state
from searchlab.monitor.study_reader import open_study
from searchlab.runs.file_lock import lock_holder
from searchlab.runs.manifest import SweepManifest
from searchlab.runs.workspace import SweepFolder

PAUSE_RATIO = 9.0  # a pause lasts at least this many times as long as a read, which keeps to a tenth of one core


def watch_sweep(
    folder: SweepFolder, interval: float = 1.0, wait: float = 0.0, storage: Path | str | None = None
) -> Iterator[Snapshot]:
    """Yield a snapshot of the sweep whenever it has changed; the last one says how it ended.

    Args:
        folder: Folder of the sweep.
        interval: Seconds between two reads, at least.
        wait: Seconds for which the sweep may be missing, or interrupted and about to be resumed.
        storage: Where the study is, if not where the sweep's manifest says.

    Raises:
        UserMistake: When there is no sweep in the folder.
    """
    observer, last, deadline = SweepObserver(folder, storage), None, time.monotonic() + wait
    while True:
        began = time.monotonic()
        snapshot, is_waiting = observer.snapshot(), began < deadline
        if snapshot is None or (snapshot.state == "interrupted" and is_waiting):
            if not is_waiting:
                SweepManifest.load(folder)  # raises UserMistake
            snapshot = replace(snapshot or Snapshot(folder.name, "starting"), state="starting")
        elif snapshot.state in ("starting", "running"):
            deadline = began
        took = time.monotonic() - began if last else 0.0  # the first read is long and is not repeated
        if snapshot != last:
            yield snapshot
            last = snapshot
        if snapshot.state in FINAL_STATES:
            return
        time.sleep(max(interval, PAUSE_RATIO * took))


class SweepObserver:
    """A reader of one sweep that keeps what it has read for the next snapshot."""

    def __init__(self, folder: SweepFolder, storage: Path | str | None = None) -> None:
        self._folder, self._storage = folder, storage
        self._manifest: SweepManifest | None = None
        self._manifest_time = -1  # when the manifest was written, in nanoseconds
        self._study: JournalTail | DatabaseTail | None = None

    def snapshot(self) -> Snapshot | None:
        """Return the state of the sweep; None while it does not exist and no process is about to create it."""
        is_running = lock_holder(self._folder.lock) is not None  # first: once the lock is free, the rest is final
        manifest = self._read_manifest()
        if manifest is None:
            return Snapshot(self._folder.name, "starting") if is_running else None
        if self._study is None:
            storage = self._storage or manifest.study_storage(self._folder)
            self._study = open_study(storage, manifest.name, manifest.goal)
        board = self._study.read()
        is_running = is_running or lock_holder(self._folder.lock) is not None  # it may have been resumed since
        state: SnapshotState = "running" if board.started else "starting"
        if not is_running:
            state = final_state(self._folder, manifest.trials, board.ended)
        return self._fill(manifest, board, state)

    def _read_manifest(self) -> SweepManifest | None:
        """Return the manifest, read again when the sweep was extended."""
        with suppress(FileNotFoundError):
            written = (self._folder.path / "sweep.json").stat().st_mtime_ns
            if written != self._manifest_time:
                self._manifest, self._manifest_time = SweepManifest.load(self._folder), written
        return self._manifest

    def _fill(self, manifest: SweepManifest, board: Leaderboard, state: SnapshotState) -> Snapshot:
        result = (self._folder.read("result") or {}) if state in ("finished", "failed") else {}
        lock, now = self._folder.lock, time.time()
        since = lock.stat().st_mtime if lock.exists() else manifest.created  # the lock file is written when it is taken
        until = board.last_change if state in FINAL_STATES else now
        snapshot = Snapshot(
            sweep=manifest.name,
            state=state,
            requested=manifest.trials,
            metric=manifest.metric,
            goal=manifest.goal,
            over=result.get("over"),
            seconds=result["seconds"]["total"] if result else max(0.0, until - since),
        )
        filled, budget = board.fill(snapshot, since, now), manifest.config.values.get("budget.seconds")
        if budget and filled.seconds_left is not None:
            return replace(filled, seconds_left=min(filled.seconds_left, max(0.0, budget - filled.seconds)))
        return filled
