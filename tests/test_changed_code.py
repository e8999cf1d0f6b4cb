"""The code of a sweep: a resumed sweep continues with the code it was started with, or records what changed."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from dataclasses import replace
from functools import cache, partial

import pytest
from mlflow import MlflowClient

from searchlab.errors import UserMistake
from searchlab.runner.changed_code import accept_code
from searchlab.runner.resume import resume
from searchlab.runs.callable_code import hash_callable
from searchlab.runs.manifest import SweepManifest
from searchlab.runs.project_archive import copy_project
from searchlab.runs.source_files import hash_source
from searchlab.runs.sweep_code import SWEEP_FILE, hash_code
from searchlab.runs.workspace import Workspace
from searchlab.space import loader
from tests.command_line import error_message, run_cli
from tests.jobs import make_manifest, run
from tests.sweeps import spiral_sweep

FILES = {
    "pyproject.toml": "",
    "nets/__init__.py": "",
    "nets/net.py": '"""A network."""\nfrom . import width\nfrom nets.plain import Plain\n\n\n'
    "class Net(Plain):\n    def __init__(self, replicas, inputs, outputs, *, hidden: int = 4):\n"
    "        super().__init__(replicas, inputs, outputs, hidden=hidden * width.FACTOR)\n",
    "nets/plain.py": "import models.mlp\n\n\nclass Plain(models.mlp.MLP):\n    pass\n",
    "nets/width.py": "FACTOR = 2\n",
    "nets/lazy.py": "X = 1\n",
    "nets/unused.py": "X = 1\n",
    "scores.py": "from searchlab import Accuracy\n\n\nclass Score(Accuracy):\n    bonus = 0.0\n",
    "mine.py": "from nets.net import Net\nfrom scores import Score\nfrom searchlab import *\n\n\n"
    "def later():\n    from nets import lazy\n\n\n"
    "sweep = Sweep(\n    name='mine', data=Spiral(points=20), validation=KFold(2), metric=Score(),\n"
    "    model=Space(Net, hidden=Int(2, 6)), optimizer=Space(SGD, lr=0.5),\n"
    "    training=Space(Trainer, batch_size=10, epochs=1),\n    trials=2,\n"
    "    constraint=lambda candidate: candidate['model.hidden'] - 50,\n)\n",
}


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project with a network in several modules, a metric and a sweep file."""
    root = tmp_path / "project"
    for name, text in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    monkeypatch.setattr(sys, "path", [*sys.path])
    forget_project()
    yield root
    forget_project()


def forget_project():
    """Forget the project's modules, as a new process would import them again."""
    importlib.invalidate_caches()
    for module in [name for name in sys.modules if name.split(".")[0] in ("nets", "scores")]:
        del sys.modules[module]


def edit(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    forget_project()


def start(project, home, **options):
    """Store the manifest of the project's sweep, as a run that was killed before its first trial leaves it."""
    loaded = loader.load(project / "mine.py")
    manifest = make_manifest(loaded.sweep, spec=str(loaded.path), trials=2, engine="local", tracking=None, **options)
    manifest = replace(manifest, code=hash_code(loaded.sweep, loaded.path))
    manifest.save(Workspace.at(home).sweep("mine"))
    forget_project()
    return manifest


def test_the_code_of_a_sweep_is_its_file_and_all_project_modules_that_it_imports(project):
    names = set(hash_code(loader.load(project / "mine.py").sweep, project / "mine.py"))
    expected = {"nets/__init__.py", "nets/net.py", "nets/plain.py", "nets/width.py", "nets/lazy.py", "scores.py"}
    assert expected | {SWEEP_FILE, "constraint: <lambda>"} <= names
    assert names - expected <= {SWEEP_FILE, "constraint: <lambda>", "models/__init__.py", "models/mlp.py"}


@pytest.mark.parametrize(
    ("file", "old", "new", "named"),
    [
        ("nets/net.py", "hidden * ", "2 * hidden * ", "nets/net.py"),
        ("nets/width.py", "2", "3", "nets/width.py"),
        ("nets/lazy.py", "1", "2", "nets/lazy.py"),
        ("scores.py", "0.0", "0.1", "scores.py"),
        ("mine.py", "- 50", "- 5", "constraint: <lambda>, sweep file mine.py"),
    ],
)
def test_a_sweep_whose_code_changed_is_not_resumed_and_the_file_is_named(project, tmp_path, file, old, new, named):
    start(project, tmp_path)
    edit(project / file, old, new)
    stored = (tmp_path / "sweeps" / "mine" / "sweep.json").read_bytes()
    message = error_message(run_cli("resume", "mine", home=tmp_path), 2)
    assert f": {named}; " in message
    assert "--changed-code" in message
    assert (tmp_path / "sweeps" / "mine" / "sweep.json").read_bytes() == stored


def test_a_file_that_is_gone_is_named(project, tmp_path):
    start(project, tmp_path)
    (project / "nets" / "lazy.py").unlink()
    with pytest.raises(UserMistake, match=r"nets/lazy\.py \(missing\)"):
        resume("mine", home=tmp_path)


@pytest.mark.slow
def test_changes_without_effect_and_more_trials_are_no_change(project, tmp_path):
    start(project, tmp_path)
    edit(project / "nets" / "net.py", '"""A network."""', '"""Another text."""\n# a comment\n\n')
    edit(project / "nets" / "unused.py", "1", "2")
    edit(project / "mine.py", "trials=2", "trials=3")
    assert len(resume("mine", home=tmp_path).trials) == 2


@pytest.mark.slow
def test_an_accepted_change_is_recorded(project, tmp_path):
    loaded = loader.load(project / "mine.py")
    run(loaded.sweep, spec=loaded.path, home=tmp_path, engine="local", tracking="mlflow")
    edit(project / "nets" / "width.py", "2", "3")
    finished = run_cli("resume", "mine", "--trials", "3", "--changed-code", "--json", home=tmp_path)
    assert finished.returncode == 0, finished.stderr
    result = json.loads(finished.stdout.splitlines()[-1])
    (change,) = SweepManifest.load(Workspace.at(tmp_path).sweep("mine")).code_changes
    assert (change["ended"], change["names"]) == (2, ["nets/width.py"])
    tags = MlflowClient(result["tracking_uri"]).get_run(result["run_id"]).data.tags
    assert tags["searchlab.code_changes"] == "after 2 trials had ended: nets/width.py"
    report = (tmp_path / "sweeps" / "mine" / "report.html").read_text()
    assert "after 2 trials had ended: nets/width.py" in report
    forget_project()
    assert len(resume("mine", home=tmp_path, trials=4).trials) == 4, "the accepted code is the sweep's code now"


@pytest.mark.slow
def test_a_manifest_without_hashes_accepts_any_code(project, tmp_path):
    manifest = start(project, tmp_path)
    replace(manifest, code={}).save(Workspace.at(tmp_path).sweep("mine"))
    edit(project / "nets" / "width.py", "2", "3")
    assert len(resume("mine", home=tmp_path).trials) == 2


def test_on_a_cluster_the_copy_of_the_project_counts(project, tmp_path):
    folder = Workspace.at(tmp_path).sweep("mine")
    copy_project(project, folder.project)
    copy = folder.project / "mine.py"
    sweep = loader.load(copy).sweep
    manifest = make_manifest(sweep, spec=str(copy), address="auto", code=hash_code(sweep, copy, folder.project))
    edit(project / "nets" / "width.py", "2", "3")
    assert not accept_code(manifest, sweep, folder, accept_changes=False).code_changes
    edit(folder.project / "nets" / "width.py", "2", "3")
    with pytest.raises(UserMistake, match=r"nets/width\.py"):
        accept_code(manifest, sweep, folder, accept_changes=False)


NOTEBOOK = """
import sys
from functools import partial
import searchlab
from models.mlp import MLP
from searchlab import *
from searchlab.runs.sweep_code import hash_code
from tests.sweeps import spiral_sweep
LIMIT = {limit}
class Score(Accuracy):
    bonus = {bonus}
class Net(MLP):
    def forward(self, batch, carry=None, *, train=False):
        {comment}
        return super().forward(batch, carry, train=train)
def over(candidate, most):
    return candidate["model.hidden"] - most - LIMIT
sweep = spiral_sweep(metric=Score(), model=Space(Net, hidden=4), constraint=lambda c: over(c, {most}))
import json
print(json.dumps(hash_code(sweep, None)))
"""


@cache
def code_in_a_notebook(limit=1, bonus=0.0, most=3, comment="# a comment"):
    """Return the code of a sweep whose classes and functions are in no file."""
    program = NOTEBOOK.format(limit=limit, bonus=bonus, most=most, comment=comment)
    finished = subprocess.run([sys.executable, "-"], input=program, capture_output=True, text=True, check=True)
    return json.loads(finished.stdout)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"comment": '"""A docstring."""\n\n        # of three lines'}, set()),
        ({"limit": 2}, {"constraint: <lambda>"}),
        ({"most": 4}, {"constraint: <lambda>"}),
        ({"bonus": 0.5}, {"metric: class Score"}),
        ({"comment": "train = True"}, {"model: class Net"}),
    ],
)
def test_classes_and_functions_of_a_notebook_are_compared(change, named):
    before, after = code_in_a_notebook(), code_in_a_notebook(**change)
    assert {name for name in before if before[name] != after[name]} == named
    assert {"constraint: <lambda>", "metric: class Score", "model: class Net", "models/mlp.py"} <= set(before)


def test_a_sweep_given_from_python_with_another_constraint_is_refused(tmp_path):
    def sweep_with(limit):
        return spiral_sweep(name="mine", constraint=lambda candidate: candidate["model.hidden"] - limit)

    manifest = make_manifest(sweep_with(50), code=hash_code(sweep_with(50), None))
    folder = Workspace.at(tmp_path).sweep("mine")
    assert not accept_code(manifest, sweep_with(50), folder, accept_changes=False).code_changes
    with pytest.raises(UserMistake, match=r"constraint: .*<lambda>"):
        accept_code(manifest, sweep_with(40), folder, accept_changes=False)


def test_only_what_a_source_does_counts():
    source = b"def f(x):\n    return x + 1\n"
    same = [b"# c\n\ndef f( x ):\n    '''Doc.'''\n    return (x + 1)  # c\n"]
    assert {hash_source(source)} == {hash_source(other) for other in same}
    assert hash_source(source) != hash_source(source.replace(b"1", b"2"))
    assert hash_source(b"Sweep(trials=1, name='a', seed=1)") == hash_source(b"Sweep(trials=2, budget=B(), seed=1)")
    assert hash_source(b"Sweep(model=1)") != hash_source(b"Sweep(model=2)")
    assert hash_source(b"def f(") != hash_source(b"def g("), "what is no Python is compared as bytes"


def test_the_hash_of_a_function_does_not_depend_on_its_line_or_the_order_of_sets():
    namespaces = [{"__name__": "notebook"} for _ in range(3)]
    text = "def f(x, y={'a'}, *, z=lambda: 1):\n    return x in {'b', 'c', 'd'}"
    exec(compile(text, "one.py", "exec"), namespaces[0])  # noqa: S102, code written above
    exec(compile(f"\n\n{text}", "two.py", "exec"), namespaces[1])  # noqa: S102, code written above
    exec(compile(text.replace("1", "2"), "one.py", "exec"), namespaces[2])  # noqa: S102, code written above
    first, moved, other = (hash_callable(namespace["f"]) for namespace in namespaces)
    assert first == moved != other
    assert hash_callable(partial(namespaces[0]["f"], 1)) != hash_callable(partial(namespaces[0]["f"], 2))


def test_a_sweep_continues_with_its_kernels_unless_others_are_accepted(tmp_path, monkeypatch):
    sweep, folder = spiral_sweep(name="s"), Workspace.at(tmp_path).sweep("s")
    monkeypatch.setenv("SEARCHLAB_KERNELS", "numpy")
    manifest = replace(make_manifest(sweep), kernels="numba")
    with pytest.raises(UserMistake, match="set SEARCHLAB_KERNELS=numba to continue"):
        accept_code(manifest, sweep, folder, accept_changes=False)
    accepted = accept_code(manifest, sweep, folder, accept_changes=True)
    assert (accepted.kernels, accepted.code_changes[-1]["names"]) == ("numpy", ["kernels numpy"])
