"""What the world does to a sweep, with real parts: a second owner, a server that is away, full disks, odd clocks."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from contextlib import ExitStack
from datetime import datetime, timedelta

import pytest
from mlflow import MlflowClient

from searchlab.engine import local
from searchlab.errors import WorldFault
from searchlab.runner.resume import resume
from searchlab.runs.events import EventBuffer, TrialFinished
from searchlab.space.budget import Budget
from searchlab.study.study import Study
from searchlab.tracking import recorder
from tests.conftest import ROOT
from tests.jobs import make_job, run
from tests.sweeps import spiral_sweep
from tests.terminal import ENDLESS, Terminal
from tests.test_tracking import server_on, wait_for

pytestmark = pytest.mark.slow


@pytest.fixture
def terminal(home):
    opened = Terminal(home)
    yield opened
    opened.clear()


def test_a_sweep_at_work_is_refused_to_a_second_process_and_a_dead_one_holds_nothing(terminal, tmp_path):
    beats, spec = tmp_path / "beats", tmp_path / "endless.py"
    spec.write_text(ENDLESS.replace("BEATS", repr(str(beats))))
    owner = terminal.start("run", spec, "--engine", "local", "--fuse", 1)
    terminal.wait_until(owner, beats.exists)
    for words in (["resume", "endless"], ["run", spec, "--engine", "local", "--fuse", 1, "--name", "endless"]):
        second = terminal.start(*words)
        assert second.wait(120) == 2
        (said,) = [line for line in terminal.stderr(second).splitlines() if "endless: " not in line]
        assert said.startswith("searchlab: ")
        assert f"is being run by process {owner.pid}; one at a time." in said or "is taken" in said
    assert owner.poll() is None
    owner.kill()
    owner.wait()
    beats.unlink()
    heir = terminal.start("resume", "endless")
    terminal.wait_until(heir, beats.exists)
    assert [trial.state for trial in terminal.trials("endless")] == ["RUNNING"]


class Watched:
    """A watcher that does something when so many trials have ended."""

    def __init__(self, **at):
        self.at, self.count = {int(number.lstrip("n")): act for number, act in at.items()}, 0

    def handle(self, event):
        if isinstance(event, TrialFinished):
            self.count += 1
            self.at.get(self.count, lambda: None)()


@pytest.fixture
def server(home, free_port):
    """A server that may be started and killed several times."""
    with ExitStack() as stack:
        yield Server(home, free_port, stack)


class Server:
    """MLflow's, over the store of a home."""

    def __init__(self, home, port, stack):
        self.home, self.uri = home, f"http://127.0.0.1:{port}"
        self.start, self.kill = lambda: stack.enter_context(server_on(home, port)), stack.close

    def missed(self):
        """How often the recording process has found nobody there."""
        log = self.home / "mlflow.log"
        return log.read_text().count("does not take the record now") if log.exists() else 0


def recorded(home, sweep):
    """By trial the status and the epochs that MLflow has; the sweep's own run under None."""
    client = MlflowClient(f"sqlite:///{home}/mlflow.db")
    found = {}
    for one in client.search_runs([client.get_experiment_by_name(sweep).experiment_id], max_results=1000):
        number = one.data.tags.get("searchlab.trial")
        points = client.get_metric_history(one.info.run_id, "accuracy")
        assert number not in found, "a trial has two runs"
        found[number and int(number)] = one.info.status, sorted(point.step for point in points)
    return found


def test_a_server_that_is_away_costs_the_sweep_nothing_and_its_record_is_completed_later(home, server, monkeypatch):
    """It is away for a while, comes back, goes again, and stays away for longer than the end of the sweep."""
    (home / "alone").mkdir()
    job = make_job(spiral_sweep(9), "spiral", home / "alone" / "study.journal", home / "alone", trials=9, fuse=1)
    alone = local.search(job, EventBuffer()).trials

    def back():
        wait_for(lambda: server.missed() >= 3)
        server.start()
        wait_for(lambda: len(recorded(home, "spiral")) > 4)

    server.start()
    watcher = Watched(n2=server.kill, n5=back, n7=server.kill)
    with monkeypatch.context() as hurry:
        hurry.setattr(recorder, "PATIENCE", 2.0)
        told = r"The record of spiral in MLflow is not complete.*`searchlab resume spiral` completes"
        with pytest.raises(WorldFault, match=told):
            run(spiral_sweep(9), engine="local", home=home, fuse=1, tracking_uri=server.uri, display=watcher)
    server.start()
    result = resume("spiral", home=home, sweep=spiral_sweep(9))
    assert facts(result.trials) == facts(alone)
    assert recorded(home, "spiral") == {n: ("FINISHED", [1, 2, 3]) for n in range(9)} | {None: ("FINISHED", [])}


DISK = """
set -u
mkdir -p "$1"; cp "$2" "$OUT/mlflow.db"
mount -t tmpfs -o size=3m tmpfs "$1"
cp "$OUT/mlflow.db" "$1"
searchlab() { "$PYTHON" -m searchlab.cli "$@" --home "$HOME_FOLDER"; }
"""


def on_a_disk(tmp_path, home, script):
    """Run a shell script in which $HOME_FOLDER is a file system of 3 MB; its steps' exit codes and words."""
    if not shutil.which("unshare") or subprocess.run(["unshare", "--mount", "true"], capture_output=True).returncode:
        pytest.skip("file systems cannot be mounted here")
    disk, out = tmp_path / "disk", tmp_path / "out"
    out.mkdir()
    environment = {"OUT": str(out), "PYTHON": sys.executable, "HOME_FOLDER": str(disk), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        ["unshare", "--mount", "bash", "-c", DISK + script, "bash", str(disk), str(home / "mlflow.db")],
        cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return {file.stem: file.read_text() for file in out.glob("*.*") if file.suffix in (".code", ".err")} | {
        "codes": [int(code) for code in (out / "codes").read_text().split()]
    }


def sentence(said):
    """The one line that a command has ended with."""
    assert "Traceback" not in said, said
    (line,) = [line for line in said.splitlines() if line.startswith("searchlab: ")]
    return line


def test_a_disk_that_is_full_or_read_only_is_one_sentence_and_nothing_is_lost(tmp_path, home):
    told = on_a_disk(
        tmp_path,
        home,
        """
        J="$1/sweeps/spiral-mlp/study.journal"
        head -c $(( $(df --output=avail -B1 "$1" | tail -1) - 120000 )) /dev/zero > "$1/ballast"
        searchlab run search_spaces/spiral_mlp.py --workers 2 --trials 30 --epochs 40 2> "$OUT/full.err"
        echo $? >> "$OUT/codes"
        rm "$1/ballast"; mount -o remount,size=200m "$1"
        mount --bind "$J" "$J"; mount -o remount,bind,ro "$J"
        searchlab resume spiral-mlp 2> "$OUT/journal.err"; echo $? >> "$OUT/codes"
        umount "$J"; mount -o remount,ro "$1"
        searchlab resume spiral-mlp 2> "$OUT/home.err"; echo $? >> "$OUT/codes"
        mount -o remount,rw "$1"
        searchlab resume spiral-mlp --json > "$OUT/told.json"; echo $? >> "$OUT/codes"
        """,
    )
    assert told["codes"] == [1, 1, 2, 0], told
    assert "cannot be written (No space left on device)" in sentence(told["full"])
    assert "is kept" in sentence(told["full"])
    assert "study.journal cannot be written (Read-only file system)" in sentence(told["journal"])
    assert "cannot be written (Read-only file system)" in sentence(told["home"])
    trials = json.loads((tmp_path / "out" / "told.json").read_text().splitlines()[-1])["trials"]
    assert trials["asked"] == trials["complete"] + trials["pruned"] == 30


class Jumping:
    """A clock that is an hour slow after some looks at it and a day fast after some more."""

    def __init__(self, now):
        self.now, self.looks = now, 0

    def ahead(self):
        self.looks += 1
        return 0 if self.looks < 15 else -3600 if self.looks < 30 else 86_400

    def __call__(self):
        return self.now() + self.ahead()


def facts(trials):
    return [(t.number, t.state, t.parameters, t.value, t.reason, t.curve.scores) for t in trials]


def test_a_clock_that_jumps_changes_nothing(tmp_path, monkeypatch):
    sweep = spiral_sweep(budget=Budget(seconds=600.0, patience=40))

    def search(folder, trials=12):
        place = tmp_path / folder
        return local.search(
            make_job(sweep, "spiral", place / "study.journal", place / "checkpoints", trials), EventBuffer()
        )

    for folder in ("steady", "jumping"):
        (tmp_path / folder).mkdir()
    steady = search("steady")
    clock, day = Jumping(time.time), Jumping(lambda: 0.0)

    class Calendar(datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime.now(tz) + timedelta(seconds=day())

    monkeypatch.setattr(time, "time", clock)
    monkeypatch.setattr("optuna.storages.journal._storage.datetime", Calendar)
    search("jumping", trials=5)
    jumping = search("jumping")
    assert clock.looks > 40
    assert day.looks > 20
    assert facts(jumping.trials) == facts(steady.trials)
    assert (jumping.over, steady.over) == (None, None)
    spent = [study_of(sweep, tmp_path / folder).store.budget_usage for folder in ("steady", "jumping")]
    assert spent[0].trials_since_best == spent[1].trials_since_best
    assert spent[1].seconds < 600.0


def study_of(sweep, folder):
    study = Study(make_job(sweep, "spiral", folder / "study.journal", folder / "checkpoints", trials=12), EventBuffer())
    study.close()
    return study
