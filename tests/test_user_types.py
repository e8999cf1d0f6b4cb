"""What a user writes passes a strict type check, and what is wrong in it is found."""

from __future__ import annotations

import os
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
    result = sweep.run(trials=3, workers=2, engine="local", fuse="auto", tracking=None, home=Path("there"))
except UserMistake as mistake:
    print(mistake)
    raise
scores: list[float] = [trial.value for trial in result.trials if trial.value is not None]
print(best_score(result), scores, result.seconds["search"], result.artifact)
again = searchlab.open(result.sweep, home="there")
longer = searchlab.resume(again.sweep, home="there", trials=5)
if longer.winner and longer.artifact:
    loaded = searchlab.artifact.load(longer.artifact)
    classes: int = int(loaded.predict(np.zeros((1, 64)))[0].argmax())
    print(longer.winner.test_score, classes)
"""


def check(folder, **files):
    """What mypy --strict says of these files of a project; and its exit status."""
    for name, text in files.items():
        path = folder / f"{name.replace('__', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (folder / "models").symlink_to(ROOT / "models")
    command = [
        sys.executable,
        "-m",
        "mypy",
        "--strict",
        "--cache-dir",
        str(folder / ".cache"),
        *map(str, files_of(files)),
    ]
    done = subprocess.run(command, cwd=folder, env=os.environ, capture_output=True, text=True)
    return done.stdout, done.returncode


def files_of(files):
    return [f"{name.replace('__', '/')}.py" for name in files]


@pytest.mark.slow
def test_a_sweep_file_and_a_script_pass_and_mistakes_are_found(tmp_path):
    wrong = (
        "from search_spaces.typed import sweep\nsweep.run(trials='3')\nsweep.run(trial=3)\nsweep.run(engine='tunes')\n"
    )
    said, status = check(tmp_path, search_spaces__typed=SWEEP, script=SCRIPT, wrong=wrong)
    assert status == 1
    errors = [line for line in said.splitlines() if ": error: " in line]
    assert [line.partition(": error")[0] for line in errors] == ["wrong.py:2", "wrong.py:3", "wrong.py:4"], said
