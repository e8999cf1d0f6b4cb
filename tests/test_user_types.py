"""Type checks of user code: a sweep file and a script pass mypy --strict, which finds invalid options of a run."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.conftest import ROOT

SWEEP = """
from models.mlp import MLP
from searchlab import (
    SGD, Accuracy, Adam, Budget, Choice, Digits, EarlyStopping, Float, Halving, Int, KFold, Relu, SizeLimit, Space,
    Sweep, Tanh, Trainer,
)

sweep = Sweep(
    name="typed",
    data=Digits(),
    validation=KFold(5),
    metric=Accuracy(),
    model=Space(MLP, hidden=Choice(32, 64), layers=Int(1, 2), activation=Choice(Relu, Tanh), dropout=Float(0.0, 0.5)),
    optimizer=Choice(Space(SGD, lr=Float(0.01, 1.0, log=True)), Space(Adam, lr=Float(1e-4, 3e-2, log=True))),
    training=Space(Trainer, batch_size=Choice(32, 64), epochs=20),
    trials=40,
    pruner=Halving(),
    budget=Budget(seconds=3600.0),
    early_stopping=EarlyStopping(patience=3),
    constraint=SizeLimit("200kB"),
    enqueue=[{"model.hidden": 64}],
)
"""
SCRIPT = """
from pathlib import Path

import numpy as np

import searchlab
from searchlab import Result, UserMistake, WorldFault
from search_spaces.typed import sweep


def best_score(result: Result) -> float:
    best = result.best
    if best is None or best.value is None:
        raise WorldFault("no trial has a score")
    return best.value


try:
    result = sweep.run(trials=3, workers=2, engine="local", fuse="auto", tracking=None, home=Path("home"))
except UserMistake as mistake:
    print(mistake)
    raise
scores: list[float] = [trial.value for trial in result.trials if trial.value is not None]
print(best_score(result), scores, result.seconds["search"], result.artifact)
opened = searchlab.open(result.sweep, home="home")
extended = searchlab.resume(opened.sweep, home="home", trials=5)
if extended.winner and extended.artifact:
    loaded = searchlab.artifact.load(extended.artifact)
    label: int = int(loaded.predict(np.zeros((1, 64)))[0].argmax())
    print(extended.winner.test_score, label)
"""
INVALID = """from search_spaces.typed import sweep
sweep.run(trials='3')
sweep.run(trial=3)
sweep.run(engine='tunes')
"""


def run_mypy(folder, files):
    """Write these files to a project, and return what mypy --strict prints for them and its exit code."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    (folder / "models").symlink_to(ROOT / "models")
    (folder / "search_spaces" / "__init__.py").touch()
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(folder / ".cache"), *files]
    finished = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    return finished.stdout, finished.returncode


@pytest.mark.slow
def test_mypy_accepts_a_sweep_file_and_a_script_and_finds_invalid_options(tmp_path):
    files = {"search_spaces/typed.py": SWEEP, "script.py": SCRIPT, "invalid.py": INVALID}
    output, code = run_mypy(tmp_path, files)
    assert code == 1
    errors = [line for line in output.splitlines() if ": error: " in line]
    assert [line.partition(": error")[0] for line in errors] == ["invalid.py:2", "invalid.py:3", "invalid.py:4"], output
