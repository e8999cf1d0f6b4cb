"""What an artifact carries besides weights: a model card, and the source of its model."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest

from models.rnn_lm import RnnLM
from searchlab import (
    SGD,
    Addition,
    ExactMatch,
    Float,
    Frame,
    Holdout,
    Perplexity,
    Refit,
    Space,
    Text,
    Trainer,
    artifact,
)
from searchlab.runner.resume import resume
from searchlab.runs.manifest import SweepManifest
from searchlab.runs.source_files import hash_source
from searchlab.runs.workspace import Workspace
from tests.conftest import ROOT
from tests.jobs import run
from tests.sweeps import spiral_sweep


def card_of(result):
    return (result.artifact / "README.md").read_text()


def rows_of(text):
    """The rows of all tables of a Markdown text."""
    return dict(re.findall(r"^\| (.+) \| (.+) \|$", text, re.MULTILINE))


def test_the_card_has_every_score(home):
    result = run(spiral_sweep(4, winner=Refit(3, 2, max_cost=9.0)), engine="local", home=home)
    winner, rows = result.winner, rows_of(card_of(result))
    finalist, trial = winner.finalist, winner.trial
    is_best = trial.value == max(each.search_score for each in winner.finalists)
    choice = "which chose it for this score" if is_best else "where another trial had a better score"
    expected = {
        f"in the search, {choice}": f"{trial.value:.4f} ± {trial.std:.4f} over 2 folds",
        "with 2 fresh seeds, on the same folds": f"{finalist.mean:.4f} ({finalist.low:.4f} to {finalist.high:.4f})",
        "on 90 test rows, opened for the first time": f"{winner.test_score:.4f}",
        "the same, of this artifact": f"{winner.artifact_score:.4f}",
        "baseline: the majority class, whatever the inputs": f"{winner.baseline.score:.4f}",
    }
    assert {key: rows[key] for key in expected} == expected
    assert rows["`model.hidden`"] == str(winner.trial.parameters["model.hidden"])
    assert rows["seed"] == "0"
    assert f"It is trial {winner.trial.number} of 4 trials" in card_of(result)
    assert "network.classify(x)  # the class of each row of x, (rows, 2)" in card_of(result)


def test_the_card_of_a_table_has_the_width_of_its_raw_cells(home):
    pandas = pytest.importorskip("pandas")
    rows = np.arange(90)
    frame = pandas.DataFrame(
        {
            "size": rows * 1.5,
            "color": np.array(["red", "green", "blue"])[rows % 3],
            "kind": np.array(["a", "b"])[rows % 2],
        }
    )
    result = run(spiral_sweep(1, data=Frame(frame, target="kind")), engine="local", home=home)
    (width,) = re.findall(r"network\.classify\(x\)  # .* x, \(rows, (\d+)\) of raw cells", card_of(result))
    cells = frame.drop(columns="kind").to_numpy()
    assert cells.shape[1] == int(width)
    assert len(artifact.load(result.artifact).classify(cells)) == 90


def test_the_card_of_a_winner_that_was_not_tested(home):
    run(spiral_sweep(2), engine="local", home=home)
    text = card_of(run(spiral_sweep(2), engine="local", home=home, name="second"))
    assert "test row" not in text
    assert "fresh seed" not in text


def test_the_cards_of_language_models_and_of_pairs(home, tmp_path):
    (tmp_path / "text.txt").write_text("you say goodbye and i say hello . " * 60)
    text = spiral_sweep(
        1,
        name="lm",
        data=Text(tmp_path / "text.txt", unit="char", window=10),
        validation=Holdout(0.3),
        metric=Perplexity(),
        model=Space(RnnLM, hidden=8, embed=8),
        optimizer=Space(SGD, lr=Float(0.5, 1.0)),
        training=Space(Trainer, batch_size=4, epochs=1),
    )
    card = card_of(run(text, engine="local", home=home))
    assert 'network.generate("...")' in card
    assert "| perplexity (lower is better) |" in card
    from models.seq2seq import Seq2Seq

    pairs = spiral_sweep(
        1,
        name="sums",
        data=Addition(rows=60),
        metric=ExactMatch(),
        model=Space(Seq2Seq, hidden=4),
        training=Space(Trainer, batch_size=10, epochs=1),
    )
    assert 'network.translate("...")' in card_of(run(pairs, engine="local", home=home))


NET = """
from nets.blocks import Scaled
from searchlab.nn import Affine, Model, SoftmaxCrossEntropy


class Net(Model):
    def __init__(self, replicas, features, outputs, *, width: int = 4):
        self.first, self.scaled = Affine(replicas, features, width), Scaled(2.0)
        self.second, self.loss = Affine(replicas, width, outputs), SoftmaxCrossEntropy(replicas)

    def forward(self, batch, carry=None, *, train):
        x = self.second.forward(self.scaled.forward(self.first.forward(batch.x, train=train)), train=train)
        return self.loss.forward(x, batch.y), None

    def backward(self):
        dy = self.second.backward(self.loss.backward())
        self.first.backward_parameters(self.scaled.backward(dy))

    def predict(self, batch, carry=None):
        return self.second.forward(self.scaled.forward(self.first.forward(batch.x, train=False)), train=False), None
"""
BLOCKS = """
class Scaled:
    def __init__(self, factor):
        self.factor = factor

    def forward(self, x):
        return x * self.factor

    def backward(self, dy):
        return dy * self.factor
"""
SWEEP = """
from nets.net import Net
from searchlab import SGD, Accuracy, Float, KFold, Space, Spiral, Sweep, Trainer

sweep = Sweep(
    name="own", data=Spiral(points=20), validation=KFold(2), metric=Accuracy(), model=Space(Net, width=3),
    optimizer=Space(SGD, lr=Float(0.1, 1.0)), training=Space(Trainer, batch_size=10, epochs=2), trials=2,
)
"""
LOAD = """
import sys
import numpy as np
from searchlab import artifact
print(artifact.load(sys.argv[1]).predict(np.ones((2, 2))).tolist())
"""


def python(code, *arguments, folder, **variables):
    command = [sys.executable, "-c", code, *map(str, arguments)]
    environment = {**os.environ, **variables}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture
def own_artifact(tmp_path):
    """The artifact of a network in a project of its own, of which the model imports another module."""
    project = tmp_path / "project"
    (project / "nets").mkdir(parents=True)
    for name, content in {
        "nets/__init__.py": "",
        "nets/net.py": NET,
        "nets/blocks.py": BLOCKS,
        "own.py": SWEEP,
    }.items():
        (project / name).write_text(content)
    arguments = ["run", "own.py", "--engine", "local", "--no-tracking", "--home", str(tmp_path / "home")]
    code = "import sys; from searchlab.cli import execute; sys.exit(execute(sys.argv[1:]))"
    finished = python(code, *arguments, folder=project, PYTHONPATH=str(ROOT))
    assert finished.returncode == 0, finished.stderr
    return tmp_path / "home" / "sweeps" / "own" / "artifact"


def test_an_artifact_loads_elsewhere_with_its_own_source(own_artifact, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    lost = python(LOAD, own_artifact, folder=elsewhere, PYTHONPATH=str(ROOT))
    assert "UserMistake" in lost.stderr
    path = os.pathsep.join([str(own_artifact / "source"), str(ROOT)])
    found = python(LOAD, own_artifact, folder=elsewhere, PYTHONPATH=path)
    assert found.returncode == 0, found.stderr
    assert np.shape(json.loads(found.stdout)) == (2, 3)


def test_the_manifest_has_the_sum_of_each_source_file(own_artifact):
    sums = json.loads((own_artifact / "manifest.json").read_text())["source"]["sha256"]
    assert sorted(sums) == ["nets/__init__.py", "nets/blocks.py", "nets/net.py"]
    for name, expected in sums.items():
        assert hashlib.sha256((own_artifact / "source" / name).read_bytes()).hexdigest() == expected


def test_the_source_of_an_earlier_model_does_not_stay(tmp_path):
    from searchlab.testing.linear_model import LinearModel

    weights = {"affine.W": np.ones((2, 2)), "affine.b": np.zeros((1, 2))}
    artifact.save(tmp_path, weights, LinearModel, {}, (2, 2), {}, sources={"old/a.py": b"1", "b.py": b"2"})
    artifact.save(tmp_path, weights, LinearModel, {}, (2, 2), {}, sources={"b.py": b"3"})
    assert [path.name for path in (tmp_path / "source").rglob("*")] == ["b.py"]
    artifact.save(tmp_path, weights, LinearModel, {}, (2, 2), {})
    assert not (tmp_path / "source").exists()


def test_the_rule_of_the_winner_may_change_between_runs(home):
    one, other = (f"sweep = Sweep(name='a', winner={rule}, model=m)".encode() for rule in ("Refit(1)", "Refit(5)"))
    assert hash_source(one) == hash_source(other)
    run(spiral_sweep(2), engine="local", home=home)
    resumed = resume("spiral", home=home, trials=3, sweep=spiral_sweep(2, winner=Refit(2, 1, max_cost=9.0)))
    assert len(resumed.winner.finalists) == 2
    assert SweepManifest.load(Workspace.at(home).sweep("spiral")).code_changes == []
