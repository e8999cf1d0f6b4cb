"""The command line: what it prints, and its exit codes."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from tests.command_line import error_message, run_cli, run_cli_process, write_sweep_file
from tests.conftest import ROOT
from tests.waiting import DEADLINE

QUICK = ["--engine", "local", "--trials", "2", "--epochs", "2", "--no-tracking"]
SPIRAL = str(ROOT / "search_spaces" / "spiral_mlp.py")

SWEEP_FILE = """
from models.mlp import MLP
from searchlab import *
sweep = Sweep(name="mine", data=Spiral(points=20), validation=KFold(2), metric=Accuracy(),
              model=Space(MLP, hidden={hidden}), optimizer=Space(SGD, lr={lr}),
              training=Space(Trainer, epochs=2), trials=2)
"""
GRID_FILE = """
from models.mlp import MLP
from searchlab import *
sweep = Sweep(name="mine", data=Spiral(points=20), validation=KFold(2), metric=Accuracy(),
              model=Space(MLP, hidden=Choice(4, 8, 12)), training=Space(Trainer, epochs=2),
              optimizer=Choice(Space(SGD, lr={lr}), Space(Adam, lr=Choice(0.01, 0.1))),
              sampler=Grid(), early_stopping=EarlyStopping(patience=3){trials})
"""


def test_help_imports_no_large_package():
    """Help is printed at once because nothing that takes time is imported for it."""
    heavy = ["numpy", "ray", "optuna", "mlflow", "matplotlib"]
    code = f"""
import sys
from searchlab.cli import execute
assert execute(["--help"]) == 0 and execute(["run", "--help"]) == 0
loaded = [name for name in {heavy} if name in sys.modules]
assert not loaded, loaded
"""
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert finished.returncode == 0, finished.stderr
    for command in ("show", "run", "resume", "list", "ui", "doctor"):
        assert f"\n  {command} " in finished.stdout


def test_show_prints_structures_arguments_and_memory():
    finished = run_cli_process("show", ROOT / "search_spaces" / "digits_mlp.py", "--json")
    result = json.loads(finished.stdout.splitlines()[-1])
    assert result["trials"] == 40
    assert result["structures"] == 27
    assert result["arguments"]["training.epochs"] == 20
    assert [result["memory"][end]["parameter_count"] for end in ("smallest", "largest")] == [2410, 9610]
    assert result["memory"]["max_trials"] > 0
    assert "2,410 to 9,610 parameters" in finished.stderr
    line = next(line for line in finished.stderr.splitlines() if line.startswith("optimizer.SGD.lr"))
    assert "0.01 to 1, log" in line
    assert line.rstrip().endswith("may differ")


def test_show_counts_the_combinations_of_a_grid(tmp_path):
    path = write_sweep_file(tmp_path, GRID_FILE.format(lr="Choice(0.1, 0.5, 1.0)", trials=""))
    finished = run_cli("show", path, "--json")
    result = json.loads(finished.stdout.splitlines()[-1])
    assert (result["trials"], result["combinations"], result["structures"]) == (15, 15, 6)
    assert result["sampler"] == {"kind": "Grid"}
    assert result["early_stopping"]["patience"] == 3
    assert "mine: 15 trials with 2 folds" in finished.stderr
    assert "15 combinations, early stopping EarlyStopping(patience=3" in finished.stderr
    assert "6 structures" in finished.stderr


@pytest.mark.parametrize(
    ("lr", "trials", "options", "message"),
    [
        ("0.1", "", ["--trials", "200"], "9 combinations, and trials=200"),
        ("0.1", ", trials=10", [], "9 combinations, and trials=10"),
        ("Float(0.1, 1.0)", "", [], "optimizer.SGD.lr is a range without a step"),
        ("Choice(*range(1, 200_000))", "", [], "more than 100,000 combinations"),
        ("Choice(*range(1, 90_000))", "", [], "270,003 combinations"),
        ("0.1", "", ["--set", "sampler=grid"], "Grid(), or a sampler object of Optuna, got 'grid'"),
        ("0.1", ", trials=0", [], "at least 1, got 0"),
        ("0.1", "", ["--set", "early_stopping.patience=0"], "at least 1, got 0"),
    ],
)
def test_an_invalid_grid_is_rejected_before_anything_is_written(tmp_path, lr, trials, options, message):
    path = write_sweep_file(tmp_path, GRID_FILE.format(lr=lr, trials=trials))
    assert message in error_message(run_cli("run", path, *options, cwd=tmp_path, home=tmp_path / "home"), 2)
    assert not (tmp_path / "home").exists()


def test_a_partly_searched_grid_can_be_completed(home, tmp_path):
    path = write_sweep_file(tmp_path, GRID_FILE.format(lr="0.1", trials=""))
    finished = run_cli(
        "run", path, "--engine", "local", "--trials", "4", "--no-tracking", "--json", home=home, cwd=tmp_path
    )
    assert json.loads(finished.stdout)["trials"]["complete"] == 4
    error = error_message(run_cli("resume", "mine", "--trials", "10", home=home, cwd=tmp_path), 2)
    assert "9 combinations" in error
    assert "trials=10" in error
    wrong = run_cli("resume", "mine", "--trials", "more", home=home, cwd=tmp_path)
    assert (wrong.returncode, "neither a number of trials nor +N" in wrong.stderr) == (2, True)
    more = run_cli("resume", "mine", "--trials", "+5", "--json", home=home, cwd=tmp_path)
    assert json.loads(more.stdout)["trials"] == {"asked": 9, "complete": 9, "pruned": 0, "failed": 0}


@pytest.mark.slow
def test_run_list_and_resume_print_json(home):
    finished = run_cli_process("run", SPIRAL, *QUICK[:-1], "--json", home=home)
    assert finished.returncode == 0, finished.stderr
    (line,) = finished.stdout.splitlines()
    result = json.loads(line)
    assert result["trials"] == {"asked": 2, "complete": 2, "pruned": 0, "failed": 0}
    assert set(result) == {
        "sweep", "state", "trials", "over", "best", "seconds", "artifact", "report", "tracking_uri", "run_id",
        "registered", "record_fault",
    }  # fmt: skip
    assert {"trial", "score", "std", "folds", "params"} <= set(result["best"])
    assert set(result["seconds"]) == {"total", "start", "search", "finalists", "winner", "record"}
    assert (Path(result["artifact"]) / "weights.npz").exists()
    assert "winner" in finished.stderr
    assert "searchlab ui" in finished.stderr

    (sweep,) = json.loads(run_cli("list", "--json", home=home).stdout)["sweeps"]
    assert (sweep["sweep"], sweep["state"], sweep["complete"]) == ("spiral-mlp", "finished", 2)

    more = run_cli("resume", "spiral-mlp", "--trials", "3", "--json", home=home)
    extended = json.loads(more.stdout)
    assert extended["trials"]["complete"] == 3
    assert extended["run_id"] == result["run_id"]


def test_run_prints_the_best_trials_the_winner_and_its_files(home):
    finished = run_cli("run", SPIRAL, *QUICK, "--name", "named", home=home)
    assert finished.returncode == 0, finished.stderr
    for word in ("named: 2 trials", "accuracy", "hidden", "winner", "test accuracy", "artifact", "report"):
        assert word in finished.stdout


def test_run_reports_a_group_that_is_split_to_fit_in_memory(home):
    options = ["--engine", "local", "--epochs", "1", "--no-tracking", "--fuse", "3", "--trials", "3"]
    for setting in ("model.hidden=30", "model.layers=2", "optimizer=Adam"):
        options += ["--set", setting]
    finished = run_cli("run", SPIRAL, *options, "--memory", "0.0005", home=home)
    assert finished.returncode == 0, finished.stderr
    assert "of a group of 3 trials, 1 at a time" in " ".join(finished.stdout.split())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("from searchlab import *", "has no `sweep`"),
        ("sweep = 3", "has a `sweep` of type int"),
        ("import nowhere", "line 1: ModuleNotFoundError: No module named 'nowhere'"),
        ("x = (", "line 1: SyntaxError"),
        (
            "from searchlab import Sweep\nSweep(dta=1)",
            "line 2: Sweep has no argument 'dta'; did you mean 'data'? It has: ",
        ),
        (
            "import searchlab as s\ns.KFold(fold=5)",
            "line 2: KFold has no argument 'fold'; did you mean 'folds'? It has: ",
        ),
        (
            "from searchlab import *\nfrom models.mlp import MLP\nSpace(MLP())",
            "line 3: MLP is built by the search; give",
        ),
        ("def f(*, a): ...\nf(b=1)", "line 2: f has no argument 'b'; it has: a."),
        (SWEEP_FILE.format(hidden="Int(5, 10)", lr="0.1").replace("hidden=", "hiden="), "did you mean 'hidden'?"),
        (SWEEP_FILE.format(hidden="Int(10, 5)", lr="0.1"), "empty range"),
        (SWEEP_FILE.format(hidden="Int(5, 10)", lr="Float(0, 1, log=True)"), "low end above 0"),
        (SWEEP_FILE.format(hidden="Int(5, 10).when(layers=3)", lr="0.1"), "but 'layers' is not"),
        (SWEEP_FILE.format(hidden="Int(5, 10).when(layers=3), layers=Int(1, 2)", lr="0.1"), "which is impossible"),
        (SWEEP_FILE.format(hidden="5", lr="0.1").replace("KFold(2)", "KFold(99)"), "KFold(99) needs at least 99"),
    ],
)
def test_an_invalid_sweep_file_is_rejected_before_anything_is_written(tmp_path, text, message):
    path = write_sweep_file(tmp_path, text)
    assert message in error_message(run_cli("run", path, cwd=tmp_path, home=tmp_path / "home"), 2)
    assert not (tmp_path / "home").exists()


def test_a_missing_sweep_file_is_reported_with_the_files_that_exist(tmp_path):
    write_sweep_file(tmp_path, "x = 1", "other.py")
    error = error_message(run_cli("run", tmp_path / "mine.py", home=tmp_path / "home"), 2)
    assert "there is no sweep file" in error
    assert "other.py" in error


@pytest.mark.parametrize(
    ("options", "message"),
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
def test_an_invalid_option_is_rejected(tmp_path, options, message):
    finished = run_cli("run", SPIRAL, *options, "--json", home=tmp_path / "home")
    assert message in error_message(finished, 2)
    assert message in json.loads(finished.stdout)["error"]


def test_a_home_folder_that_cannot_be_written_is_reported(tmp_path):
    (tmp_path / "file").write_text("")
    error = error_message(run_cli("run", SPIRAL, "--engine", "local", home=tmp_path / "file"), 2)
    assert "cannot be written" in error
    assert "SEARCHLAB_HOME" in error


def test_a_run_of_an_edited_sweep_takes_the_next_free_name_and_says_so(home):
    for number, edit in ((1, []), (2, ["--set", "model.layers=1"]), (3, [])):
        finished = run_cli("run", SPIRAL, *QUICK, *edit, home=home)
        assert finished.returncode == 0
        said = [line for line in finished.stdout.splitlines() if "is taken" in line]
        assert len(said) == (number > 1)
        assert all(f"'spiral-mlp-{number}'" in line for line in said)
    assert {path.name for path in (home / "sweeps").glob("*")} == {"spiral-mlp", "spiral-mlp-2", "spiral-mlp-3"}
    assert "is taken" in error_message(run_cli("run", SPIRAL, *QUICK, "--name", "spiral-mlp", home=home), 2)


def test_a_sweep_in_which_all_trials_fail_prints_the_reasons(home, tmp_path):
    path = write_sweep_file(tmp_path, SWEEP_FILE.format(hidden="5", lr="Float(1e6, 1e7)"))
    finished = run_cli_process("run", path, "--engine", "local", "--no-tracking", "--json", home=home, cwd=tmp_path)
    assert finished.returncode == 1
    assert json.loads(finished.stdout)["trials"] == {"asked": 2, "complete": 0, "pruned": 0, "failed": 2}
    assert "every trial failed" in finished.stderr
    assert "diverged" in finished.stderr


def test_resume_of_a_missing_sweep_is_rejected(tmp_path):
    assert "there are: none yet" in error_message(run_cli("resume", "x", home=tmp_path / "home"), 2)


def test_doctor_reports_findings_on_this_machine(tmp_path):
    finished = run_cli_process("doctor", "--json", home=tmp_path / "home")
    findings = {finding["what"]: finding for finding in json.loads(finished.stdout.splitlines()[-1])["findings"]}
    assert finished.returncode == 0
    assert all(findings[what]["fine"] for what in ("python", "ray", "optuna", "mlflow", "digits", "home"))


def test_ui_without_an_mlflow_store_is_rejected(tmp_path):
    assert "no record" in error_message(run_cli("ui", home=tmp_path / "home"), 2)


SERVE = """
import os, sys
from pathlib import Path
from searchlab.cli.servers import serve
port, folder = sys.argv[1], Path(sys.argv[2])
command = [sys.executable, "-m", "http.server", port, "--bind", "127.0.0.1"]
url, ready = f"http://127.0.0.1:{port}/", lambda: print("ready", flush=True)
serve([command], dict(os.environ), folder, folder / "log", url, ready)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_servers_end_with_a_signal_to_the_command(tmp_path, free_port, number):
    command = [sys.executable, "-c", SERVE, str(free_port), str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        assert process.communicate(timeout=DEADLINE) == ("", "")
        assert process.returncode == 0
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", free_port)) != 0


@pytest.mark.slow
def test_ui_serves_the_dashboard_until_a_signal_stops_it(home, free_port):
    command = [
        sys.executable,
        "-m",
        "searchlab.cli",
        "ui",
        "--no-browser",
        "--port",
        str(free_port),
        "--home",
        str(home),
    ]
    server = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + DEADLINE
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{free_port}/", timeout=5) as response:
                    assert b"MLflow" in response.read()
                break
            except OSError:
                assert server.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.3)
        second = run_cli("ui", "--port", free_port, home=home)
        assert "is taken" in error_message(second, 1)
        server.send_signal(signal.SIGHUP)  # as when the terminal is closed
        assert server.wait(DEADLINE) == 0
        with socket.socket() as probe:  # the server that it started has ended too
            assert probe.connect_ex(("127.0.0.1", free_port)) != 0
    finally:
        if server.poll() is None:
            server.terminate()
            server.wait(DEADLINE)
