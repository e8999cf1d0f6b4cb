"""The house: imports point one way, heavy packages stay in their rooms, and the wheel holds the library alone."""

import ast
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LIBRARY = ROOT / "searchlab"

RANKS = {  # a room may import itself and rooms of a lower rank
    "backend": 0,
    "environment": 0,
    "errors": 0,
    "project": 0,
    "replicas": 1,
    "data": 2,
    "nn": 3,
    "optim": 4,
    "metrics": 4,
    "schedules": 4,
    "training": 5,
    "sweep": 6,
    "testing": 7,
    "artifact": 6,
    "tracking": 7,
    "service": 8,
    "cli": 9,
}
NUMERIC = {
    "backend",
    "environment",
    "errors",
    "replicas",
    "data",
    "nn",
    "optim",
    "metrics",
    "schedules",
    "training",
    "testing",
}
UPWARD = {  # Sweep.run
    ("sweep/sweep.py", "searchlab.service.run"),
    ("sweep/sweep.py", "searchlab.service.outcome.result"),
}
HOMES = {  # where alone a package may be imported: files or folders of the library
    "cupy": ("backend.py",),
    "optuna": ("service/study/",),
    "ray": ("service/",),
    "cloudpickle": ("service/",),
    "mlflow": ("tracking/",),
    "matplotlib": ("tracking/figures/", "tracking/drawing.py"),
    "click": ("cli/",),
    "rich": ("cli/",),
    "sklearn": (),
    "pandas": (),
    "scipy": ("service/study/samplers.py",),
    "torch": (),
    "models": (),
    "search_spaces": (),
    "tests": (),
    "bench": (),
}
READS_TEST_ROWS = ("service/outcome/winner.py", "testing/")
IMPORTS_BY_VARIABLE = {"artifact.py"}  # it finds the classes that a manifest names
VAGUE = {"utils", "util", "common", "helpers", "helper", "base", "manager", "managers", "misc"}
HEAVY = ("ray", "optuna", "mlflow", "matplotlib", "sklearn", "pandas", "scipy", "cupy", "torch", "click", "rich")

FILES = {str(path.relative_to(LIBRARY)): path.read_text() for path in sorted(LIBRARY.rglob("*.py"))}


def imports_of(source):
    """Every module that a file imports, wherever in it, in words or through import_module; "?" for a computed one."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            whole = "." * node.level + (node.module or "")
            found |= {f"{whole}.{alias.name}" for alias in node.names} if whole == "searchlab" else {whole}
        elif isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in ("import_module", "__import__"):
            found.add(beginning_of(node.args[0]))
    return found


def beginning_of(argument):
    """The module's name as far as it is written down: f"searchlab.cli.{verb}" begins with searchlab.cli."""
    pieces = argument.values if isinstance(argument, ast.JoinedStr) else [argument]
    return pieces[0].value if isinstance(pieces[0], ast.Constant) else "?"


def room_of(path):
    return path.split("/")[0].removesuffix(".py")


def wrong_imports(path, source):
    """What this file of the library may not import, each with the reason."""
    wrong, room = [], room_of(path)
    for module in imports_of(source):
        top, _, rest = module.partition(".")
        if top == "searchlab":
            target = rest.split(".")[0]
            allowed = target in ("", room) or target.startswith("__") or (path, module) in UPWARD or room == "__init__"
            if not allowed and not RANKS.get(target, 99) < RANKS[room]:
                wrong.append(f"{path} imports {module}: {room} lies below {target}, or beside it")
        elif module == "?" and path not in IMPORTS_BY_VARIABLE:
            wrong.append(f"{path} imports a module by a computed name")
        elif top in HOMES and not any(path.startswith(home) for home in HOMES[top]):
            wrong.append(f"{path} imports {module}, whose place is {HOMES[top] or 'nowhere in the library'}")
        elif room in NUMERIC and top not in {"numpy", "?", "cupy"} and top not in sys.stdlib_module_names:
            wrong.append(f"{path} imports {module}; numeric rooms import NumPy alone")
    return wrong


def reads_test_rows(source):
    return any(isinstance(node, ast.Attribute) and node.attr == "testing" for node in ast.walk(ast.parse(source)))


@pytest.mark.parametrize("path", FILES)
def test_imports_point_one_way(path):
    assert not wrong_imports(path, FILES[path])


def test_every_room_has_its_rank():
    assert {room_of(path) for path in FILES} <= {*RANKS, "__init__", "__main__"}


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("replicas.py", "from searchlab.nn import Layer"),
        ("nn/linear.py", "from searchlab import optim"),
        ("metrics.py", "import searchlab.optim"),
        ("optim/descent.py", "from searchlab.metrics import Accuracy"),
        ("schedules.py", "from searchlab.optim import SGD"),
        ("data/mnist.py", "def f():\n    from searchlab.training import Trainer"),
        ("training.py", "import importlib\nimportlib.import_module('searchlab.service.run')"),
        ("sweep/space.py", "from importlib import import_module\nimport_module('searchlab.service.run')"),
        ("sweep/sweep.py", "import searchlab.service.study.study"),
        ("sweep/groups.py", "from searchlab import Trainer"),
        ("tracking/mlflow.py", "from searchlab.service.study.study import Study"),
        ("service/run.py", "import searchlab.cli"),
        ("service/run.py", "from ..tracking import mlflow"),
        ("service/engine/tune.py", "import optuna"),
        ("sweep/samplers.py", "import optuna"),
        ("cli/run.py", "import ray.tune"),
        ("service/run.py", "if TYPE_CHECKING:\n    import mlflow.entities"),
        ("data/digits.py", "import sklearn.datasets"),
        ("nn/linear.py", "import cupy"),
        ("nn/linear.py", "import requests"),
        ("optim/adaptive.py", "__import__('optuna')"),
        ("sweep/file.py", "import importlib\nimportlib.import_module(name)"),
        ("sweep/file.py", "import importlib\nimportlib.import_module(f'searchlab.service.{engine}')"),
        ("sweep/file.py", "import importlib\nimportlib.import_module(f'{room}.service')"),
        ("service/engine/worker.py", "from models.mlp import MLP"),
        ("cli/show.py", "import search_spaces.digits_mlp"),
    ],
)
def test_a_wrong_import_is_found(path, source):
    assert wrong_imports(path, source) or any(module.startswith(".") for module in imports_of(source))


def test_no_import_is_relative():
    assert not [path for path, source in FILES.items() if any(name.startswith(".") for name in imports_of(source))]


def test_optuna_has_one_home():
    """Not only nowhere else: the study is where Optuna is spoken to."""
    users = [
        path for path, source in FILES.items() if any(name.split(".")[0] == "optuna" for name in imports_of(source))
    ]
    assert users
    assert all(path.startswith("service/study/") for path in users)


def test_test_rows_are_read_by_the_final_test_alone():
    readers = [path for path, source in FILES.items() if reads_test_rows(source)]
    assert all(path.startswith(READS_TEST_ROWS) for path in readers), readers
    assert "testing/dataset.py" in readers  # the search does find what it looks for
    assert reads_test_rows("rows = sweep.data.testing()")
    assert reads_test_rows("read = data.testing\nread()")


def test_names_say_what_a_file_is_about():
    rooms = ("searchlab", "models", "search_spaces", "tests", "bench")
    paths = [path.relative_to(ROOT) for room in rooms for path in (ROOT / room).rglob("*.py")]
    assert not [path for path in paths if VAGUE & {part.removesuffix(".py").strip("_") for part in path.parts}]


@pytest.mark.parametrize(
    "word", ["searchlab", "searchlab.sweep", "searchlab.training", "searchlab.testing", "models.mlp"]
)
def test_importing_stays_light(word):
    assert not loaded_by(f"import {word}") & set(HEAVY)


def test_the_front_door_costs_nothing():
    """Not even NumPy: BLAS reads its variables when NumPy is first imported, and a worker sets them before that."""
    assert "numpy" not in loaded_by("import searchlab, searchlab.environment, searchlab.errors")
    assert "numpy" in loaded_by("from searchlab import Float")


def test_a_worker_needs_neither_optuna_nor_mlflow():
    """It trains groups and reports to a study that lives elsewhere."""
    assert not loaded_by("import searchlab.service.engine.tune") & {"optuna", "mlflow", "matplotlib", "sklearn"}


def test_digits_are_read_without_importing_scikit_learn():
    assert not loaded_by("from searchlab import Digits; Digits().training()") & {"sklearn", "scipy", "pandas"}


def loaded_by(code):
    """The top-level modules that a fresh interpreter holds after this."""
    told = f"{code}; import sys; print(*sys.modules)"
    names = subprocess.run([sys.executable, "-c", told], cwd=ROOT, text=True, check=True, capture_output=True).stdout
    return {name.split(".")[0] for name in names.split()}


def test_the_wheel_holds_the_library_alone(tmp_path):
    """Built by hatchling itself; it comes with the development tools, and its absence is a failure, not a skip."""
    from hatchling.builders.wheel import WheelBuilder

    (wheel,) = WheelBuilder(str(ROOT)).build(directory=str(tmp_path), versions=["standard"])
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0].split("-")[0] for name in names} == {"searchlab"}
    packed = {name.removeprefix("searchlab/") for name in names if name.startswith("searchlab/")}
    assert {name for name in packed if name.endswith(".py")} == set(FILES)
    metadata = [name for name in names if not name.startswith("searchlab/")]
    assert all(name.split("/")[0].endswith(".dist-info") for name in metadata)
