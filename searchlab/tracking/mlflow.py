"""The MLflow record: one run per sweep, one child run per trial, written in batches; every write may be repeated."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from mlflow.entities import Metric

from searchlab.runs.events import EpochFinished, Event, TrialFinished, TrialStarted
from searchlab.space.metric_names import record_key
from searchlab.tracking.batches import log_batches
from searchlab.tracking.branches import joint_parameters
from searchlab.tracking.faults import is_permanent, reason_of
from searchlab.tracking.logged_model import log_model, read_manifest
from searchlab.tracking.model_registry import TestScore, register
from searchlab.tracking.parent_run import open_parent_run, tag_winner
from searchlab.tracking.run_names import parameters_text, trial_name
from searchlab.tracking.run_search import PARENT, find_trial_runs
from searchlab.tracking.saved_view import save_view
from searchlab.tracking.sqlite_runs import EndedRun, SqliteRuns
from searchlab.tracking.store import experiment_id, open_store, use_store
from searchlab.tracking.sweep_record import SweepRecord
from searchlab.tracking.sweep_series import SweepSeries
from searchlab.tracking.trial_runs import STATE_TAG, STATUS, PendingWrite, TrialRun, user, valid_params, valid_tags
from searchlab.tracking.trial_values import end_points, epoch_points, milliseconds

TRIALS_PER_CALL = 200  # in one transaction, which keeps others from writing for a fraction of a second
NAME = "mlflow.runName"


class MlflowRecord:
    """An event handler that writes to MLflow when `flush` is called.

    After all events are handled again from the beginning, it writes only what is missing. Runs are found by their tags,
    points by name and step; a trial's run that has ended is left alone. What `flush` could not write is kept for the
    next call. `on_write` is called after every trial and file that was written.
    """

    def __init__(self, uri: str, sweep: SweepRecord, time: float, on_write: Callable[[], None] = lambda: None) -> None:
        self.sweep, self.faults, self._on_write = sweep, list[str](), on_write
        self.client = open_store(uri, sweep.home)
        use_store(uri)
        self.experiment = experiment_id(self.client, uri, sweep.name, sweep.home)
        save_view(self.client, self.experiment, sweep, milliseconds(time))
        self.run_id = open_parent_run(self.client, self.experiment, sweep, milliseconds(time))
        self._pending: dict[int, PendingWrite] = {}
        self._artifacts = [(path, "") for path in sweep.files]
        self._model: tuple[Path, str | None] | None = None  # the winner's artifact, and the name to register it by
        self._model_id: str | None = None
        self.registered: str | None = None  # "NAME@ALIAS", once it is
        self._sqlite = SqliteRuns.of_store(uri, self.experiment, self.client)
        self._runs: dict[int, TrialRun] = {}
        self._labels: dict[int, str] = {}  # the parameters in the name of each trial's run
        self._best = SweepSeries(self.client, self.run_id, record_key(f"best_{sweep.metric}"), sweep.goal)
        self._listed, self._had_faults = False, False

    def handle(self, event: Event) -> None:
        """Take in what a trial has done; other events are not part of the record."""
        match event:
            case TrialStarted():
                values = {**event.parameters, **joint_parameters(event.parameters)}
                self._pending_of(event.trial, event.time).params |= {path: str(v) for path, v in values.items()}
                self._labels[event.trial] = parameters_text(event.parameters)
            case EpochFinished():
                self._pending_of(event.trial, event.time).add(epoch_points(self.sweep, event))
            case TrialFinished():
                self._add_end(event)
                self._best.add(event)

    @property
    def has_unwritten(self) -> bool:
        """Whether something was handled that is not written yet."""
        return bool(self._pending)

    def log_artifact(self, path: Path, folder: str = "") -> None:
        """Add a file, or the content of a directory, to the parent run's `folder`."""
        self._artifacts.append((path, folder))

    def log_model(self, path: Path, register: str | None) -> None:
        """Log the artifact in this folder as a model, and register it by a name unless that is None."""
        self._model = (path, register)

    def flush(self, *, running: bool = True) -> None:
        """Write what is new; what the store refuses for good is added to `faults`, other faults are raised.

        Args:
            running: Whether also the curves of trials that still run are written so far; default True.
        """
        if not self._listed:
            self._list_runs()
        self._write_ended()
        for trial in [trial for trial, pending in self._pending.items() if running or pending.end]:
            self._attempt(f"trial {trial}", partial(self._write, trial, self._pending[trial]))
            del self._pending[trial]
        self._guard("the best score so far", self._best.write)
        while self._artifacts:
            path, folder = self._artifacts[0]
            self._attempt(path.name, partial(self._upload, path, folder))
            self._artifacts.pop(0)
        if self._model:
            self._attempt("the model", partial(self._log_model, *self._model))
            self._model = None

    def conclude(self, state: str, metrics: Mapping[str, float], tags: Mapping[str, str], time: float) -> None:
        """End the parent run; a trial that is still open is KILLED, without a state, so that it can continue later."""
        self.flush()
        self._best.write(at_end=state == "FINISHED")
        if self._had_faults:  # a server may have created a run long after the call was given up
            self._list_runs()
        for run in self._runs.values():
            if run.running and not run.done:
                self.client.set_terminated(run.id, "KILLED", end_time=milliseconds(time))
                run.running = False
        recorded = self.client.get_run(self.run_id).data.metrics
        named = {record_key(name): value for name, value in metrics.items() if math.isfinite(value)}
        finite = {key: value for key, value in named.items() if key != self._best.key}  # the series has it
        new = [Metric(k, v, milliseconds(time), 0, self._model_id) for k, v in finite.items() if recorded.get(k) != v]
        log_batches(self.client, self.run_id, new, {}, tags)
        winner = tags.get("searchlab.winner", "")
        won = self._runs.get(int(winner)) if winner.isdigit() else None
        tag_winner(self.client, self.experiment, self.run_id, winner, won.id if won else None)
        self.client.set_terminated(self.run_id, state, end_time=milliseconds(time))

    def _add_end(self, event: TrialFinished) -> None:
        pending = self._pending_of(event.trial, event.time)
        pending.add(end_points(self.sweep, event))
        pending.tags |= {"searchlab.state": event.state, "searchlab.reason": event.reason or ""}
        pending.tags |= {"state": STATE_TAG[event.state]} | ({"reason": event.reason} if event.reason else {})
        pending.tags |= {"overfitted": "true"} if event.overfitted else {}
        pending.traceback, pending.end = event.traceback, (STATUS[event.state], milliseconds(event.time))
        pending.score = event.value

    def _pending_of(self, trial: int, time: float) -> PendingWrite:
        return self._pending.setdefault(trial, PendingWrite(milliseconds(time)))

    def _attempt(self, what: str, write: Callable[[], None]) -> None:
        """Write a trial or a file, and count it."""
        self._guard(what, write)
        self._on_write()

    def _guard(self, what: str, write: Callable[[], None]) -> None:
        """Write; what the store refuses for good is added to `faults`, other faults are raised."""
        try:
            write()
        except Exception as fault:
            self._suspect_runs()
            if not is_permanent(fault):
                raise
            self.faults.append(f"{what}: {reason_of(fault)}")

    def _suspect_runs(self) -> None:
        """Look up the runs before the next write: one may exist although the response was lost, or be deleted."""
        self._listed, self._had_faults = False, True

    def _write_ended(self) -> None:
        """Write the trials that have ended and have no run yet, many at a time, where the store is a SQLite file."""
        ended = [t for t, it in self._pending.items() if it.end and not it.traceback and t not in self._runs]
        while self._sqlite and (batch := ended[:TRIALS_PER_CALL]):
            runs = [self._ended_run(trial, self._pending[trial]) for trial in batch]
            try:
                ids = self._sqlite.add(runs)
            except sqlite3.Error as fault:
                self._suspect_runs()
                if not is_permanent(fault):
                    raise
                self._sqlite = None  # the client tells which of them the store refuses
                return
            for trial, run, id in zip(batch, runs, ids, strict=True):
                self._runs[trial] = TrialRun(id, run.name, done=True, running=False)
                del self._pending[trial]
                self._on_write()
            del ended[:TRIALS_PER_CALL]

    def _ended_run(self, trial: int, pending: PendingWrite) -> EndedRun:
        status, time = pending.end or ("FINISHED", pending.began)
        tags = self._tags_of_new(trial) | valid_tags(pending.tags)
        name, metrics = self._name_of(trial, pending), [*pending.points.values()]
        return EndedRun(name, user(), status, pending.began, time, valid_params(pending.params), tags, metrics)

    def _write(self, trial: int, pending: PendingWrite) -> None:
        """Write a trial through MLflow's client; a run that is new has its name and its tags from the beginning."""
        name, tags, run = self._name_of(trial, pending), pending.tags, self._runs.get(trial)
        if run is None:
            run, tags = self._create(trial, pending, name), {}
        if run.done:
            return
        if pending.end and run.name != name:
            tags = {**tags, NAME: name}
            run.name = name
        self._reopen(run)
        points = [metric for point, metric in pending.points.items() if point not in run.points]
        log_batches(self.client, run.id, points, pending.params, tags)
        run.points |= pending.points.keys()
        if pending.traceback:
            self.client.log_text(run.id, pending.traceback, "traceback.txt")
        if pending.end is not None:
            status, time = pending.end
            self.client.set_terminated(run.id, status, end_time=time)
            run.done, run.points = True, set()

    def _name_of(self, trial: int, pending: PendingWrite) -> str:
        return trial_name(trial, self._labels.get(trial, ""), pending.score)

    def _upload(self, path: Path, folder: str) -> None:
        if path.is_dir():
            self.client.log_artifacts(self.run_id, str(path), folder or None)
        else:
            self.client.log_artifact(self.run_id, str(path), folder or None)

    def _log_model(self, path: Path, name: str | None) -> None:
        self._model_id = log_model(self.client, self.experiment, self.run_id, path)
        if self._model_id and name is not None:
            score = TestScore.of_manifest(read_manifest(path))
            alias = register(self.client, name or self.sweep.name, self._model_id, self.run_id, score)
            self.registered = f"{name or self.sweep.name}@{alias}"

    def _create(self, trial: int, pending: PendingWrite, name: str) -> TrialRun:
        tags = self._tags_of_new(trial) | valid_tags(pending.tags)
        made = self.client.create_run(self.experiment, start_time=pending.began, tags=tags, run_name=name)
        return self._runs.setdefault(trial, TrialRun(made.info.run_id, name))

    def _tags_of_new(self, trial: int) -> dict[str, str]:
        return {PARENT: self.run_id, "searchlab.trial": str(trial), "mlflow.user": user()}

    def _reopen(self, run: TrialRun) -> None:
        """Continue a run that existed before: look up what it has, and set it to running again."""
        if not run.running:
            self.client.update_run(run.id, status="RUNNING")
            run.running = True
        for key in run.keys:
            run.points |= {(key, metric.step) for metric in self.client.get_metric_history(run.id, key)}
        run.keys = ()

    def _list_runs(self) -> None:
        """Look up the trials' runs; those that are known keep what is known of them."""
        found = find_trial_runs(self.client, self.experiment, self.run_id)
        known = {run.id: run for run in self._runs.values()}
        self._runs = {trial: known.get(run.id, run) for trial, run in found.items()}
        self._listed = True
