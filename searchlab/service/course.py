"""The course of one sweep: start, search, winner, record. It hears of every trial and passes it on."""

from __future__ import annotations

import importlib
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Protocol

from threadpoolctl import threadpool_limits

from searchlab.errors import UserMistake, WorldFault
from searchlab.service.home import Home, Lock, SweepFolder, holder
from searchlab.service.job import Job
from searchlab.service.order import Order
from searchlab.service.pictures import save_pictures
from searchlab.service.records import TrialRecord, ended
from searchlab.service.result import Result
from searchlab.service.room import allowance
from searchlab.service.winner import Winner, crown
from searchlab.sweep.domains import Scalar
from searchlab.sweep.file import root_of
from searchlab.sweep.sweep import Sweep
from searchlab.tracking.process import Recorder
from searchlab.tracking.provenance import provenance
from searchlab.tracking.tracker import Ending, SweepRecord, Tracker


class Watcher(Tracker, Protocol):
    """Whoever shows a run to a person: hears of every trial, and of the phases between."""

    def phase(self, name: str, order: Order) -> None:
        """The run enters "start", "search" or "winner"."""


class Course:
    """Carries out one sweep from where it stands to its end. As a tracker, it tells the watcher and the recorder."""

    def __init__(self, sweep: Sweep, order: Order, home: Home, watcher: Watcher | None = None) -> None:
        self.sweep, self.order, self.watcher = sweep, order, watcher
        self.home, self.folder = home, home.sweep(order.name)
        self.uri = order.tracking_uri or home.tracking_uri
        self._trackers: tuple[Tracker, ...] = ()
        self._marks: list[tuple[str, float]] = []

    def carry_out(self) -> Result:
        """Search until every trial has ended, crown the winner, and complete the record.

        Raises UserMistake when another process drives the sweep or its data are not those it was begun with, and
        WorldFault when it had to stop early.
        """
        self._enter("start")
        with _claimed(self.folder):
            checksum = self._same_data()
            self.order.keep(self.folder)
            recorder = Recorder(self.uri, self._record(checksum))
            self._trackers = (*([self.watcher] if self.watcher else []), recorder)
            try:
                engine = importlib.import_module(f"searchlab.service.{self.order.engine}")
                trials: list[TrialRecord] = engine.search(self._job(), self)
                self._all_there(trials)
                self._enter("winner")
                result = self._conclude(trials, recorder)
            finally:
                recorder.close()
            self.folder.write("result", result.plain())
        return result

    def start(self, trial: int, parameters: Mapping[str, Scalar], time: float) -> None:
        """A trial has begun; the first to do so begins the search."""
        if self._marks[-1][0] == "start":
            self._enter("search")
        for tracker in self._trackers:
            tracker.start(trial, parameters, time)

    def log(self, trial: int, epoch: int, scores: Sequence[float], losses: Sequence[float], time: float) -> None:
        """A trial has trained an epoch."""
        for tracker in self._trackers:
            tracker.log(trial, epoch, scores, losses, time)

    def finish(self, trial: int, ending: Ending) -> None:
        """A trial has ended."""
        for tracker in self._trackers:
            tracker.finish(trial, ending)

    def note(self, text: str) -> None:
        """Something to be told to whoever watches."""
        for tracker in self._trackers:
            tracker.note(text)

    def _conclude(self, trials: list[TrialRecord], recorder: Recorder) -> Result:
        """Crown the winner, draw the pictures, and close the record."""
        metric, winner = self.sweep.metric, self._crown(trials)
        figures = save_pictures(trials, winner, metric.name, metric.goal, self.folder.figures)
        for figure in figures:
            recorder.artifact(figure, "figures")
        scores: dict[str, float] = {}
        if winner:
            recorder.artifact(winner.artifact, "winner")
            if winner.samples:
                recorder.artifact(winner.samples, "samples")
            scores = {f"best_{metric.name}": winner.trial.value or 0.0, f"test_{metric.name}": winner.test_score}
            scores[f"test_{metric.name}_float16"] = winner.artifact_score
        tags = {"searchlab.winner": str(winner.trial.number) if winner else "none"}
        run_id = recorder.conclude("FINISHED" if winner else "FAILED", scores, tags)
        order, seconds = self.order, self._seconds()
        return Result(
            order.name,
            tuple(trials),
            order.trials,
            winner,
            metric.name,
            metric.goal,
            seconds,
            self.uri,
            run_id,
            figures,
        )

    def _crown(self, trials: list[TrialRecord]) -> Winner | None:
        if not any(trial.state == "COMPLETE" for trial in trials):
            return None
        about = {"versions": provenance(self._root()), "created": time.time()}
        with threadpool_limits(1):
            return crown(self.sweep, trials, self.folder, seed=self.order.seed, device=self.order.device, about=about)

    def _all_there(self, trials: list[TrialRecord]) -> None:
        done, name = len(ended(trials)), self.order.name
        if done < self.order.trials:
            raise WorldFault(
                f"{name!r} was stopped with {done} of {self.order.trials} trials ended; they are kept, "
                f"and `searchlab resume {name}` goes on with the rest."
            )

    def _job(self) -> Job:
        order, folder = self.order, self.folder
        return Job(
            self.sweep, order.name, order.storage or folder.study, folder.checkpoints, order.trials, order.seed,
            order.fuse, order.workers, order.device, order.address, self._root(),
            allowance(order.memory, order.device, order.workers, order.engine, order.address),
        )  # fmt: skip

    def _root(self) -> Path:
        return root_of(Path(self.order.spec)) if self.order.spec else Path.cwd()

    def _same_data(self) -> str:
        """The checksum of the training rows: trials on other rows cannot be compared."""
        checksum, begun = self.sweep.data.training().checksum(), self.folder.read("data")
        if begun is None:
            self.folder.write("data", {"checksum": checksum})
        elif begun["checksum"] != checksum:
            raise UserMistake(
                f"the data of {self.order.name!r} have changed since it was begun; "
                "put the old ones back to go on, or run it under another name."
            )
        return checksum

    def _record(self, checksum: str) -> SweepRecord:
        """What the parent run says of the sweep."""
        order, sweep = self.order, self.sweep
        asked = {"seed": order.seed, "data": sweep.data, "validation": sweep.validation, "sampler": sweep.sampler}
        asked |= {"early_stopping": sweep.early_stopping} if sweep.early_stopping else {}
        arguments = {path: str(value) for path, value in order.description["arguments"].items()}
        found = provenance(self._root()).items()
        tags = {name if name.startswith("mlflow.") else f"searchlab.{name}": value for name, value in found}
        tags["searchlab.trials"] = str(order.trials)  # a tag, because a resumed sweep may be asked for more
        tags["searchlab.data_checksum"] = checksum
        tags["searchlab.fingerprint"] = order.fingerprint
        files = [Path(order.spec)] if order.spec else []
        params = {name: str(value) for name, value in asked.items()} | arguments
        metric = sweep.metric
        return SweepRecord(order.name, metric.name, metric.goal, self.home.path, params, tags, files, order.id)

    def _enter(self, phase: str) -> None:
        self._marks.append((phase, time.perf_counter()))
        if self.watcher:
            self.watcher.phase(phase, self.order)

    def _seconds(self) -> dict[str, float]:
        """Seconds of each phase up to now, and in total."""
        marks = [*self._marks, ("end", time.perf_counter())]
        phases = {name: later - begun for (name, begun), (_, later) in pairwise(marks)}
        return {"total": marks[-1][1] - marks[0][1], "start": 0.0, "search": 0.0, "winner": 0.0, **phases}


@contextmanager
def _claimed(folder: SweepFolder) -> Iterator[None]:
    """Hold the sweep's lock for the length of the block; raises UserMistake when another process drives it."""
    folder.path.mkdir(parents=True, exist_ok=True)
    try:
        lock = Lock(folder.lock, wait=1.0)
    except BlockingIOError as error:
        raise UserMistake(f"{folder.name!r} is being run by process {holder(folder.lock)}; one at a time.") from error
    try:
        yield
    finally:
        lock.release()
