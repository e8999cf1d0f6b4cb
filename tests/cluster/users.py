"""A user of the stack, who runs `searchlab` on a client's host, and reads what the cluster keeps of a sweep."""

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

TIMEOUT = 240.0  # seconds for anything that is waited for
PROJECT = ROOT / "tests" / "cluster" / "project"
READ_TRIALS = """
import json, os
from searchlab.study.reading import read_trials
trials = read_trials(os.environ["SEARCHLAB_STORAGE"], {name!r})
rows = [[t.number, t.state, t.value, t.ended, t.curve.scores, t.curve.times, t.curve.seconds] for t in trials]
print(json.dumps(rows))
"""
READ_RUNS = """
import json, sys
from mlflow import MlflowClient
client = MlflowClient()
experiment = client.get_experiment_by_name({name!r})
runs = client.search_runs([experiment.experiment_id], max_results=1000) if experiment else []
print(json.dumps([
    dict(
        id=run.info.run_id, parent="mlflow.parentRunId" not in run.data.tags, status=run.info.status,
        tags=run.data.tags, params=run.data.params,
        steps=[m.step for m in client.get_metric_history(run.info.run_id, "accuracy")],
    )
    for run in runs
]))
"""
LOAD_ARTIFACT = """
import json, sys
from searchlab import artifact
loaded = artifact.load(sys.argv[1])
print(json.dumps(loaded.predict([[0.0, 0.0], [0.5, 0.5]]).shape))
"""
LIST_BUCKET = """
import json, sys
from pyarrow import fs
store = fs.S3FileSystem(
    endpoint_override="store:9000", scheme="http", region="us-east-1", allow_bucket_creation=True
)
store.create_dir("kept")
print(json.dumps([found.path for found in store.get_file_info(fs.FileSelector("kept", recursive=True)) if found.size]))
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

    def run(self, *words: str, seconds: float = 120.0, **changes: str) -> subprocess.CompletedProcess[str]:
        """Run `searchlab` with these arguments in the project."""
        host = self.stack.hosts[self.host]
        command = ["sh", "-c", f'cd {self.project} && exec "$@"', "sh", "searchlab", *words]
        return host.run(*command, seconds=seconds, **{**self.environment, **changes})

    def result(self, *words: str, seconds: float = 120.0) -> dict[str, Any]:
        """Run `searchlab` with these arguments, and return the JSON object that it prints."""
        answer = self.run(*words, "--json", seconds=seconds)
        assert answer.returncode == 0, f"{words}: {answer.stdout[-2000:]} {answer.stderr[-3000:]}"
        found: dict[str, Any] = json.loads(answer.stdout.splitlines()[-1])
        return found

    def submit(self, name: str, *words: str, spec: str = "slow.py") -> str:
        """Submit a sweep of the project under this name, and return the name that it has."""
        return str(self.result("submit", f"search_spaces/{spec}", "--name", name, *words)["sweep"])

    def trials(self, name: str) -> list[Trial]:
        """Return every trial of the study, as the head reads it from PostgreSQL."""
        answer = self.stack.hosts["ray-head-1"].run("python", "-c", READ_TRIALS.format(name=name))
        assert answer.returncode == 0, answer.stderr[-2000:]
        return [Trial(*row) for row in json.loads(answer.stdout.splitlines()[-1])]

    def ended(self, name: str) -> dict[int, Trial]:
        """Return the trials that have ended, by number."""
        return {trial.number: trial for trial in self.trials(name) if trial.state != "RUNNING"}

    def runs(self, name: str) -> list[dict[str, Any]]:
        """Return every run of the experiment, as this client reads it from MLflow."""
        host = self.stack.hosts[self.host]
        answer = host.run("python", "-c", READ_RUNS.format(name=name), **self.environment)
        assert answer.returncode == 0, answer.stderr[-2000:]
        found: list[dict[str, Any]] = json.loads(answer.stdout.splitlines()[-1])
        return found

    def download_winner(self, name: str) -> list[int]:
        """Download the winner with MLflow's own tool, and return the shape of its predictions for two inputs."""
        (sweep,) = (run["id"] for run in self.runs(name) if run["parent"])
        host, there = self.stack.hosts[self.host], f"{self.project}/fetched"
        words = ["--run-id", sweep, "--artifact-path", "winner", "--dst-path", there]
        answer = host.run("mlflow", "artifacts", "download", *words, **self.environment)
        assert answer.returncode == 0, answer.stderr[-2000:]
        loads = f"cd {self.project} && PYTHONPATH=. python -c '{LOAD_ARTIFACT}' {there}/winner"
        answer = host.run("sh", "-c", loads)
        assert answer.returncode == 0, answer.stderr[-2000:]
        found: list[int] = json.loads(answer.stdout.splitlines()[-1])
        return found

    def wait_until_finished(self, name: str, seconds: float = TIMEOUT) -> float:
        """Watch the sweep until it is finished, and return how many seconds that took."""
        began = time.monotonic()
        watched = self.run("watch", name, "--wait", "60", seconds=seconds)
        assert watched.returncode == 0, f"{watched.stdout[-2000:]} {watched.stderr[-2000:]} {self.driver_log(name)}"
        return time.monotonic() - began

    def wait_until(self, name: str, condition: Callable[[dict[int, Trial]], bool], seconds: float = TIMEOUT) -> None:
        """Wait until the condition holds for the trials that have ended."""
        began = time.monotonic()
        while not condition(self.ended(name)):
            assert time.monotonic() - began < seconds, f"{name} does not reach the condition: {self.driver_log(name)}"
            time.sleep(0.5)

    def driver_log(self, name: str) -> str:
        """Return the end of the logs of the sweep's drivers."""
        logs = self.stack.logs()
        return "".join(text[-1500:] for place, text in logs.items() if f"job-driver-{name}" in place)

    def hosts_that_trained(self, since: float) -> set[str]:
        """Return the hosts that have trained since this time."""
        folder = self.stack.folder / "volumes" / "home" / "seen"
        return {path.name for path in folder.glob("*") if path.stat().st_mtime > since}

    def wait_until_trained(self, hosts: set[str], since: float) -> float:
        """Wait until one of these hosts has trained since this time, and return how many seconds later that was."""
        while not self.hosts_that_trained(since) & hosts:
            assert time.time() - since < TIMEOUT, f"none of {hosts} trains"
            time.sleep(0.1)
        return time.time() - since

    def list_row(self, name: str) -> dict[str, Any]:
        """Return the row of this sweep in `searchlab list`."""
        (row,) = [row for row in self.result("list")["sweeps"] if row["sweep"] == name]
        return dict(row)

    @contextlib.contextmanager
    def running(self, name: str, trials: int, fuse: int, *words: str, pace: float = 0.3) -> Iterator[dict[int, Trial]]:
        """Submit a sweep that is slow until the block ends, and give the block the first trials that ended."""
        with self.epoch_seconds(pace):
            self.submit(name, "--trials", str(trials), "--fuse", str(fuse), *words)
            self.wait_until(name, lambda ended: len(ended) >= 4)
            before = self.ended(name)
            assert len(before) < trials
            yield before

    @contextlib.contextmanager
    def epoch_seconds(self, pause: float) -> Iterator[None]:
        """Within the block, make every epoch of the slow sweep take this many seconds longer."""
        pace = self.stack.folder / "volumes" / "home" / "pace"
        write_atomically(pace, str(pause).encode())
        pace.chmod(0o644)
        try:
            yield
        finally:
            pace.unlink()

    def bucket_keys(self) -> list[str]:
        """Return the keys in the bucket `kept`, which is created if necessary, as the head sees it."""
        answer = self.stack.hosts["ray-head-1"].run("python", "-c", LIST_BUCKET)
        assert answer.returncode == 0, answer.stderr[-2000:]
        found: list[str] = json.loads(answer.stdout.splitlines()[-1])
        return found

    def folder(self, name: str) -> Path:
        """Return the sweep's folder on the volume that head and workers share."""
        return self.stack.folder / "volumes" / "home" / "sweeps" / name
