"""The course of one sweep: start, search, winner, record. It hears of every trial and passes it on."""

from __future__ import annotations

import importlib
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, Protocol

from threadpoolctl import threadpool_limits

from searchlab.engine.memory_limits import allowance
from searchlab.engine.refit import Refitting
from searchlab.errors import Interrupted, UserMistake, WorldFault
from searchlab.metrics import Goal
from searchlab.project import root_of
from searchlab.reporting.report import write_report
from searchlab.reporting.search_figures import save_search_figures
from searchlab.results.result import Result
from searchlab.results.winner import Winner, select_winner
from searchlab.results.winner_figures import save_winner_figures
from searchlab.runs.config import RunConfig
from searchlab.runs.events import Ending, SweepRecord, Tracker
from searchlab.runs.file_lock import FileLock, lock_holder_pid
from searchlab.runs.job import Job, PriorTrial, SearchResult
from searchlab.runs.provenance import provenance
from searchlab.runs.trials import TrialRecord, ended
from searchlab.runs.urls import without_password
from searchlab.runs.workspace import SweepFolder, Workspace
from searchlab.space.domains import Scalar
from searchlab.space.sweep import Sweep
from searchlab.study.warm_start import prior_trials_of
from searchlab.tracking.recorder import Recorder

ENGINES = {"tune": "ray_tune", "local": "local"}


class Watcher(Tracker, Protocol):
    """Whoever shows a run to a person: hears of every trial, and of the phases between."""

    def phase(self, name: str, order: RunConfig) -> None:
        """The run enters "start", "search" or "winner"."""


class SweepPipeline:
    """Carries out one sweep from where it stands to its end. As a tracker, it tells the watcher and the recorder."""

    def __init__(self, sweep: Sweep, order: RunConfig, home: Workspace, watcher: Watcher | None = None) -> None:
        self.sweep, self.order, self.watcher = sweep, order, watcher
        self.home, self.folder = home, home.sweep(order.name)
        self.uri = order.tracking_uri or home.tracking_uri
        self._resumed = self.folder.read("sweep") is not None
        self._trackers: tuple[Tracker, ...] = ()
        self._marks: list[tuple[str, float]] = []
        self._ended: float | None = None  # when a trial last did

    def run(self) -> Result:
        """Search until every trial has ended, crown the winner, and complete the record.

        Raises UserMistake when another process drives the sweep or its data are not those it was begun with, and
        WorldFault when it had to stop early.
        """
        self._enter("start")
        with _locked(self.folder):
            checksum = self._same_data()
            self.order.keep(self.folder)
            recorder = Recorder(self.uri, self._record(checksum))
            self._trackers = (*([self.watcher] if self.watcher else []), recorder)
            try:
                found, winner = self._found()
                result = self._conclude(found, winner, recorder)
            except Interrupted:
                with suppress(WorldFault):  # what the record lacks, the next run completes
                    recorder.conclude("KILLED", {}, {})
                raise
            except KeyboardInterrupt as error:
                name = self.order.name
                raise Interrupted(
                    f"{name!r} was broken off; what had ended is kept, and `searchlab resume {name}` goes on."
                ) from error
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

    def log(
        self,
        trial: int,
        epoch: int,
        scores: Sequence[float],
        losses: Sequence[float],
        time: float,
        others: Sequence[Sequence[float]] = (),
    ) -> None:
        """A trial has trained an epoch."""
        for tracker in self._trackers:
            tracker.log(trial, epoch, scores, losses, time, others)

    def finish(self, trial: int, ending: Ending) -> None:
        """A trial has ended; the last to do so ends the search, and not the engine's clearing up."""
        self._ended = time.perf_counter()
        for tracker in self._trackers:
            tracker.finish(trial, ending)

    def note(self, text: str) -> None:
        """Something to be told to whoever watches."""
        for tracker in self._trackers:
            tracker.note(text)

    def _found(self) -> tuple[SearchResult, Winner | None]:
        """What the search brought, and the winner."""
        engine, job = self._engine(), self._job()
        with engine.session(job):
            found: SearchResult = engine.search(job, self)
            self._all_there(found)
            self._enter("winner")
            return found, self._crown(found.trials, partial(engine.refit, job))

    def _conclude(self, found: SearchResult, winner: Winner | None, recorder: Recorder) -> Result:
        """Draw the pictures, write the report, and close the record."""
        trials, metric = found.trials, self.sweep.primary
        others: dict[str, Goal] = {other.name: other.goal for other in self.sweep.metrics[1:]}
        figures = self._draw_figures(trials, winner, others)
        for figure in figures:
            recorder.artifact(figure, "figures")
        scores: dict[str, float] = {}
        if winner:
            recorder.artifact(winner.artifact, "winner")
            if winner.samples:
                recorder.artifact(winner.samples, "samples")
            for name, value in zip((metric.name, *others), winner.trial.values, strict=True):
                scores |= {f"best_{name}": value, f"test_{name}": winner.test_scores[name]}
                scores[f"test_{name}_float16"] = winner.artifact_scores[name]
        tags = {"searchlab.winner": str(winner.trial.number) if winner else "none", "searchlab.over": found.over or ""}
        order = self.order
        draft = Result(
            order.name,
            tuple(trials),
            order.trials,
            winner,
            metric.name,
            metric.goal,
            self._seconds(),
            without_password(self.uri),
            None,
            figures,
            others,
            found.over,
        )
        report = write_report(order, self.home, trials, "finished" if winner else "failed", draft.plain(), figures)
        recorder.artifact(report, "report")
        run_id = recorder.conclude(draft.state, scores, tags)
        return replace(draft, seconds=self._seconds(), run_id=run_id, report=report)

    def _draw_figures(
        self, trials: Sequence[TrialRecord], winner: Winner | None, others: Mapping[str, Goal]
    ) -> tuple[Path, ...]:
        metric, folder = self.sweep.primary, self.folder.figures
        drawn = save_search_figures(trials, metric.name, metric.goal, folder, others)
        return drawn + (save_winner_figures(winner, folder) if winner else ())

    def _crown(self, trials: list[TrialRecord], refit: Refitting) -> Winner | None:
        if not any(trial.value is not None for trial in trials):
            return None
        about, order = {"versions": provenance(self._root()), "created": time.time()}, self.order
        with threadpool_limits(self.sweep.resources.threads):
            return select_winner(
                self.sweep, trials, self.folder, seed=order.seed, device=order.device, about=about, refit=refit
            )

    def _engine(self) -> Any:
        return importlib.import_module(f"searchlab.engine.{ENGINES[self.order.engine]}")

    def _all_there(self, found: SearchResult) -> None:
        counted = [trial for trial in ended(found.trials) if self.sweep.counts(trial.state)]
        done, name = len(counted), self.order.name
        told = f"{done} of {self.order.trials} trials ended; they are kept, and `searchlab resume {name}` goes on"
        if found.paused and not found.over:
            raise Interrupted(f"{name!r} was stopped with {told} with the rest from where it was.")
        if done < self.order.trials and not found.over:
            raise WorldFault(f"{name!r} was stopped with {told} with the rest.")

    def _job(self) -> Job:
        order, folder = self.order, self.folder
        workers = order.workers if order.engine == "tune" else 1
        elsewhere = (order.address or "").startswith("ray://")  # the study's process is not on this machine
        return Job(
            self.sweep, order.name, order.storage or folder.study, order.checkpoints_of(folder), order.trials,
            order.seed, order.fuse, order.workers, order.device, order.address, self._root(),
            allowance(order.memory, self.sweep.resources, order.device, workers, order.address),
            order.generation, self._known(), order.first, order.id,
            lock=None if elsewhere else folder.path / "study.lock", ship_data=order.ship_data,
        )  # fmt: skip

    def _known(self) -> Sequence[PriorTrial]:
        """What the sampler learns from an earlier sweep; once this one is begun, its study has it."""
        name = self.order.warm_start
        if not name or self.folder.study.exists():
            return ()
        with suppress(*([UserMistake] if self._resumed else [])):  # the earlier sweep may be gone by now
            return prior_trials_of(self.home, name, self.sweep)
        return ()

    def _root(self) -> Path:
        if self.order.address and self.folder.project.exists():
            return self.folder.project
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
        metric, others = sweep.primary, [other.name for other in sweep.metrics[1:]]
        return SweepRecord(order.name, metric.name, metric.goal, self.home.path, params, tags, files, order.id, others)

    def _enter(self, phase: str) -> None:
        since = self._ended if phase == "winner" and self._ended else time.perf_counter()
        self._marks.append((phase, since))
        if self.watcher:
            self.watcher.phase(phase, self.order)

    def _seconds(self) -> dict[str, float]:
        """Seconds of each phase up to now, and in total."""
        marks = [*self._marks, ("end", time.perf_counter())]
        phases = {name: later - begun for (name, begun), (_, later) in pairwise(marks)}
        return {"total": marks[-1][1] - marks[0][1], "start": 0.0, "search": 0.0, "winner": 0.0, **phases}


@contextmanager
def _locked(folder: SweepFolder) -> Iterator[None]:
    """Hold the sweep's lock for the length of the block; raises UserMistake when another process drives it."""
    folder.path.mkdir(parents=True, exist_ok=True)
    try:
        lock = FileLock(folder.lock, wait=1.0)
    except BlockingIOError as error:
        raise UserMistake(
            f"{folder.name!r} is being run by process {lock_holder_pid(folder.lock)}; one at a time."
        ) from error
    try:
        yield
    finally:
        lock.release()
