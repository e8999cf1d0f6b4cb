"""The record in MLflow: one run per sweep, one child run per trial, written in batches; every write may be repeated."""

from __future__ import annotations

import getpass
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from mlflow.entities import Metric, Param, RunTag
from mlflow.entities import Run as MlflowRun

from searchlab.runs.events import Ending, Scalar, SweepRecord
from searchlab.tracking.store import experiment_of, open_store, permanent

STATUS = {"COMPLETE": "FINISHED", "PRUNED": "KILLED", "FAIL": "FAILED", "INFEASIBLE": "KILLED"}
POINTS = 800  # metrics in one call; MLflow takes 1000 entities, parameters and tags among them
SMALL = 100  # so many parameters or tags
PARENT = "mlflow.parentRunId"


@dataclass
class Run:
    """A trial's run as the store has it; `points` are the metrics there, by name and step."""

    id: str
    done: bool = False
    running: bool = True
    keys: Sequence[str] = ()  # metrics of a run that was there before, whose points are not looked up yet
    points: set[tuple[str, int]] = field(default_factory=set)


@dataclass
class Pending:
    """What was told about a trial and is not written yet."""

    began: int  # milliseconds since 1970, as all times of MLflow
    params: dict[str, str] = field(default_factory=dict)
    points: dict[tuple[str, int], Metric] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    end: tuple[str, int] | None = None


class Record:
    """A tracker that writes to MLflow when `flush` is called.

    Told everything again from the beginning, it writes only what is missing. Runs are found by their tags, points by
    name and step; a trial's run that has ended is left alone. What `flush` could not write it keeps for the next one.
    """

    def __init__(self, uri: str, sweep: SweepRecord, time: float) -> None:
        self.sweep, self.faults = sweep, list[str]()
        self.client = open_store(uri, sweep.home)
        self.experiment = experiment_of(self.client, uri, sweep.name, sweep.home)
        self.run_id = self._open_parent(_ms(time))
        self._pending: dict[int, Pending] = {}
        self._artifacts = [(path, "") for path in sweep.files]
        self._runs: dict[int, Run] = {}
        self._listed, self._shaken = False, False

    def start(self, trial: int, parameters: Mapping[str, Scalar], time: float) -> None:
        """A trial has begun with these parameters by path."""
        self._of(trial, time).params |= {path: str(value) for path, value in parameters.items()}

    def log(
        self,
        trial: int,
        epoch: int,
        scores: Sequence[float],
        losses: Sequence[float],
        time: float,
        others: Sequence[Sequence[float]] = (),
    ) -> None:
        """Mean, spread and folds of an epoch by every metric; the mean training loss."""
        values = _by_fold(self.sweep.metric, scores) | {"loss": _mean_and_std(losses)[0]}
        for name, folds in zip(self.sweep.others, others, strict=True) if others else ():
            values |= _by_fold(name, folds)
        self._add(self._of(trial, time), values, epoch, time)

    def finish(self, trial: int, ending: Ending) -> None:
        """A trial has ended as COMPLETE, PRUNED, FAIL or INFEASIBLE."""
        pending, best = self._of(trial, ending.time), f"best_{self.sweep.metric}"
        values = {"seconds": ending.seconds, best: ending.value, "best_epoch": ending.epoch}
        others = zip(self.sweep.others, ending.others, strict=True) if ending.others else ()
        self._add(pending, values | {f"best_{name}": value for name, value in others}, 0, ending.time)
        pending.tags |= {"searchlab.state": ending.state, "searchlab.reason": ending.reason or ""}
        pending.end = STATUS[ending.state], _ms(ending.time)

    def note(self, text: str) -> None:
        """Nothing: it is of one machine."""

    def artifact(self, path: Path, folder: str = "") -> None:
        """A file, or what is in a directory, for the parent run's `folder`."""
        self._artifacts.append((path, folder))

    def flush(self) -> None:
        """Write everything told so far. What the store refuses for good is noted in `faults`; other faults raise."""
        if not self._listed:
            self._list()
        for trial in list(self._pending):
            self._settle(f"trial {trial}", partial(self._write, trial, self._pending[trial]))
            del self._pending[trial]
        while self._artifacts:
            path, folder = self._artifacts[0]
            self._settle(path.name, partial(self._upload, path, folder))
            self._artifacts.pop(0)

    def conclude(self, state: str, metrics: Mapping[str, float], tags: Mapping[str, str], time: float) -> None:
        """End the parent run; a trial still under way is KILLED, without a state, so that it can go on later."""
        self.flush()
        if self._shaken:  # a server may have created a run long after it was given up
            self._list()
        for run in self._runs.values():
            if run.running and not run.done:
                self.client.set_terminated(run.id, "KILLED", end_time=_ms(time))
                run.running = False
        there = self.client.get_run(self.run_id).data.metrics
        finite = {_key(name): value for name, value in metrics.items() if math.isfinite(value)}
        new = [Metric(k, v, _ms(time), 0) for k, v in finite.items() if there.get(k) != v]
        self._log(self.run_id, new, {}, tags)
        self.client.set_terminated(self.run_id, state, end_time=_ms(time))

    def _of(self, trial: int, time: float) -> Pending:
        return self._pending.setdefault(trial, Pending(_ms(time)))

    def _add(self, pending: Pending, values: Mapping[str, float | None], step: int, time: float) -> None:
        for name, value in values.items():
            key = _key(name)
            if value is not None and math.isfinite(value):  # the dashboard's axes do not survive an infinity
                pending.points.setdefault((key, step), Metric(key, float(value), _ms(time), step))

    def _settle(self, what: str, write: Callable[[], None]) -> None:
        try:
            write()
        except Exception as fault:
            self._listed, self._shaken = False, True  # a run may be there although the answer was lost, or be deleted
            if not permanent(fault):
                raise
            self.faults.append(f"{what}: {fault}")

    def _write(self, trial: int, pending: Pending) -> None:
        run = self._runs.get(trial) or self._create(trial, pending.began)
        if run.done:
            return
        self._take_up(run)
        points = [metric for point, metric in pending.points.items() if point not in run.points]
        self._log(run.id, points, pending.params, pending.tags)
        run.points |= pending.points.keys()
        if pending.end is not None:
            status, time = pending.end
            self.client.set_terminated(run.id, status, end_time=time)
            run.done, run.points = True, set()

    def _log(self, run_id: str, points: list[Metric], params: Mapping[str, str], tags: Mapping[str, str]) -> None:
        left_params = [Param(_key(name), str(value)[:6000]) for name, value in params.items()]
        left_tags = [RunTag(_key(name), str(value)[:5000]) for name, value in tags.items()]
        while points or left_params or left_tags:
            self.client.log_batch(run_id, points[:POINTS], left_params[:SMALL], left_tags[:SMALL])
            points, left_params, left_tags = points[POINTS:], left_params[SMALL:], left_tags[SMALL:]

    def _upload(self, path: Path, folder: str) -> None:
        if path.is_dir():
            self.client.log_artifacts(self.run_id, str(path), folder or None)
        else:
            self.client.log_artifact(self.run_id, str(path), folder or None)

    def _create(self, trial: int, began: int) -> Run:
        tags = {PARENT: self.run_id, "searchlab.trial": str(trial), "mlflow.user": _user()}
        made = self.client.create_run(self.experiment, start_time=began, tags=tags, run_name=f"trial {trial}")
        return self._runs.setdefault(trial, Run(made.info.run_id))

    def _take_up(self, run: Run) -> None:
        """Go on with a run that was there before: look up what it has, and call it running again."""
        if not run.running:
            self.client.update_run(run.id, status="RUNNING")
            run.running = True
        for key in run.keys:
            run.points |= {(key, metric.step) for metric in self.client.get_metric_history(run.id, key)}
        run.keys = ()

    def _list(self) -> None:
        """Look up the trials' runs; of two of one trial (an answer was lost) the one that has ended stays."""
        found: dict[int, Run] = {}
        for there in self._search(f"tags.`{PARENT}` = '{self.run_id}'"):
            trial, run = int(there.data.tags.get("searchlab.trial", -1)), _run_of(there)
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
        missing = {key: value for key, value in self.sweep.params.items() if _key(key) not in run.data.params}
        self._log(run.info.run_id, [], missing, tags)
        return str(run.info.run_id)


def _run_of(there: MlflowRun) -> Run:
    running = there.info.status == "RUNNING"
    done = not running and "searchlab.state" in there.data.tags
    return Run(there.info.run_id, done, running, () if done else tuple(there.data.metrics))


def _by_fold(name: str, scores: Sequence[float]) -> dict[str, float]:
    """Mean, spread and folds of one metric, by the names they go by in the record."""
    mean, std = _mean_and_std(scores)
    folds = {f"{name}_fold_{fold}": score for fold, score in enumerate(scores)}
    return {name: mean, f"{name}_std": std, **folds}


def _mean_and_std(values: Sequence[float]) -> tuple[float, float]:
    if not values or not all(math.isfinite(value) for value in values):
        return math.nan, math.nan
    mean = math.fsum(values) / len(values)
    return mean, math.sqrt(math.fsum((value - mean) ** 2 for value in values) / len(values))


def _key(name: str) -> str:
    return re.sub(r"[^\w\-. :/]", "_", name)[:250]


def _ms(seconds: float) -> int:
    return int(seconds * 1000)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container without an account for this user
        return "unknown"
