"""`searchlab init`: the files of a new project, what is guessed for its data, and that it runs outside of a clone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from PIL import Image

from searchlab.errors import UserMistake
from searchlab.new_project import create
from searchlab.new_project.columns import guess_metric, guess_target
from searchlab.new_project.create import create_project
from searchlab.runs.project_archive import files_of
from tests.command_line import error_message, run_cli
from tests.conftest import ROOT
from tests.waiting import DEADLINE

FILES = {
    ".gitignore", "README.md", "models/__init__.py", "models/mlp.py", "models/rnn_lm.py",
    "search_spaces/__init__.py", "search_spaces/first.py",
}  # fmt: skip
CLASSES = "length,width,kind\n" + "".join(f"{row}.5,{row % 7},{'ab'[row % 2]}\n" for row in range(40))
NUMBERS = ",rooms,price\n" + "".join(f"{row},{row % 5},{100.25 * row}\n" for row in range(200))
OWN_MODEL = "from models.mlp import MLP\n\n\nclass Wide(MLP):\n    pass\n"
OWN_SWEEP = """from models.mlp import MLP
from models.wide import Wide
from search_spaces.first import sweep as first
from searchlab import Choice, Float, Space, Sweep

sweep = Sweep(
    name="both", data=first.data, validation=first.validation, metric=first.metric,
    model=Choice(Space(MLP, dropout=Float(0.0, 0.5)), Space(Wide, hidden=16)),
    optimizer=first.optimizer, training=first.training, trials=4,
)
"""
SCRIPT = """import sys
from searchlab import use_project
use_project()
from search_spaces.first import sweep
import models
print(models.__file__)
options = {"home": sys.argv[1], "tracking": None, "engine": "local", "progress": False}
result = sweep.run(trials=2, values={"training.epochs": 1}, **options)
print(result.best.value)
"""


def files(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def text_of(folder):
    return (folder / "search_spaces" / "first.py").read_text()


def sweep_of(folder):
    """The sweep of a new project's first file, whose imports are those of this clone."""
    names = {"__file__": str(folder / "search_spaces" / "first.py")}
    exec(text_of(folder), names)  # noqa: S102, code that this program has just written
    return names["sweep"]


def test_a_project_has_networks_a_sweep_file_and_a_short_readme(tmp_path):
    finished = run_cli("init", "mine", "--json", cwd=tmp_path)
    assert finished.returncode == 0, finished.stderr
    result = json.loads(finished.stdout)
    assert set(result["files"]) == files(tmp_path / "mine") == FILES
    assert "cd mine" in finished.stderr
    assert "searchlab run search_spaces/first.py" in finished.stderr
    for name in ("mlp.py", "rnn_lm.py"):
        assert (tmp_path / "mine/models" / name).read_bytes() == (ROOT / "models" / name).read_bytes()
    assert len((tmp_path / "mine" / "README.md").read_text().splitlines()) == 10
    assert repr(sweep_of(tmp_path / "mine").data) == "Digits()"


def test_the_home_of_sweeps_is_no_part_of_a_project(tmp_path):
    create_project(tmp_path / "mine")
    (tmp_path / "mine" / ".searchlab").mkdir()
    (tmp_path / "mine" / ".searchlab" / "x.txt").touch()
    assert {str(path) for path in files_of(tmp_path / "mine")} == FILES


@pytest.mark.parametrize("name", [".", "new", "a/b c/é-1"])
def test_a_folder_may_exist_or_have_any_name(tmp_path, name):
    (tmp_path / "notes.txt").touch()
    finished = run_cli("init", name, cwd=tmp_path)
    assert finished.returncode == 0, finished.stderr
    assert files(tmp_path / name) - {"notes.txt"} == FILES
    assert ("  cd " in finished.stdout) == (name != ".")


@pytest.mark.parametrize("name", ["README.md", "models/mlp.py", "models", "search_spaces"])
def test_nothing_is_written_where_a_file_would_be_overwritten(tmp_path, name):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("mine")
    assert name in error_message(run_cli("init", ".", cwd=tmp_path), 2)
    assert files(tmp_path) == {name}
    assert (tmp_path / name).read_text() == "mine"


@pytest.mark.parametrize("exists", [True, False])
def test_a_fault_while_writing_leaves_nothing(tmp_path, monkeypatch, exists):
    root = tmp_path / "a" / "mine"
    if exists:
        root.mkdir(parents=True)
    before = sorted(tmp_path.rglob("*"))
    name = "\udcff.py"  # cannot be encoded: the last file fails
    monkeypatch.setattr(create, "_files", lambda *_: {"README.md": "x", "models/mlp.py": "x", "big": name})
    with pytest.raises(UnicodeEncodeError):
        create_project(root)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_file_in_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "mine").touch()
    assert "is a file" in error_message(run_cli("init", "mine", cwd=tmp_path), 2)
    assert "is a file" in error_message(run_cli("init", "mine/below", cwd=tmp_path), 2)


def test_an_empty_name_is_refused_and_the_current_folder_stays_as_it_is(tmp_path):
    assert "no name" in error_message(run_cli("init", "", cwd=tmp_path), 2)
    assert not files(tmp_path)


def test_a_table_of_classes(tmp_path):
    (tmp_path / "flowers.csv").write_text(CLASSES)
    finished = run_cli("init", "mine", "--data", "flowers.csv", "--json", cwd=tmp_path)
    assert finished.returncode == 0, finished.stderr
    result = json.loads(finished.stdout)
    assert (result["target"], result["metric"]) == ("kind", "Accuracy")
    text, sweep = text_of(tmp_path / "mine"), sweep_of(tmp_path / "mine")
    assert "#   width   number, 7 distinct" in text
    assert sweep.name == "flowers"
    assert sweep.data.path == str(tmp_path / "flowers.csv")
    assert type(sweep.validation).__name__ == "StratifiedKFold"


def test_a_column_that_numbers_the_rows_is_dropped(tmp_path):
    rows = [f"{row + 100},x,{'?' if row % 9 == 0 else row * row % 17},{'ab'[row % 2]}" for row in range(90)]
    (tmp_path / "a.csv").write_text("\n".join(["customer,same,size,kind", *rows]))
    create_project(tmp_path / "mine", str(tmp_path / "a.csv"))
    text, sweep = text_of(tmp_path / "mine"), sweep_of(tmp_path / "mine")
    assert "customer  dropped, 90 distinct; left out: numbers the rows, like an id" in text
    assert sweep.data.drop == ("customer", "same")
    layout = sweep.data.training().layout
    assert [(column.name, column.has_flag) for column in layout.columns] == [("size", True)]


def test_a_table_of_numbers_in_the_project_is_found_from_there(tmp_path):
    (tmp_path / "mine" / "data").mkdir(parents=True)
    (tmp_path / "mine" / "data" / "flats.csv").write_text(NUMBERS)
    finished = run_cli("init", ".", "--data", "data/flats.csv", cwd=tmp_path / "mine")
    assert finished.returncode == 0, finished.stderr
    (tmp_path / "mine").rename(tmp_path / "moved")
    sweep = sweep_of(tmp_path / "moved")
    assert sweep.data.path == str(tmp_path / "moved" / "data" / "flats.csv")
    assert (sweep.data.target, sweep.data.drop, sweep.metric.name) == ("price", "", "rmse")
    assert len(sweep.data.training()) == 160


def test_a_target_is_named_and_a_delimiter_recognized(tmp_path):
    name = 'it\'s; "odd".csv'
    (tmp_path / name).write_text('"ro\noms";price\n' + "1;2.5\n2;3.5\n3;4.5\n" * 10)
    project = create_project(tmp_path / "mine", str(tmp_path / name), "ro\noms")
    data = sweep_of(tmp_path / "mine").data
    assert (data.target, len(data.training()), project.source.target_reason) == ("ro\noms", 24, "")


def test_arrays_and_their_key(tmp_path):
    np.savez(tmp_path / "rows.npz", x=np.ones((30, 4)), labels=np.arange(30) % 3)
    assert "'y'" in error_message(run_cli("init", "mine", "--data", "rows.npz", cwd=tmp_path), 2)
    create_project(tmp_path / "mine", str(tmp_path / "rows.npz"), "labels")
    assert sweep_of(tmp_path / "mine").data.training().sizes == (4, 3)


@pytest.mark.parametrize(("mode", "color_mode"), [("L", "grayscale"), ("RGB", "rgb")])
def test_a_folder_of_images(tmp_path, mode, color_mode):
    for number in range(20):
        file = tmp_path / "flowers" / ("dark", "light")[number % 2] / f"{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.new(mode, (12, 10)).save(file)
    project = create_project(tmp_path / "mine", str(tmp_path / "flowers"))
    sweep = sweep_of(tmp_path / "mine")
    assert (type(sweep.data).__name__, sweep.data.color_mode, sweep.data.standardize) == ("Images", color_mode, True)
    assert (sweep.name, project.source.size, sweep.metric.name) == ("flowers", "16 images to train on", "accuracy")
    with pytest.raises(UserMistake, match=r"the classes of .* are its folders"):
        create_project(tmp_path / "other", str(tmp_path / "flowers"), "kind")


def test_a_folder_of_texts(tmp_path):
    (tmp_path / "tales").mkdir()
    (tmp_path / "tales" / "notes.md").write_text("no tale")
    with pytest.raises(UserMistake, match=r"tales has no file that ends in .*\.png, \.txt"):
        create_project(tmp_path / "mine", str(tmp_path / "tales"))
    (tmp_path / "tales" / "one.txt").write_text("once upon a time\n" * 50)
    create_project(tmp_path / "mine", str(tmp_path / "tales"))
    assert type(sweep_of(tmp_path / "mine").data).__name__ == "Text"


def test_a_text(tmp_path):
    (tmp_path / "tale.txt").write_text("once upon a time\n" * 50)
    create_project(tmp_path / "mine", str(tmp_path / "tale.txt"))
    sweep = sweep_of(tmp_path / "mine")
    assert (type(sweep.data).__name__, sweep.model.target.__name__) == ("Text", "RnnLM")


@pytest.mark.parametrize(
    ("name", "content", "options", "said"),
    [
        ("a.csv", "x,y\n1,2\n3\n", (), "line 3"),
        ("a.csv", "x,y\n1,one\n2,\n3,two\n4,one\n5,two\n", (), "empty"),
        ("a.csv", CLASSES, ("--target", "knd"), "'knd'"),
        ("a.csv", "x,y,label\n1,2,3\n4,5,6\n", (), "several columns"),
        ("a.csv", "x,name\n1,Ann\n2,Bea\n3,Cid\n", (), "--target"),
        ("a.csv", "x,y\n" + "1,k\n2,k\n3,k\n" * 9, (), "y holds a single class, k"),
        ("a.csv", "x,y\n1,1\n", (), "y holds a single class, 1"),
        ("a.csv", "x,y\n1,0\n2,1\n3,0\n", (), "2 rows to train on"),
        ("a.csv", "x,y\n1,0\n2,1\n3,0\n", ("--target", "y"), "needs at least 5"),
        ("a.txt", "short", (), "too few"),
        ("a.txt", "short", ("--target", "x"), "--target"),
        ("a.xlsx", "", (), ".csv"),
    ],
)
def test_wrong_data_is_refused_and_nothing_written(tmp_path, name, content, options, said):
    (tmp_path / name).write_text(content)
    assert said in error_message(run_cli("init", "mine", "--data", name, *options, cwd=tmp_path), 2)
    assert files(tmp_path) == {name}
    assert not (tmp_path / "mine").exists()


def test_a_target_needs_data(tmp_path):
    assert "--data" in error_message(run_cli("init", "mine", "--target", "x", cwd=tmp_path), 2)


def test_the_target_is_guessed_by_its_name_or_place(tmp_path):
    assert guess_target(tmp_path, ["Label", "x"]) == ("Label", "by its name")
    assert guess_target(tmp_path, ["a", "x"]) == ("x", "the last column")


@pytest.mark.parametrize(
    ("counts", "available", "expected"),
    [
        ([], (), "RootMeanSquaredError"),
        ([50, 50], ("BalancedAccuracy",), "Accuracy"),
        ([930, 70], ("BalancedAccuracy",), "BalancedAccuracy"),
        ([930, 70], (), "Accuracy"),
        ([100] * 9 + [30], ("BalancedAccuracy",), "BalancedAccuracy"),
        ([100] * 10, ("BalancedAccuracy",), "Accuracy"),
    ],
)
def test_the_metric_is_guessed_by_the_rarest_class(counts, available, expected):
    assert guess_metric(counts, available)[0] == expected


@pytest.mark.slow
def test_a_project_runs_by_the_wheel_alone(tmp_path):
    """The wheel is unpacked in place of this clone; scripts, siblings and an own model in it import their sweeps."""
    from hatchling.builders.wheel import WheelBuilder

    (wheel,) = WheelBuilder(str(ROOT)).build(directory=str(tmp_path), versions=["standard"])
    zipfile.ZipFile(wheel).extractall(tmp_path / "installed")  # what pip does with a wheel of pure Python

    def python(*arguments, cwd=tmp_path):
        environment = {**os.environ, "PYTHONPATH": str(tmp_path / "installed")}
        command = [sys.executable, *map(str, arguments)]
        return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=DEADLINE)

    created = python("-m", "searchlab.cli", "init", "mine")
    assert created.returncode == 0, created.stderr
    mine = tmp_path / "mine"
    (mine / "notebooks").mkdir()
    (mine / "notebooks" / "script.py").write_text(SCRIPT)
    (mine / "models" / "wide.py").write_text(OWN_MODEL)
    (mine / "search_spaces" / "both.py").write_text(OWN_SWEEP)
    script = python("script.py", tmp_path / "home", cwd=mine / "notebooks")
    assert script.returncode == 0, script.stderr
    place, score = script.stdout.splitlines()
    assert place == str(mine / "models" / "__init__.py")
    assert float(score) > 0.2
    run = ("-m", "searchlab.cli", "run", "mine/search_spaces/both.py", "--engine", "local", "--no-tracking")
    both = python(*run, "--epochs", "1", "--json", "--home", tmp_path / "home")
    assert both.returncode == 0, both.stderr
    assert json.loads(both.stdout.splitlines()[-1])["trials"]["complete"] > 0
