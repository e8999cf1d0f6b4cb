"""Any trial as an artifact: `searchlab export NAME FOLDER --trial N`."""

from __future__ import annotations

import json

import numpy as np
import pytest

from models.mlp import MLP
from searchlab import FoldEnsemble, Space, UserMistake, artifact
from searchlab.errors import WorldFault
from searchlab.runner.export_trial import export_trial
from tests.command_line import error_message, run_cli, write_sweep_file
from tests.jobs import run
from tests.sweeps import spiral_sweep

SWEEP = """
from models.mlp import MLP
from searchlab import SGD, Accuracy, Float, KFold, Space, Spiral, Sweep, Trainer

sweep = Sweep(
    name="mine", data=Spiral(points=20), validation=KFold(2), metric=Accuracy(), model=Space(MLP, hidden=4),
    optimizer=Space(SGD, lr=Float(0.1, 1.0)), training=Space(Trainer, batch_size=10, epochs=2), trials=3,
)
"""


def run_local(home, sweep):
    return run(sweep, engine="local", home=home)


def files_of(home):
    return {path: path.read_bytes() for path in home.rglob("*") if path.is_file()}


def arrays_of(folder):
    with np.load(folder / "weights.npz") as arrays:
        return {name: arrays[name] for name in arrays.files}


@pytest.mark.parametrize("rule", [{}, {"winner": FoldEnsemble(finalists=1)}])
def test_the_winner_exported_by_its_number_has_the_same_weights(home, tmp_path, rule):
    sweep = spiral_sweep(3, **rule)
    result = run_local(home, sweep)
    before = files_of(home)
    folder = export_trial("spiral", result.best.number, tmp_path / "mine", home=home, sweep=sweep)
    expected, found = arrays_of(result.artifact), arrays_of(folder)
    assert expected.keys() == found.keys()
    assert all(np.array_equal(values, found[name]) for name, values in expected.items())
    assert files_of(home) == before, "the home is only read"


def test_another_trial_is_trained_and_not_tested(home, tmp_path):
    sweep = spiral_sweep(3)
    result = run_local(home, sweep)
    other = next(trial for trial in result.trials if trial.number != result.best.number)
    folder = export_trial("spiral", other.number, tmp_path / "mine", home=home, sweep=sweep)
    manifest = artifact.load(folder).manifest
    assert (manifest["trial"], manifest["parameters"]) == (other.number, dict(other.parameters))
    assert manifest["test"]["look"] is None
    assert "float16" not in manifest["test"]
    card = (folder / "README.md").read_text()
    assert f"It is trial {other.number} of 3 trials" in card
    assert "test row" not in card
    looks = json.loads((home / "test_looks.json").read_text())["looks"]
    assert len(looks) == 1, "of the winner alone"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["home", "mine"], "nothing else is left"


def test_what_cannot_be_exported_is_refused_before_anything_is_written(home, tmp_path):
    sweep = spiral_sweep(2)
    run_local(home, sweep)
    with pytest.raises(UserMistake, match="'spiral' has 2 trials, and none is 9"):
        export_trial("spiral", 9, tmp_path / "mine", home=home, sweep=sweep)
    with pytest.raises(UserMistake, match="home exists already"):
        export_trial("spiral", 0, home, home=home, sweep=sweep)
    with pytest.raises(UserMistake, match="has another space"):
        export_trial("spiral", 0, tmp_path / "mine", home=home, sweep=spiral_sweep(2, model=Space(MLP, hidden=3)))
    assert not (tmp_path / "mine").exists()


def test_a_folder_that_cannot_be_written_is_one_sentence(home, tmp_path):
    sweep = spiral_sweep(1)
    run_local(home, sweep)
    (tmp_path / "file").write_text("")
    with pytest.raises(WorldFault, match=r"could not be written|cannot be written"):
        export_trial("spiral", 0, tmp_path / "file" / "mine", home=home, sweep=sweep)


def test_the_command_exports_a_trial(home, tmp_path):
    spec = write_sweep_file(tmp_path, SWEEP)
    run_cli("run", spec, "--engine", "local", "--no-tracking", home=home, cwd=tmp_path)
    finished = run_cli("export", "mine", tmp_path / "one", "--trial", 1, "--json", home=home, cwd=tmp_path)
    assert finished.returncode == 0, finished.stderr
    printed = json.loads(finished.stdout.splitlines()[-1])
    assert printed == {"sweep": "mine", "artifact": str(tmp_path / "one"), "trial": 1}
    assert artifact.load(tmp_path / "one").manifest["trial"] == 1
    refused = run_cli("export", "mine", "--csv", "--trial", 1, home=home)
    assert "or --csv for all trials" in error_message(refused, 2)
