"""The MLflow record: one run per sweep, one child run per trial, written in batches; every write may be repeated."""

from __future__ import annotations

import getpass
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from mlflow.entities import Metric, Param, RunTag
from mlflow.entities import Run as MlflowRun

from searchlab.runs.events import EpochFinished, Event, TrialFinished, TrialStarted
from searchlab.space.metric_names import record_key
from searchlab.tracking.branches import joint_parameters
from searchlab.tracking.dataset_input import dataset_input
from searchlab.tracking.faults import is_permanent, reason_of
from searchlab.tracking.logged_model import log_model, read_manifest
from searchlab.tracking.model_registry import TestScore, register
from searchlab.tracking.run_names import parameters_text, trial_name
from searchlab.tracking.saved_view import save_view
from searchlab.tracking.store import experiment_id, open_store, use_store
from searchlab.tracking.sweep_record import SweepRecord
from searchlab.tracking.sweep_series import SweepSeries
from searchlab.tracking.trial_runs import STATE_TAG, STATUS, PendingWrite, TrialRun

WINNER = "winner"  # the tag "yes" of the run of the trial that won
METRICS_PER_CALL = 800  # MLflow takes 1000 entities, parameters and tags among them
PARAMS_PER_CALL = 100  # and as many tags
MAX_TAG_LETTERS = 8000  # what MLflow takes
PARENT, NAME = "mlflow.parentRunId", "mlflow.runName"


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
        save_view(self.client, self.experiment, sweep, _ms(time))
        self.run_id = self._open_parent(_ms(time))
        self._pending: dict[int, PendingWrite] = {}
        self._artifacts = [(path, "") for path in sweep.files]
        self._model: tuple[Path, str | None] | None = None  # the winner's artifact, and the name to register it by
        self._model_id: str | None = None
        self.registered: str | None = None  # "NAME@ALIAS", once it is
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
                self._add_epoch(event)
            case TrialFinished():
                self._add_end(event)
                self._best.add(event)

    def log_artifact(self, path: Path, folder: str = "") -> None:
        """Add a file, or the content of a directory, to the parent run's `folder`."""
        self._artifacts.append((path, folder))

    def log_model(self, path: Path, register: str | None) -> None:
        """Log the artifact in this folder as a model, and register it by a name unless that is None."""
        self._model = (path, register)

    def flush(self) -> None:
        """Write everything; what the store refuses for good is added to `faults`, other faults are raised."""
        if not self._listed:
            self._list_runs()
        for trial in list(self._pending):
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
                self.client.set_terminated(run.id, "KILLED", end_time=_ms(time))
                run.running = False
        recorded = self.client.get_run(self.run_id).data.metrics
        named = {record_key(name): value for name, value in metrics.items() if math.isfinite(value)}
        finite = {key: value for key, value in named.items() if key != self._best.key}  # the series has it
        new = [Metric(k, v, _ms(time), 0, self._model_id) for k, v in finite.items() if recorded.get(k) != v]
        self._log(self.run_id, new, {}, tags)
        self._tag_winner(tags.get("searchlab.winner", ""))
        self.client.set_terminated(self.run_id, state, end_time=_ms(time))

    def _add_epoch(self, event: EpochFinished) -> None:
        """Add mean, spread and folds of every metric, and the means of what else was measured."""
        values = _by_fold(self.sweep.metric, event.scores) | {"loss": _mean_and_std(event.losses)[0]}
        for name, folds in zip(self.sweep.others, event.other_scores, strict=True) if event.other_scores else ():
            values |= _by_fold(name, folds)
        values["held_out_loss"] = _mean_and_std(event.held_out_losses)[0]  # NaN, which is left out, where not measured
        values[f"training_{self.sweep.metric}"] = _mean_and_std(event.training_scores)[0]
        self._add_points(self._pending_of(event.trial, event.time), values, event.epoch, event.time)

    def _add_end(self, event: TrialFinished) -> None:
        pending = self._pending_of(event.trial, event.time)
        values = {"seconds": event.seconds, f"best_{self.sweep.metric}": event.value, "epoch_of_best": event.epoch}
        others = zip(self.sweep.others, event.other_values, strict=True) if event.other_values else ()
        self._add_points(pending, values | {f"best_{name}": value for name, value in others}, 0, event.time)
        pending.tags |= {"searchlab.state": event.state, "searchlab.reason": event.reason or ""}
        pending.tags |= {"state": STATE_TAG[event.state]} | ({"reason": event.reason} if event.reason else {})
        pending.tags |= {"overfitted": "true"} if event.overfitted else {}
        pending.traceback, pending.end = event.traceback, (STATUS[event.state], _ms(event.time))
        pending.score = event.value

    def _pending_of(self, trial: int, time: float) -> PendingWrite:
        return self._pending.setdefault(trial, PendingWrite(_ms(time)))

    def _add_points(self, pending: PendingWrite, values: Mapping[str, float | None], step: int, time: float) -> None:
        for name, value in values.items():
            key = record_key(name)
            if value is not None and math.isfinite(value):  # the dashboard's axes do not survive an infinity
                pending.points.setdefault((key, step), Metric(key, float(value), _ms(time), step))

    def _attempt(self, what: str, write: Callable[[], None]) -> None:
        """Write a trial or a file, and count it."""
        self._guard(what, write)
        self._on_write()

    def _guard(self, what: str, write: Callable[[], None]) -> None:
        """Write; what the store refuses for good is added to `faults`, other faults are raised."""
        try:
            write()
        except Exception as fault:
            self._listed, self._had_faults = (
                False,
                True,
            )  # a run may exist although the response was lost, or be deleted
            if not is_permanent(fault):
                raise
            self.faults.append(f"{what}: {reason_of(fault)}")

    def _write(self, trial: int, pending: PendingWrite) -> None:
        name = trial_name(trial, self._labels.get(trial, ""), pending.score)
        run = self._runs.get(trial) or self._create(trial, pending.began, name)
        if run.done:
            return
        if pending.end and run.name != name:
            pending.tags[NAME] = run.name = name
        self._reopen(run)
        points = [metric for point, metric in pending.points.items() if point not in run.points]
        self._log(run.id, points, pending.params, pending.tags)
        run.points |= pending.points.keys()
        if pending.traceback:
            self.client.log_text(run.id, pending.traceback, "traceback.txt")
        if pending.end is not None:
            status, time = pending.end
            self.client.set_terminated(run.id, status, end_time=time)
            run.done, run.points = True, set()

    def _log(self, run_id: str, points: list[Metric], params: Mapping[str, str], tags: Mapping[str, str]) -> None:
        left_params = [Param(record_key(name), str(value)[:6000]) for name, value in params.items()]
        left_tags = [RunTag(record_key(name), str(value)[:MAX_TAG_LETTERS]) for name, value in tags.items()]
        while points or left_params or left_tags:
            self.client.log_batch(
                run_id, points[:METRICS_PER_CALL], left_params[:PARAMS_PER_CALL], left_tags[:PARAMS_PER_CALL]
            )
            points, left_params, left_tags = (
                points[METRICS_PER_CALL:],
                left_params[PARAMS_PER_CALL:],
                left_tags[PARAMS_PER_CALL:],
            )

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

    def _create(self, trial: int, began: int, name: str) -> TrialRun:
        tags = {PARENT: self.run_id, "searchlab.trial": str(trial), "mlflow.user": _user()}
        made = self.client.create_run(self.experiment, start_time=began, tags=tags, run_name=name)
        return self._runs.setdefault(trial, TrialRun(made.info.run_id, name))

    def _reopen(self, run: TrialRun) -> None:
        """Continue a run that existed before: look up what it has, and set it to running again."""
        if not run.running:
            self.client.update_run(run.id, status="RUNNING")
            run.running = True
        for key in run.keys:
            run.points |= {(key, metric.step) for metric in self.client.get_metric_history(run.id, key)}
        run.keys = ()

    def _list_runs(self) -> None:
        """Look up the trials' runs; of two of one trial (a response was lost) keep the one that has ended."""
        found: dict[int, TrialRun] = {}
        for stored in self._search(f"tags.`{PARENT}` = '{self.run_id}'"):
            trial, run = int(stored.data.tags.get("searchlab.trial", -1)), TrialRun.of_stored(stored)
            twin = found.get(trial)
            if twin is not None:
                run, twin = (run, twin) if run.done and not twin.done else (twin, run)
                self.client.delete_run(twin.id)
            found[trial] = run
        known = {run.id: run for run in self._runs.values()}
        self._runs = {trial: known.get(run.id, run) for trial, run in found.items()}
        self._listed = True

    def _search(self, query: str) -> Iterator[MlflowRun]:
        token: str | None = None
        while token != "":
            page = self.client.search_runs(
                [self.experiment], query, max_results=1000, order_by=["attributes.start_time ASC"], page_token=token
            )
            yield from page
            token = page.token or ""

    def _open_parent(self, time: int) -> str:
        name, study = self.sweep.name, self.sweep.study
        identity = {"searchlab.sweep": name} | ({"searchlab.study": study} if study else {})
        tags = {**self.sweep.tags, **identity, "searchlab.metric": self.sweep.metric, "searchlab.goal": self.sweep.goal}
        query = " AND ".join(f"tags.`{key}` = '{value}'" for key, value in identity.items())
        run = next(self._search(query), None)
        if run is None:
            source = {"mlflow.user": _user(), "mlflow.source.name": name, "mlflow.source.type": "LOCAL"}
            run = self.client.create_run(self.experiment, start_time=time, tags=source | identity, run_name=name)
        elif run.info.status != "RUNNING":
            self.client.update_run(run.info.run_id, status="RUNNING")
        missing = {key: value for key, value in self.sweep.params.items() if record_key(key) not in run.data.params}
        self._log(run.info.run_id, [], missing, tags)
        if self.sweep.data:
            self.client.log_inputs(run.info.run_id, [dataset_input(self.sweep.data)])
        return str(run.info.run_id)

    def _tag_winner(self, winner: str) -> None:
        """Tag the run of the trial that won, and no other: a sweep that is extended may have another winner."""
        own = f"tags.`{PARENT}` = '{self.run_id}' AND tags.`{WINNER}` = 'yes'"
        tagged = {run.data.tags["searchlab.trial"]: run.info.run_id for run in self._search(own)}
        for trial, run_id in tagged.items():
            if trial != winner:
                self.client.delete_tag(run_id, WINNER)
        run = self._runs.get(int(winner)) if winner.isdigit() else None
        if run and winner not in tagged:
            self.client.set_tag(run.id, WINNER, "yes")


def _by_fold(name: str, scores: Sequence[float]) -> dict[str, float]:
    """Return mean, spread and folds of one metric, by their names in the record."""
    mean, std = _mean_and_std(scores)
    folds = {f"folds/{name}_{fold}": score for fold, score in enumerate(scores)}
    return {name: mean, f"folds/{name}_std": std, **folds}


def _mean_and_std(values: Sequence[float]) -> tuple[float, float]:
    if not values or not all(math.isfinite(value) for value in values):
        return math.nan, math.nan
    mean = math.fsum(values) / len(values)
    return mean, math.sqrt(math.fsum((value - mean) ** 2 for value in values) / len(values))


def _ms(seconds: float) -> int:
    return int(seconds * 1000)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container without an account for this user
        return "unknown"
