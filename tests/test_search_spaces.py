"""The sweep files that come with the project: each loads by path, draws, and trains."""

from __future__ import annotations

import random
import re

import pytest

from searchlab.sweep import Choice, Float, file
from searchlab.sweep.groups import build
from tests.conftest import ROOT

FILES = sorted(path for path in (ROOT / "search_spaces").glob("*.py") if path.name != "__init__.py")
SMALL = {"mnist-mlp": {"data.limit": 600}}  # enough to train a batch


def answer(path, domain):
    if isinstance(domain, Choice):
        return random.choice(list(domain.labels))
    return random.uniform(domain.low, domain.high) if isinstance(domain, Float) else domain.low


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_sweep_file_loads_draws_and_trains(path, request):
    loaded = file.load(path)
    assert loaded.root == ROOT
    if loaded.sweep.name == "mnist-mlp":
        request.getfixturevalue("mnist_files")
    sweep = loaded.sweep.with_values(SMALL.get(loaded.sweep.name, {}))
    table = sweep.data.training()
    for _ in range(4):
        parameters = {}
        sweep.draw(lambda path, domain: parameters.setdefault(path, answer(path, domain)))  # noqa: B023
        report = build(sweep, [parameters], table, sweep.validation.split(len(table)), 0, "cpu").advance()
        assert len(report.score) == sweep.validation.folds


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
