"""A user of the stack: runs `searchlab` on a client's host, and looks at what the cluster holds of a sweep."""

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

PATIENCE = 240.0  # seconds for anything that must happen
PROJECT = ROOT / "tests" / "cluster" / "project"
TOLD = """
import json, os
from searchlab.study.reading import peek
trials = peek(os.environ["SEARCHLAB_STORAGE"], {name!r})
told = [[t.number, t.state, t.value, t.ended, t.curve.scores, t.curve.times, t.curve.seconds] for t in trials]
print(json.dumps(told))
"""
RECORDED = """
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
LOADED = """
import json, sys
from searchlab import artifact
loaded = artifact.load(sys.argv[1])
print(json.dumps(loaded.predict([[0.0, 0.0], [0.5, 0.5]]).shape))
"""
BUCKET = """
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
    """A trial as the study's database has it."""

    number: int
    state: str
    value: float | None
    ended: float | None
    scores: list[list[float]]
    times: list[float]
    seconds: float


@dataclass
class User:
    """Somebody at a client's host with a project, the token and the record's password."""

    stack: Stack
    environment: Mapping[str, str]
    host: str = "client"

    def __post_init__(self) -> None:
        self.project = self.stack.folder / self.host / "home" / "project"
        shutil.copytree(PROJECT, self.project, ignore=shutil.ignore_patterns("__pycache__"))

    def run(self, *words: str, seconds: float = 120.0, **changes: str) -> subprocess.CompletedProcess[str]:
        """`searchlab` with these words, in the project."""
        host = self.stack.hosts[self.host]
        command = ["sh", "-c", f'cd {self.project} && exec "$@"', "sh", "searchlab", *words]
        return host.run(*command, seconds=seconds, **{**self.environment, **changes})

    def asked(self, *words: str, seconds: float = 120.0) -> dict[str, Any]:
        """The JSON object that `searchlab` ends with."""
        answer = self.run(*words, "--json", seconds=seconds)
        assert answer.returncode == 0, f"{words}: {answer.stdout[-2000:]} {answer.stderr[-3000:]}"
        found: dict[str, Any] = json.loads(answer.stdout.splitlines()[-1])
        return found

    def submit(self, name: str, *words: str, spec: str = "slow.py") -> str:
        """Send the slow sweep under this name."""
        return str(self.asked("submit", f"search_spaces/{spec}", "--name", name, *words)["sweep"])

    def trials(self, name: str) -> list[Trial]:
        """Every trial of the study, as the head reads it from PostgreSQL."""
        answer = self.stack.hosts["ray-head-1"].run("python", "-c", TOLD.format(name=name))
        assert answer.returncode == 0, answer.stderr[-2000:]
        return [Trial(*row) for row in json.loads(answer.stdout.splitlines()[-1])]

    def ended(self, name: str) -> dict[int, Trial]:
        """Those that have ended, by number."""
        return {trial.number: trial for trial in self.trials(name) if trial.state != "RUNNING"}

    def runs(self, name: str) -> list[dict[str, Any]]:
        """Every run of the record, as this client reads it from MLflow."""
        host = self.stack.hosts[self.host]
        answer = host.run("python", "-c", RECORDED.format(name=name), **self.environment)
        assert answer.returncode == 0, answer.stderr[-2000:]
        found: list[dict[str, Any]] = json.loads(answer.stdout.splitlines()[-1])
        return found

    def fetched(self, name: str) -> list[int]:
        """The winner's weights out of the record, with MLflow's own tool; the shape of what they say of two inputs."""
        (sweep,) = (run["id"] for run in self.runs(name) if run["parent"])
        host, there = self.stack.hosts[self.host], f"{self.project}/fetched"
        words = ["--run-id", sweep, "--artifact-path", "winner", "--dst-path", there]
        answer = host.run("mlflow", "artifacts", "download", *words, **self.environment)
        assert answer.returncode == 0, answer.stderr[-2000:]
        loads = f"cd {self.project} && PYTHONPATH=. python -c '{LOADED}' {there}/winner"
        answer = host.run("sh", "-c", loads)
        assert answer.returncode == 0, answer.stderr[-2000:]
        found: list[int] = json.loads(answer.stdout.splitlines()[-1])
        return found

    def finished(self, name: str, seconds: float = PATIENCE) -> float:
        """Watch until it is finished; how long that took."""
        began = time.monotonic()
        watched = self.run("watch", name, "--wait", "60", seconds=seconds)
        assert watched.returncode == 0, f"{watched.stdout[-2000:]} {watched.stderr[-2000:]} {self.driver(name)}"
        return time.monotonic() - began

    def until(self, name: str, reached: Callable[[dict[int, Trial]], bool], seconds: float = PATIENCE) -> None:
        """Wait until the trials that have ended are as wanted."""
        began = time.monotonic()
        while not reached(self.ended(name)):
            assert time.monotonic() - began < seconds, f"{name} does not get there: {self.driver(name)}"
            time.sleep(0.5)

    def driver(self, name: str) -> str:
        """The end of what the sweep's drivers have said."""
        logs = self.stack.logs()
        return "".join(text[-1500:] for place, text in logs.items() if f"job-driver-{name}" in place)

    def seen_by(self, since: float) -> set[str]:
        """The hosts that have trained since this time."""
        folder = self.stack.folder / "volumes" / "home" / "seen"
        return {path.name for path in folder.glob("*") if path.stat().st_mtime > since}

    def trains(self, hosts: set[str], since: float) -> float:
        """Wait until one of these hosts has trained since this time; how many seconds that is after it."""
        while not self.seen_by(since) & hosts:
            assert time.time() - since < PATIENCE, f"none of {hosts} trains"
            time.sleep(0.1)
        return time.time() - since

    def listed(self, name: str) -> dict[str, Any]:
        """What `searchlab list` says of this sweep."""
        (row,) = [row for row in self.asked("list")["sweeps"] if row["sweep"] == name]
        return dict(row)

    @contextlib.contextmanager
    def under_way(
        self, name: str, trials: int, fuse: int, *words: str, pace: float = 0.3
    ) -> Iterator[dict[int, Trial]]:
        """Send the slow sweep, and wait until a few of its trials have ended, which the block gets; it goes on slowly
        to the end of the block."""
        with self.pace(pace):
            self.submit(name, "--trials", str(trials), "--fuse", str(fuse), *words)
            self.until(name, lambda ended: len(ended) >= 4)
            before = self.ended(name)
            assert len(before) < trials
            yield before

    @contextlib.contextmanager
    def pace(self, pause: float) -> Iterator[None]:
        """Every epoch of the slow sweep takes so many seconds, whatever it was sent with, to the end of the block."""
        pace = self.stack.folder / "volumes" / "home" / "pace"
        write_atomically(pace, str(pause).encode())
        pace.chmod(0o644)
        try:
            yield
        finally:
            pace.unlink()

    def bucket(self) -> list[str]:
        """What lies in the bucket `kept` of the store, which is made if need be, as the head sees it."""
        answer = self.stack.hosts["ray-head-1"].run("python", "-c", BUCKET)
        assert answer.returncode == 0, answer.stderr[-2000:]
        found: list[str] = json.loads(answer.stdout.splitlines()[-1])
        return found

    def folder(self, name: str) -> Path:
        """The sweep's own, on the volume that head and workers share."""
        return self.stack.folder / "volumes" / "home" / "sweeps" / name
