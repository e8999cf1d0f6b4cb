"""The winner of a sweep trained again: the same bits, or what is different and what has changed."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from click.testing import CliRunner

from searchlab import Csv, Plateau, Refit, Space, Spiral, Trainer, UserMistake, artifact
from searchlab.cli import searchlab as searchlab_command
from searchlab.runner import reproduce as module
from searchlab.runner.reproduce import reproduce
from tests.jobs import run
from tests.sweeps import spiral_sweep

SWEEP = """
from models.mlp import MLP
from searchlab import SGD, Accuracy, Float, KFold, Space, Spiral, Sweep, Trainer

sweep = Sweep(
    name="mine", data=Spiral(points=20), validation=KFold(2), metric=Accuracy(), model=Space(MLP, hidden=4),
    optimizer=Space(SGD, lr=Float(0.1, 1.0)), training=Space(Trainer, batch_size=10, epochs=2), trials=2,
)
"""


def run_local(home, sweep, **options):
    return run(sweep, engine="local", home=home, **options)


def files_of(home):
    return {path: path.read_bytes() for path in home.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"winner": Refit(3, 2, max_cost=9.0)},
        {"training": Space(Trainer, batch_size=10, epochs=4, schedule=partial(Plateau, threshold=10.0))},
    ],
)
def test_the_same_bits(home, changes):
    sweep = spiral_sweep(4, **changes)
    result = run_local(home, sweep, seed=7)
    assert "\nsearchlab reproduce spiral " in result.report.read_text()
    before = files_of(home)
    found = reproduce("spiral", home=home, sweep=sweep)
    assert (found.is_same, found.different, found.largest_difference, found.changes) == (True, (), 0.0, ())
    assert (found.trial, found.tensors) == (result.best.number, 4)
    assert files_of(home) == before


def test_other_weights_are_named(home, monkeypatch):
    sweep = spiral_sweep(2)
    run_local(home, sweep)
    refit = module.refit_locally

    def disturbed(*arguments):
        found = refit(*arguments)
        state = dict(found.state)
        name = next(name for name in state if name.startswith("parameters/") and name.endswith(".b"))
        state[name] = state[name] + np.float32(0.5)
        return replace(found, state=state)

    monkeypatch.setattr(module, "refit_locally", disturbed)
    found = reproduce("spiral", home=home, sweep=sweep)
    assert len(found.different) == 1
    assert found.different[0].endswith(".b")
    assert found.largest_difference == pytest.approx(0.5, abs=1e-3)


def test_changed_versions_and_data_are_named(home, tmp_path, monkeypatch):
    path = tmp_path / "rows.csv"

    def write(seed):
        x = np.random.default_rng(seed).standard_normal((60, 2))
        path.write_text("a,b,kind\n" + "\n".join(f"{a},{b},{'up' if b > 0 else 'down'}" for a, b in x))

    write(0)
    sweep = spiral_sweep(2, data=Csv(str(path), target="kind"))
    run_local(home, sweep)
    write(1)
    versions = artifact.load(home / "sweeps" / "spiral" / "artifact").manifest["versions"]
    monkeypatch.setattr(module, "provenance", lambda root, kernels: {**versions, "version.numpy": "9.9"})
    found = reproduce("spiral", home=home, sweep=sweep)
    assert found.changes == (f"numpy was {versions['version.numpy']} and is 9.9", "the training rows are others")
    assert not found.is_same


def test_the_command(home, tmp_path):
    (tmp_path / "mine.py").write_text(SWEEP)

    def invoke(*words):
        runner = CliRunner()
        return runner.invoke(searchlab_command, [*map(str, words), "--home", str(home)], standalone_mode=False)

    started = invoke("run", tmp_path / "mine.py", "--engine", "local", "--no-tracking")
    assert started.return_value == 0, started.output
    same = invoke("reproduce", "mine")
    assert same.return_value == 0
    assert "every weight is the same" in same.stdout
    (tmp_path / "mine.py").write_text(SWEEP + "EXTRA = 1\n")
    found = json.loads(invoke("reproduce", "mine", "--json").stdout.splitlines()[-1])
    assert (found["same"], found["changes"]) == (True, ["sweep file mine.py"])


def test_without_a_winner_and_with_another_space(home):
    with pytest.raises(UserMistake, match="there is no sweep called 'nothing'"):
        reproduce("nothing", home=home)
    run_local(home, spiral_sweep(2))
    with pytest.raises(UserMistake, match="has another space than 'spiral' was started with"):
        reproduce("spiral", home=home, sweep=spiral_sweep(2, data=Spiral(points=31)))
    (home / "sweeps" / "spiral" / "result.json").unlink()
    with pytest.raises(UserMistake, match="'spiral' has no winner yet; `searchlab resume spiral` continues it"):
        reproduce("spiral", home=home, sweep=spiral_sweep(2))
