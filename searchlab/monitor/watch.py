"""Watches a sweep from what is stored, whoever drives it, until nobody does any more."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from searchlab.monitor.journal_tail import DatabaseReader, JournalTail
from searchlab.monitor.leaderboard import Leaderboard
from searchlab.monitor.snapshot import OVER, Snapshot, Stage
from searchlab.monitor.status import final_state
from searchlab.runs.config import RunConfig
from searchlab.runs.file_lock import lock_holder
from searchlab.runs.workspace import SweepFolder

REST = 9.0  # times as long as a look takes the next one waits at least: to look costs a tenth of one core at most


def snapshots(
    folder: SweepFolder, interval: float = 1.0, wait: float = 0.0, storage: Path | str | None = None
) -> Iterator[Snapshot]:
    """How the sweep stands, whenever that has changed; the last one tells how it ended.

    For up to `wait` seconds it may be missing, or interrupted and about to be gone on with. `storage` is where its
    study is, None for where its order says. Raises UserMistake when no sweep has this name.
    """
    sight, last, patience = SweepObserver(folder, storage), None, time.monotonic() + wait
    while True:
        began = time.monotonic()
        seen, waits = sight.look(), began < patience
        if seen is None or (seen.state == "interrupted" and waits):
            if not waits:
                RunConfig.of(folder)  # raises
            seen = replace(seen or Snapshot(folder.name, "starting"), state="starting")
        elif seen.state in ("starting", "running"):
            patience = began
        took = time.monotonic() - began if last else 0.0  # the first look reads all there is
        if seen != last:
            yield seen
            last = seen
        if seen.state in OVER:
            return
        time.sleep(max(interval, REST * took))


class SweepObserver:
    """A sweep seen from outside; what was read of it is kept between two looks."""

    def __init__(self, folder: SweepFolder, storage: Path | str | None = None) -> None:
        self._folder, self._storage = folder, storage
        self._order: RunConfig | None = None
        self._written = -1  # when its order was, in nanoseconds
        self._study: JournalTail | DatabaseReader | None = None

    def look(self) -> Snapshot | None:
        """How it stands now; None while there is no such sweep, and nobody is about to begin it."""
        driven = lock_holder(self._folder.lock) is not None  # first: when it is free, all that follows is final
        order = self._read_order()
        if order is None:
            return Snapshot(self._folder.name, "starting") if driven else None
        self._study = self._study or self._open(order)
        board = self._study.read()
        driven = driven or lock_holder(self._folder.lock) is not None  # or somebody has gone on with it meanwhile
        state: Stage = "running" if board.begun else "starting"
        if not driven:
            state = final_state(self._folder, order.trials, board.ended)
        return self._snapshot(order, board, state)

    def _read_order(self) -> RunConfig | None:
        """What was asked for; it may be extended."""
        with suppress(FileNotFoundError):
            written = (self._folder.path / "sweep.json").stat().st_mtime_ns
            if written != self._written:
                self._order, self._written = RunConfig.of(self._folder), written
        return self._order

    def _open(self, order: RunConfig) -> JournalTail | DatabaseReader:
        storage = self._storage or order.storage or self._folder.study
        if isinstance(storage, Path):
            return JournalTail(storage, order.goal)
        return DatabaseReader(storage, order.name, order.goal)

    def _snapshot(self, order: RunConfig, board: Leaderboard, state: Stage) -> Snapshot:
        result = (self._folder.read("result") or {}) if state in ("finished", "failed") else {}
        lock, now = self._folder.lock, time.time()
        since = lock.stat().st_mtime if lock.exists() else order.created  # it is written when it is taken
        seconds = result["seconds"]["total"] if result else (board.latest if state in OVER else now) - since
        drawn = Snapshot(
            order.name, state, order.trials, metric=order.metric, goal=order.goal, over=result.get("over"),
            seconds=max(0.0, seconds),
        )  # fmt: skip
        filled, budget = board.fill(drawn, since, now), order.values.get("budget.seconds")
        if budget and filled.left is not None:
            return replace(filled, left=min(filled.left, max(0.0, budget - filled.seconds)))
        return filled
