"""The command line: what it prints, and its exit codes."""

from __future__ import annotations

import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest

from searchlab.cli import execute

ROOT = Path(__file__).parents[1]
QUICK = ["--engine", "local", "--trials", "2", "--epochs", "2", "--no-tracking"]
SPIRAL = str(ROOT / "search_spaces" / "spiral_mlp.py")

GOOD = """
from models.mlp import MLP
from searchlab import *
sweep = Sweep(name="mine", data=Spiral(points=20), validation=KFold(2), metric=Accuracy(),
              model=Space(MLP, hidden={hidden}), optimizer=Space(SGD, lr={lr}),
              training=Space(Trainer, epochs=2), trials=2)
"""


def searchlab(*arguments, cwd=ROOT, home=None):
    """Run the command line in this process, as `main` does, in a folder and with a home of its own."""
    changes = {"COLUMNS": "120"} | ({"SEARCHLAB_HOME": str(home)} if home else {})
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        for name, value in changes.items():
            patch.setenv(name, value)
        patch.chdir(cwd)
        patch.setattr(sys, "path", [*sys.path])
        code = execute([*map(str, arguments)])
    return subprocess.CompletedProcess(arguments, code, out.getvalue(), err.getvalue())


def searchlab_process(*arguments, cwd=ROOT, home=None):
    """Run the command line in a process of its own, and wait for its end."""
    environment = {**os.environ, "COLUMNS": "120", **({"SEARCHLAB_HOME": str(home)} if home else {})}
    command = [sys.executable, "-m", "searchlab.cli", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=120)


def sentence(done, code):
    """The one sentence on stderr that a run ended with."""
    assert done.returncode == code, done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("searchlab: ")]
    assert len(lines) == 1, done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    return lines[0]


def write(folder, text, name="mine.py"):
    path = folder / name
    path.write_text(text)
    (folder / "models").symlink_to(ROOT / "models")
    return path


def test_help_is_light():
    """Nothing heavy is imported for help: that is what makes it come at once, whatever the machine."""
    heavy = ["numpy", "ray", "optuna", "mlflow", "matplotlib"]
    code = f"""
import sys
from searchlab.cli import execute
assert execute(["--help"]) == 0 and execute(["run", "--help"]) == 0
loaded = [name for name in {heavy} if name in sys.modules]
assert not loaded, loaded
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    for verb in ("show", "run", "resume", "list", "ui", "doctor"):
        assert f"\n  {verb} " in done.stdout


def test_show_tells_what_is_open_fixed_and_fused():
    done = searchlab_process("show", ROOT / "search_spaces" / "digits_mlp.py", "--json")
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["trials"] == 40
    assert told["structures"] == 27
    assert told["arguments"]["training.epochs"] == 20
    assert [told["memory"][end]["parameter_count"] for end in ("smallest", "largest")] == [2410, 9610]
    assert told["memory"]["max_trials"] > 0
    assert "2,410 to 9,610 parameters" in done.stderr
    line = next(line for line in done.stderr.splitlines() if line.startswith("optimizer.SGD.lr"))
    assert "0.01 to 1, log" in line
    assert line.rstrip().endswith("may differ")


GRID = """
from models.mlp import MLP
from searchlab import *
sweep = Sweep(name="mine", data=Spiral(points=20), validation=KFold(2), metric=Accuracy(),
              model=Space(MLP, hidden=Choice(4, 8, 12)), training=Space(Trainer, epochs=2),
              optimizer=Choice(Space(SGD, lr={lr}), Space(Adam, lr=Choice(0.01, 0.1))),
              sampler=Grid(), early_stopping=EarlyStopping(patience=3){trials})
"""


def test_show_counts_a_grid_up(tmp_path):
    path = write(tmp_path, GRID.format(lr="Choice(0.1, 0.5, 1.0)", trials=""))
    done = searchlab("show", path, "--json")
    told = json.loads(done.stdout.splitlines()[-1])
    assert (told["trials"], told["combinations"], told["structures"]) == (15, 15, 6)
    assert told["sampler"] == {"kind": "Grid"}
    assert told["early_stopping"]["patience"] == 3
    assert "mine: 15 trials with 2 folds" in done.stderr
    assert "sampler Grid(): 15 combinations, early stopping EarlyStopping(patience=3, min_delta=0.0)" in done.stderr
    assert "6 structures" in done.stderr


@pytest.mark.parametrize(
    ("lr", "trials", "options", "told"),
    [
        ("0.1", "", ["--trials", "200"], "the grid has 9 combinations, and trials=200 is more"),
        ("0.1", ", trials=10", [], "the grid has 9 combinations, and trials=10 is more"),
        ("Float(0.1, 1.0)", "", [], "Grid() tries every value, and optimizer.SGD.lr is a range without a step"),
        ("Choice(*range(1, 200_000))", "", [], "the grid has more than 100,000 combinations"),
        ("Choice(*range(1, 90_000))", "", [], "the grid has 270,003 combinations"),
        (
            "0.1",
            "",
            ["--set", "sampler=grid"],
            "such as TPE(), Random() or Grid(), or a sampler object of Optuna, got 'grid'",
        ),
        ("0.1", ", trials=0", [], "at least 1, got 0"),
        ("0.1", "", ["--set", "early_stopping.patience=0"], "at least 1, got 0"),
    ],
)
def test_a_grid_that_cannot_be_tried_is_one_sentence(tmp_path, lr, trials, options, told):
    path = write(tmp_path, GRID.format(lr=lr, trials=trials))
    assert told in sentence(searchlab("run", path, *options, cwd=tmp_path, home=tmp_path / "home"), 2)
    assert not (tmp_path / "home").exists()


@pytest.mark.slow
def test_a_grid_is_tried_in_part_and_then_to_its_end(home, tmp_path):
    path = write(tmp_path, GRID.format(lr="0.1", trials=""))
    done = searchlab_process(
        "run", path, "--engine", "local", "--trials", "4", "--no-tracking", "--json", home=home, cwd=tmp_path
    )
    assert json.loads(done.stdout)["trials"]["complete"] == 4
    told = sentence(searchlab_process("resume", "mine", "--trials", "10", home=home, cwd=tmp_path), 2)
    assert "the grid has 9 combinations, and trials=10 is more" in told
    more = searchlab_process("resume", "mine", "--trials", "9", "--json", home=home, cwd=tmp_path)
    assert json.loads(more.stdout)["trials"] == {"asked": 9, "complete": 9, "pruned": 0, "failed": 0}


@pytest.mark.slow
def test_run_list_and_resume_speak_json(home):
    done = searchlab_process("run", SPIRAL, *QUICK[:-1], "--json", home=home)
    assert done.returncode == 0, done.stderr
    (line,) = done.stdout.splitlines()
    told = json.loads(line)
    assert told["trials"] == {"asked": 2, "complete": 2, "pruned": 0, "failed": 0}
    assert set(told) == {
        "sweep", "state", "trials", "over", "best", "seconds", "artifact", "report", "tracking_uri", "run_id"
    }  # fmt: skip
    assert {"trial", "score", "std", "folds", "params"} <= set(told["best"])
    assert set(told["seconds"]) == {"total", "start", "search", "winner"}
    assert (Path(told["artifact"]) / "weights.npz").exists()
    assert "winner" in done.stderr
    assert "searchlab ui" in done.stderr

    (sweep,) = json.loads(searchlab_process("list", "--json", home=home).stdout)["sweeps"]
    assert (sweep["sweep"], sweep["state"], sweep["complete"]) == ("spiral-mlp", "finished", 2)

    more = searchlab_process("resume", "spiral-mlp", "--trials", "3", "--json", home=home)
    again = json.loads(more.stdout)
    assert again["trials"]["complete"] == 3
    assert again["run_id"] == told["run_id"]


def test_run_prints_the_best_trials_and_where_everything_lies(home):
    done = searchlab_process("run", SPIRAL, *QUICK, "--name", "named", home=home)
    assert done.returncode == 0, done.stderr
    for word in ("named: 2 trials", "accuracy", "hidden", "winner", "test accuracy", "artifact", "report"):
        assert word in done.stdout


def test_run_tells_that_a_group_is_cut(home):
    large = [
        "--set",
        "model.hidden=30",
        "--set",
        "model.layers=2",
        "--set",
        "optimizer=Adam",
        "--fuse",
        "3",
        "--trials",
        "3",
    ]
    done = searchlab(
        "run", SPIRAL, "--engine", "local", "--epochs", "1", "--no-tracking", *large, "--memory", "0.0005", home=home
    )
    assert done.returncode == 0, done.stderr
    assert "of a group of 3 trials, 1 at a time" in " ".join(done.stdout.split())


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("from searchlab import *", "has no `sweep`"),
        ("sweep = 3", "has a `sweep` of type int"),
        ("import nowhere", "line 1: ModuleNotFoundError: No module named 'nowhere'"),
        ("x = (", "line 1: SyntaxError"),
        (GOOD.format(hidden="Int(5, 10)", lr="0.1").replace("hidden=", "hiden="), "did you mean 'hidden'?"),
        (GOOD.format(hidden="Int(10, 5)", lr="0.1"), "empty range"),
        (GOOD.format(hidden="Int(5, 10)", lr="Float(0, 1, log=True)"), "low end above 0"),
        (GOOD.format(hidden="Int(5, 10).when(layers=3)", lr="0.1"), "but 'layers' is not"),
        (GOOD.format(hidden="Int(5, 10).when(layers=3), layers=Int(1, 2)", lr="0.1"), "which is impossible"),
        (GOOD.format(hidden="5", lr="0.1").replace("KFold(2)", "KFold(99)"), "KFold(99) needs at least 99"),
    ],
)
def test_a_bad_sweep_file_is_one_sentence(tmp_path, text, told):
    path = write(tmp_path, text)
    assert told in sentence(searchlab("run", path, cwd=tmp_path, home=tmp_path / "home"), 2)
    assert not (tmp_path / "home").exists()


def test_a_sweep_file_that_is_not_there_is_one_sentence(tmp_path):
    write(tmp_path, "x = 1", "other.py")
    told = sentence(searchlab("run", tmp_path / "mine.py", home=tmp_path / "home"), 2)
    assert "there is no sweep file" in told
    assert "other.py" in told


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--trials", "0"], "at least 1"),
        (["--epochs", "0"], "at least 1"),
        (["--set", "model.hidden"], "PATH=VALUE"),
        (["--set", "model.hiden=3"], "hiden"),
        (["--fuse", "many"], "--fuse is 'auto' or a number"),
        (["--engine", "spark"], "spark"),
        (["--memory", "0"], "memory is a number of GB above 0"),
        (["--memory", "0.00002"], "and a worker has 20 kB"),
    ],
)
def test_a_bad_option_is_one_sentence(tmp_path, options, told):
    done = searchlab("run", SPIRAL, *options, "--json", home=tmp_path / "home")
    assert told in sentence(done, 2)
    assert told in json.loads(done.stdout)["error"]


def test_a_home_that_cannot_be_written_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    told = sentence(searchlab("run", SPIRAL, "--engine", "local", home=tmp_path / "file"), 2)
    assert "cannot be written" in told
    assert "SEARCHLAB_HOME" in told


def test_a_name_used_with_another_space_is_one_sentence(home):
    assert searchlab("run", SPIRAL, *QUICK, home=home).returncode == 0
    told = sentence(searchlab("run", SPIRAL, *QUICK, "--set", "model.layers=1", home=home), 2)
    assert "already used with another space" in told
    assert "--name spiral-mlp-2" in told


def test_a_sweep_in_which_all_trials_fail_says_so(home, tmp_path):
    path = write(tmp_path, GOOD.format(hidden="5", lr="Float(1e6, 1e7)"))
    done = searchlab_process("run", path, "--engine", "local", "--no-tracking", "--json", home=home, cwd=tmp_path)
    assert done.returncode == 1
    assert json.loads(done.stdout)["trials"] == {"asked": 2, "complete": 0, "pruned": 0, "failed": 2}
    assert "every trial failed" in done.stderr
    assert "diverged" in done.stderr


def test_resume_of_nothing_is_one_sentence(tmp_path):
    assert "there are: none yet" in sentence(searchlab("resume", "x", home=tmp_path / "home"), 2)


def test_doctor_looks_at_this_machine(tmp_path):
    done = searchlab_process("doctor", "--json", home=tmp_path / "home")
    findings = {finding["what"]: finding for finding in json.loads(done.stdout.splitlines()[-1])["findings"]}
    assert done.returncode == 0
    assert all(findings[what]["fine"] for what in ("python", "ray", "optuna", "mlflow", "digits", "home"))


def test_ui_without_a_record_is_one_sentence(tmp_path):
    assert "no record" in sentence(searchlab("ui", home=tmp_path / "home"), 2)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ui_serves_the_dashboard_until_it_is_told_to_end(home, free_port, number):
    command = [sys.executable, "-m", "searchlab.cli", "ui", "--port", str(free_port), "--home", str(home)]
    server = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{free_port}/", timeout=5) as answer:
                    assert b"MLflow" in answer.read()
                break
            except OSError:
                assert server.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.3)
        taken = searchlab_process("ui", "--port", free_port, home=home)
        assert "is taken" in sentence(taken, 1)
        server.send_signal(number)
        assert server.wait(30) == 0
        with socket.socket() as probe:  # the server behind it is gone too
            assert probe.connect_ex(("127.0.0.1", free_port)) != 0
    finally:
        if server.poll() is None:
            server.terminate()
            server.wait(30)
