"""A user of the stack, who runs `searchlab` on a client's host, and reads what the cluster stores of a sweep."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from searchlab.runs.workspace import write_atomically
from tests.cluster.stack import Stack
from tests.conftest import ROOT
from tests.waiting import DEADLINE

FIRST_PAUSE = 0.5  # seconds of an epoch of the slow sweep while the first trials train
BLOCK_PAUSE = 4.0  # after them: 20 groups of 12 epochs on three workers outlast five minutes

PROJECT = ROOT / "tests" / "cluster" / "project"
READ_TRIALS = """
import os
from searchlab.study.reading import read_trials

def answer(name):
    trials = read_trials(os.environ["SEARCHLAB_STORAGE"], name)
    return [[t.number, t.state, t.value, t.ended, t.curve.scores, t.curve.times, t.curve.seconds] for t in trials]
"""
READ_RUNS = """
from mlflow import MlflowClient

def answer(name):
    client = MlflowClient()
    experiment = client.get_experiment_by_name(name)
    runs = client.search_runs([experiment.experiment_id], max_results=1000) if experiment else []
    return [
        dict(
            id=run.info.run_id, parent="mlflow.parentRunId" not in run.data.tags, status=run.info.status,
            tags=run.data.tags, params=run.data.params,
            steps=[m.step for m in client.get_metric_history(run.info.run_id, "accuracy")],
        )
        for run in runs
    ]
"""
LOAD_ARTIFACT = """
import json, sys
from searchlab import artifact
loaded = artifact.load(sys.argv[1])
print(json.dumps(loaded.predict([[0.0, 0.0], [0.5, 0.5]]).shape))
"""
LIST_BUCKET = """
from pyarrow import fs

store = fs.S3FileSystem(
    endpoint_override="store:9000", scheme="http", region="us-east-1", allow_bucket_creation=True
)
store.create_dir("checkpoints")

def answer(bucket):
    files = store.get_file_info(fs.FileSelector(bucket, recursive=True))
    return [file.path for file in files if file.size]
"""


@dataclass(frozen=True)
class Trial:
    """A trial as stored in the study's database."""

    number: int
    state: str
    value: float | None
    ended: float | None
    scores: list[list[float]]
    times: list[float]
    seconds: float


@dataclass
class User:
    """A person at a client's host with a project, the cluster's token and MLflow's password."""

    stack: Stack
    environment: Mapping[str, str]
    host: str = "client"

    def __post_init__(self) -> None:
        self.project = self.stack.folder / self.host / "home" / "project"
        shutil.copytree(PROJECT, self.project, ignore=shutil.ignore_patterns("__pycache__"))

    def run(self, *arguments: str, seconds: float = DEADLINE, **changes: str) -> subprocess.CompletedProcess[str]:
        """Run `searchlab` with these arguments in the project."""
        host = self.stack.hosts[self.host]
        command = ["sh", "-c", f'cd {self.project} && exec "$@"', "sh", "searchlab", *arguments]
        return host.run(*command, seconds=seconds, **{**self.environment, **changes})

    def result(self, *arguments: str, seconds: float = DEADLINE) -> dict[str, Any]:
        """Run `searchlab` with these arguments, and return the JSON object that it prints."""
        finished = self.run(*arguments, "--json", seconds=seconds)
        assert finished.returncode == 0, f"{arguments}: {finished.stdout[-2000:]} {finished.stderr[-3000:]}"
        result: dict[str, Any] = _last_line_json(finished)
        return result

    def submit(self, name: str, *options: str, spec: str = "slow.py") -> str:
        """Submit a sweep of the project under this name, and return the name that it has."""
        return str(self.result("submit", f"search_spaces/{spec}", "--name", name, *options)["sweep"])

    def trials(self, name: str) -> list[Trial]:
        """Return every trial of the study, as the head reads it from PostgreSQL."""
        return [Trial(*row) for row in self.stack.ask("ray-head-1", READ_TRIALS, name)]

    def ended(self, name: str) -> dict[int, Trial]:
        """Return the trials that have ended, by number."""
        return {trial.number: trial for trial in self.trials(name) if trial.state != "RUNNING"}

    def runs(self, name: str) -> list[dict[str, Any]]:
        """Return every run of the experiment, as this client reads it from MLflow."""
        runs: list[dict[str, Any]] = self.stack.ask(self.host, READ_RUNS, name, **self.environment)
        return runs

    def download_winner(self, name: str) -> list[int]:
        """Download the winner with MLflow's own tool, and return the shape of its predictions for two inputs."""
        (run_id,) = (run["id"] for run in self.runs(name) if run["parent"])
        host, folder = self.stack.hosts[self.host], f"{self.project}/downloaded"
        options = ["--run-id", run_id, "--artifact-path", "winner", "--dst-path", folder]
        finished = host.run("mlflow", "artifacts", "download", *options, **self.environment)
        assert finished.returncode == 0, finished.stderr[-2000:]
        command = f"cd {self.project} && PYTHONPATH=. python -c '{LOAD_ARTIFACT}' {folder}/winner"
        shape: list[int] = _last_line_json(host.run("sh", "-c", command))
        return shape

    def wait_until_finished(self, name: str, seconds: float = DEADLINE) -> float:
        """Watch the sweep until it is finished, and return how many seconds that took."""
        started = time.monotonic()
        watched = self.run("watch", name, "--wait", "60", seconds=seconds)
        assert watched.returncode == 0, f"{watched.stdout[-2000:]} {watched.stderr[-2000:]} {self.driver_log(name)}"
        return time.monotonic() - started

    def wait_until(self, name: str, condition: Callable[[dict[int, Trial]], bool], seconds: float = DEADLINE) -> None:
        """Wait until the condition holds for the trials that have ended."""
        started = time.monotonic()
        while not condition(self.ended(name)):
            assert time.monotonic() - started < seconds, f"{name} does not reach the condition: {self.driver_log(name)}"
            time.sleep(0.5)

    def driver_log(self, name: str) -> str:
        """Return the end of the logs of the sweep's drivers."""
        logs = self.stack.logs()
        return "".join(text[-1500:] for file, text in logs.items() if f"job-driver-{name}" in file)

    def hosts_that_trained(self, since: float) -> set[str]:
        """Return the hosts that have trained since this time."""
        folder = self.stack.folder / "volumes" / "home" / "training_times"
        return {path.name for path in folder.glob("*") if path.stat().st_mtime > since}

    def wait_until_trained(self, hosts: set[str], since: float) -> float:
        """Wait until one of these hosts has trained since this time, and return how many seconds later that was."""
        while not self.hosts_that_trained(since) & hosts:
            assert time.time() - since < DEADLINE, f"none of {hosts} trains"
            time.sleep(0.1)
        return time.time() - since

    def list_row(self, name: str) -> dict[str, Any]:
        """Return the row of this sweep in `searchlab list`."""
        (row,) = [row for row in self.result("list")["sweeps"] if row["sweep"] == name]
        return dict(row)

    @contextlib.contextmanager
    def running(self, name: str, trials: int, fuse: int, *options: str) -> Iterator[dict[int, Trial]]:
        """Submit a sweep that is slow until the block ends, and give the block the first trials that ended.

        In the block an epoch takes so long that the sweep outlasts it: a command may take a minute on a busy machine.
        """
        with self.epoch_pause(FIRST_PAUSE):
            self.submit(name, "--trials", str(trials), "--fuse", str(fuse), *options)
            self.wait_until(name, lambda ended: len(ended) >= 4)
        with self.epoch_pause(BLOCK_PAUSE):
            before = self.ended(name)
            assert len(before) < trials
            yield before

    @contextlib.contextmanager
    def epoch_pause(self, seconds: float) -> Iterator[None]:
        """Within the block, make every epoch of the slow sweep take this many seconds longer."""
        file = self.stack.folder / "volumes" / "home" / "epoch_pause"
        write_atomically(file, str(seconds).encode())
        file.chmod(0o644)
        try:
            yield
        finally:
            file.unlink()

    def bucket_keys(self) -> list[str]:
        """Return the keys in the bucket `checkpoints`, which is created if necessary, as the head sees it."""
        keys: list[str] = self.stack.ask("ray-head-1", LIST_BUCKET, "checkpoints")
        return keys

    def folder(self, name: str) -> Path:
        """Return the sweep's folder on the volume that head and workers share."""
        return self.stack.folder / "volumes" / "home" / "sweeps" / name


def _last_line_json(finished: subprocess.CompletedProcess[str]) -> Any:
    """Check that a command succeeded, and return the JSON value in the last line of its output."""
    assert finished.returncode == 0, finished.stderr[-2000:]
    return json.loads(finished.stdout.splitlines()[-1])
