"""The sweep files of the project: each can be loaded and trained, and all of them are documented."""

from __future__ import annotations

import random
import re

import numpy as np
import pytest

import searchlab
from searchlab.fusion.groups import build_trainer
from searchlab.space import Choice, Float, loader
from tests.conftest import ROOT
from tests.images import write_images

FILES = sorted(path for path in (ROOT / "search_spaces").glob("*.py") if path.name != "__init__.py")
MNIST, PTB = {"mnist-mlp", "optimizers-kfold"}, {"ptb-rnn", "ptb-lstm", "ptb-counts", "ptb-word2vec"}
OVERRIDES = {name: {"data.limit": 600} for name in MNIST}  # enough rows for a batch
OVERRIDES |= {name: {"data.limit": 3000, "model.hidden": 16} for name in ("ptb-rnn", "ptb-lstm")}
OVERRIDES |= {name: {"data.text.limit": 3000} for name in ("ptb-counts", "ptb-word2vec")}
OVERRIDES |= {"addition-seq2seq": {"data.rows": 200}, "dates-attention": {"data.rows": 200}}


def random_value(domain, generator):
    if isinstance(domain, Choice):
        return generator.choice(list(domain.labels))
    return generator.uniform(domain.low, domain.high) if isinstance(domain, Float) else domain.low


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_sweep_file_can_be_loaded_and_trained(path, request, tmp_path, monkeypatch):
    loaded = loader.load(path)
    assert loaded.root == ROOT
    if loaded.sweep.name in MNIST:
        request.getfixturevalue("mnist_files")
    if loaded.sweep.name in PTB:
        request.getfixturevalue("ptb_files")
    if loaded.sweep.name in ("text-lm", "text-transformer"):
        (tmp_path / "text.txt").write_text("the quick brown fox jumps over the lazy dog\n" * 100)
        monkeypatch.chdir(tmp_path)
    if loaded.sweep.name == "fashion-mlp":
        pixels = np.random.default_rng(0)
        images = pixels.integers(256, size=(300, 28, 28), dtype=np.uint8)
        labels = pixels.integers(10, size=300, dtype=np.uint8)
        write_images(tmp_path, monkeypatch, "fashion-mnist", TRAIN_IMAGES=images, TRAIN_LABELS=labels)
        monkeypatch.setenv("SEARCHLAB_DATA", str(tmp_path))
    sweep = loaded.sweep.with_values(OVERRIDES.get(loaded.sweep.name, {}))
    data, generator = sweep.data.training(), random.Random(0)
    for _ in range(4):
        parameters = {}

        def suggest(path, domain, parameters=parameters):
            return parameters.setdefault(path, random_value(domain, generator))

        sweep.suggest_configuration(suggest)
        report = build_trainer(sweep, [parameters], data, sweep.validation.split(data), 0, "cpu").advance()
        assert len(report.score) == sweep.validation.folds


def test_grid_168_has_the_combinations_of_the_textbook():
    sweep = loader.load(ROOT / "search_spaces" / "grid_168.py").sweep
    assert sweep.resolve_trials() == 4 * 7 * 6 == 168
    assert sweep.grid_points().structure_count == 4 * 6, "trials that differ only in the learning rate train fused"


def documentation():
    """Return the text of the README and of all pages of the documentation."""
    return "\n".join(path.read_text() for path in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))])


def test_sweep_files_and_public_names_are_documented():
    text = documentation()
    assert [path.name for path in FILES if path.name not in text] == []
    assert [name for name in searchlab.__all__ if not re.search(rf"\b{name}\b", text)] == []


def test_commands_and_options_are_documented():
    from searchlab.cli import VERBS
    from searchlab.cli.run import run_command

    text = documentation()
    assert [verb for verb in VERBS if f"searchlab {verb}" not in text] == []
    options = [name for parameter in run_command.params for name in parameter.opts if name.startswith("--")]
    assert [option for option in options if option not in text] == []


def test_sweep_file_of_the_readme_is_valid():
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    sweep_files = [block for block in blocks if "sweep = Sweep(" in block]
    assert sweep_files
    for block in sweep_files:
        names = {}
        exec(block, names)  # noqa: S102, this project's own page; a Sweep validates itself
        assert isinstance(names["sweep"], searchlab.Sweep)


def test_make_sweep_runs_a_sweep_file_of_the_project():
    (path,) = set(re.findall(r"search_spaces/\w+\.py", (ROOT / "Makefile").read_text()))
    assert (ROOT / path) in FILES
