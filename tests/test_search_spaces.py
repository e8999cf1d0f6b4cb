"""The sweep files that come with the project: each loads by path, draws, and trains."""

from __future__ import annotations

import random
import re

import numpy as np
import pytest

import searchlab
from searchlab.fusion.groups import build
from searchlab.space import Choice, Float, loader
from tests.conftest import ROOT
from tests.images import write_images

FILES = sorted(path for path in (ROOT / "search_spaces").glob("*.py") if path.name != "__init__.py")
MNIST, PTB = {"mnist-mlp", "optimizers-kfold"}, {"ptb-rnn", "ptb-lstm"}
SMALL = {name: {"data.limit": 600} for name in MNIST}  # enough to train a batch
SMALL |= {name: {"data.limit": 3000, "model.hidden": 16} for name in PTB}


def answer(path, domain):
    if isinstance(domain, Choice):
        return random.choice(list(domain.labels))
    return random.uniform(domain.low, domain.high) if isinstance(domain, Float) else domain.low


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_sweep_file_loads_draws_and_trains(path, request, tmp_path, monkeypatch):
    loaded = loader.load(path)
    assert loaded.root == ROOT
    if loaded.sweep.name in MNIST:
        request.getfixturevalue("mnist_files")
    if loaded.sweep.name in PTB:
        request.getfixturevalue("ptb_files")
    if loaded.sweep.name == "text-lm":
        (tmp_path / "text.txt").write_text("the quick brown fox jumps over the lazy dog\n" * 100)
        monkeypatch.chdir(tmp_path)
    if loaded.sweep.name == "fashion-mlp":
        generator = np.random.default_rng(0)
        images = generator.integers(256, size=(300, 28, 28), dtype=np.uint8)
        labels = generator.integers(10, size=300, dtype=np.uint8)
        write_images(tmp_path, monkeypatch, "fashion-mnist", TRAIN_IMAGES=images, TRAIN_LABELS=labels)
        monkeypatch.setenv("SEARCHLAB_DATA", str(tmp_path))
    sweep = loaded.sweep.with_values(SMALL.get(loaded.sweep.name, {}))
    table = sweep.data.training()
    for _ in range(4):
        parameters = {}
        sweep.draw(lambda path, domain: parameters.setdefault(path, answer(path, domain)))  # noqa: B023
        report = build(sweep, [parameters], table, sweep.validation.split(table), 0, "cpu").advance()
        assert len(report.score) == sweep.validation.folds


def test_the_grid_holds_the_168_combinations_of_the_textbook():
    sweep = loader.load(ROOT / "search_spaces" / "grid_168.py").sweep
    assert sweep.asked() == 4 * 7 * 6 == 168
    assert sweep.plan().structures == 4 * 6, "trials that differ in the learning rate alone train fused"


def test_the_readme_names_every_sweep_file_and_every_word():
    """Each file in search_spaces has its line, and each word of a sweep file its place."""
    readme = (ROOT / "README.md").read_text()
    assert [path.name for path in FILES if f"`{path.name}`" not in readme] == []
    assert [word for word in searchlab.__all__ if not re.search(rf"\b{word}\b", readme)] == []


def test_the_readmes_sweep_file_is_the_one_that_make_sweep_runs():
    """The README shows the digits' sweep: the same text, and the one the Makefile names."""
    (shown,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    written = (ROOT / "search_spaces" / "digits_mlp.py").read_text()
    assert shown.strip() == written.split('"""', 2)[2].strip()
    assert "search_spaces/digits_mlp.py" in (ROOT / "Makefile").read_text()


def test_the_readme_names_every_verb_and_option():
    """What the command line can do is told."""
    from searchlab.cli import VERBS
    from searchlab.cli.run import run_command

    readme = (ROOT / "README.md").read_text()
    assert all(f"searchlab {verb}" in readme for verb in VERBS)
    told = {"--tracking-uri": "MLFLOW_TRACKING_URI", "--storage": "SEARCHLAB_STORAGE", "--address": "RAY_ADDRESS"}
    told |= {"--home": "SEARCHLAB_HOME"}
    for option in (name for parameter in run_command.params for name in parameter.opts if name.startswith("--")):
        assert told.get(option, option) in readme, option
