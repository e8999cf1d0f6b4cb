"""The layout of the code: the order of imports, who may import which dependency, and the files in the wheel."""

import ast
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from searchlab.new_project.create import MODELS

ROOT = Path(__file__).parents[1]
LIBRARY = ROOT / "searchlab"

RANKS = {  # a package, a folder or module of searchlab, may import itself and packages of a lower rank
    "backend": 0,
    "environment": 0,
    "errors": 0,
    "machine": 0,
    "numeric_types": 0,
    "project": 1,
    "wording": 0,
    "kernels": 1,
    "replicas": 1,
    "tracebacks": 1,
    "data": 2,
    "nn": 3,
    "tables": 3,
    "optim": 4,
    "metrics": 4,
    "scoring": 4,
    "artifact": 4,
    "word_classes": 5,
    "training": 5,
    "pruning": 5,
    "fit": 6,
    "space": 6,
    "testing": 6,
    "fusion": 7,
    "new_project": 8,
    "runs": 8,
    "study": 9,
    "cluster": 9,
    "tracking": 9,
    "engine": 10,
    "monitor": 10,
    "estimate": 11,
    "reporting": 11,
    "display": 12,
    "results": 12,
    "runner": 13,
    "cli": 14,
}
NUMERIC = {  # only NumPy: these run on a GPU machine without Ray, Optuna and MLflow
    "backend",
    "environment",
    "errors",
    "machine",
    "numeric_types",
    "tracebacks",
    "wording",
    "kernels",
    "replicas",
    "data",
    "nn",
    "tables",
    "optim",
    "metrics",
    "scoring",
    "artifact",
    "word_classes",
    "training",
    "pruning",
    "fit",
    "testing",
}
UPWARD_IMPORTS = {  # when Sweep.run, Sweep.study and Result.resume are called
    ("space/sweep.py", "searchlab.runner.run"),
    ("space/sweep.py", "searchlab.runner.ask_tell"),
    ("results/result.py", "searchlab.runner.resume"),
}
ALLOWED_IMPORTERS = {  # the files or folders that may import a dependency; all others may not
    "cupy": ("backend.py",),
    "numba": ("kernels/",),
    "llvmlite": ("kernels/",),
    "optuna": ("study/",),
    "optuna_dashboard": ("study/dashboard.py",),
    "ray": ("engine/", "cluster/"),
    "grpc": ("cluster/reachable.py",),  # which Ray brings
    "pooch": ("data/download.py",),  # imported only when a file is downloaded
    "cloudpickle": ("engine/payload.py", "estimate/timing.py"),
    "mlflow": ("tracking/",),
    "matplotlib": ("reporting/figures/", "reporting/style.py"),
    "click": ("cli/",),
    "rich": ("cli/", "display/"),
    "IPython": ("display/notebook.py",),  # where a notebook has loaded it
    "sklearn": (),
    "PIL": ("data/image_files.py",),
    "pandas": (  # MLflow needs pandas
        "tables/reading.py",
        "artifact/pyfunc.py",
        "results/result.py",
        "results/trial_frames.py",
    ),
    "safetensors": ("artifact/safetensors_file.py",),
    "scipy": ("study/parzen_estimator.py", "study/samplers.py"),
    "psycopg": ("study/storage/",),
    "boto3": ("engine/s3_store.py",),
    "botocore": ("engine/s3_store.py",),
    "torch": (),
    "models": (),
    "search_spaces": (),
    "tests": (),
    "bench": (),
}
# the last one wraps the test part of a text, which only the others ask for
TEST_ROW_READERS = ("results/winner.py", "runner/evaluate.py", "testing/", "data/context_windows.py")
COMPUTED_IMPORTS = {"nn/import_paths.py"}  # imports the classes that a manifest names
VAGUE_NAMES = {"utils", "util", "common", "helpers", "helper", "base", "manager", "managers", "misc"}
LARGE_DEPENDENCIES = (
    "pooch",
    "ray",
    "optuna",
    "mlflow",
    "matplotlib",
    "sklearn",
    "pandas",
    "PIL",
    "scipy",
    "cupy",
    "numba",
    "torch",
    "click",
    "rich",
)

FILES = {str(path.relative_to(LIBRARY)): path.read_text() for path in sorted(LIBRARY.rglob("*.py"))}


def imports_of(source, *, of_types=True):
    """Return the modules that a file imports, also in functions and by import_module; "?" for a computed name.

    Without `of_types`, imports under `if TYPE_CHECKING` are left out.
    """
    modules = set()
    tree = ast.parse(source)
    skipped = set() if of_types else type_only_nodes(tree)
    for node in ast.walk(tree):
        if node in skipped:
            continue
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            modules |= {f"{module}.{alias.name}" for alias in node.names} if module == "searchlab" else {module}
        elif isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in ("import_module", "__import__"):
            modules.add(literal_start(node.args[0]))
    return modules


def type_only_nodes(tree):
    """Return the nodes under `if TYPE_CHECKING`."""
    blocks = [node for node in ast.walk(tree) if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"]
    return {inner for block in blocks for child in block.body for inner in ast.walk(child)}


def literal_start(argument):
    """Return the literal start of a module's name: "searchlab.cli." of f"searchlab.cli.{command}"."""
    pieces = argument.values if isinstance(argument, ast.JoinedStr) else [argument]
    return pieces[0].value if isinstance(pieces[0], ast.Constant) else "?"


def package_of(path):
    """Return the package, a folder or a module of the library, that a file belongs to."""
    return path.split("/")[0].removesuffix(".py")


def wrong_imports(path, source):
    """Return the imports of a file of the library that are not allowed, each with the reason."""
    wrong, package = [], package_of(path)
    at_run_time = imports_of(source, of_types=False)
    for module in imports_of(source):
        top, _, rest = module.partition(".")
        if top == "searchlab":
            target = rest.split(".")[0]
            allowed = target in ("", package) or target.startswith("__") or package == "__init__"
            allowed = allowed or (path, module) in UPWARD_IMPORTS or RANKS.get(target, 99) < RANKS[package]
            if module in at_run_time and not allowed:
                wrong.append(f"{path} imports {module}: the rank of {target} is not lower than that of {package}")
        elif module == "?" and path not in COMPUTED_IMPORTS:
            wrong.append(f"{path} imports a module by a computed name")
        elif top in ALLOWED_IMPORTERS and not path.startswith(ALLOWED_IMPORTERS[top]):
            wrong.append(f"{path} imports {module}, which only {ALLOWED_IMPORTERS[top] or 'no file'} may import")
        elif package in NUMERIC and top not in {"numpy", "?", *ALLOWED_IMPORTERS} | sys.stdlib_module_names:
            wrong.append(f"{path} imports {module}; numeric code imports only NumPy")
    return wrong


def reads_test_rows(source):
    """Return whether a file uses the method `testing` of a data set."""
    return any(isinstance(node, ast.Attribute) and node.attr == "testing" for node in ast.walk(ast.parse(source)))


@pytest.mark.parametrize("path", FILES)
def test_imports_follow_the_ranks(path):
    assert not wrong_imports(path, FILES[path])


def test_every_package_has_a_rank():
    assert {package_of(path) for path in FILES} <= {*RANKS, "__init__", "__main__"}


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("replicas/axis.py", "from searchlab.nn import Layer"),
        ("nn/affine.py", "from searchlab import optim"),
        ("metrics.py", "import searchlab.optim"),
        ("optim/sgd.py", "from searchlab.metrics import Accuracy"),
        ("data/mnist.py", "def f():\n    from searchlab.training import Trainer"),
        ("training/trainer.py", "import importlib\nimportlib.import_module('searchlab.runner.run')"),
        ("space/space.py", "from importlib import import_module\nimport_module('searchlab.runner.run')"),
        ("space/sweep.py", "import searchlab.study.study"),
        ("space/constraints.py", "from searchlab.fusion.groups import build"),
        ("space/sweep.py", "import searchlab.fusion"),
        ("fusion/groups.py", "from searchlab import Trainer"),
        ("runs/job.py", "from searchlab.runner.run import run"),
        ("runs/config.py", "import searchlab.engine.local"),
        ("runs/study_client.py", "from searchlab import engine"),
        ("study/study.py", "from searchlab.reporting.report import write_report"),
        ("study/study.py", "from searchlab.cluster.slots import Allocator"),
        ("cluster/jobs.py", "from searchlab.tracking.recorder import Recorder"),
        ("engine/worker.py", "from searchlab.monitor.status import status_of"),
        ("monitor/stop.py", "import searchlab.engine.signals"),
        ("estimate/estimate.py", "from searchlab.reporting.formats import duration"),
        ("reporting/report.py", "from searchlab.results.winner import Winner"),
        ("tracking/mlflow.py", "from searchlab.study.study import Study"),
        ("runner/run.py", "import searchlab.cli"),
        ("runner/run.py", "from ..tracking import mlflow"),
        ("engine/ray_tune.py", "import optuna"),
        ("space/samplers.py", "import optuna"),
        ("pruning/optuna_pruner.py", "import optuna"),
        ("cli/run.py", "import ray.tune"),
        ("runner/pipeline.py", "import ray"),
        ("runs/job.py", "import ray"),
        ("monitor/watch.py", "from ray import tune"),
        ("reporting/report.py", "import mlflow"),
        ("runs/events.py", "import mlflow"),
        ("runner/run.py", "if TYPE_CHECKING:\n    import mlflow.entities"),
        ("data/digits.py", "import sklearn.datasets"),
        ("nn/affine.py", "import cupy"),
        ("nn/affine.py", "import requests"),
        ("optim/adam.py", "__import__('optuna')"),
        ("space/loader.py", "import importlib\nimportlib.import_module(name)"),
        ("space/loader.py", "import importlib\nimportlib.import_module(f'searchlab.engine.{engine}')"),
        ("space/loader.py", "import importlib\nimportlib.import_module(f'{package}.engine')"),
        ("engine/worker.py", "from models.mlp import MLP"),
        ("cli/show.py", "import search_spaces.digits_mlp"),
    ],
)
def test_a_wrong_import_is_found(path, source):
    assert wrong_imports(path, source) or any(module.startswith(".") for module in imports_of(source))


def test_an_import_of_types_may_have_a_higher_rank():
    source = "if TYPE_CHECKING:\n    from searchlab.results.result import Result\n"
    assert not wrong_imports("space/sweep.py", source)
    assert wrong_imports("space/sweep.py", source + "else:\n    from searchlab.results.result import Result")


def test_no_import_is_relative():
    assert not [path for path, source in FILES.items() if any(name.startswith(".") for name in imports_of(source))]


def test_only_the_study_imports_optuna():
    importers = [
        path for path, source in FILES.items() if any(name.split(".")[0] == "optuna" for name in imports_of(source))
    ]
    assert importers
    assert all(path.startswith("study/") for path in importers)


def test_only_the_final_test_reads_test_rows():
    readers = [path for path, source in FILES.items() if reads_test_rows(source)]
    assert all(path.startswith(TEST_ROW_READERS) for path in readers), readers
    assert "testing/dataset.py" in readers  # readers are found
    assert reads_test_rows("rows = sweep.data.testing()")
    assert reads_test_rows("read = data.testing\nread()")


def test_no_file_has_a_vague_name():
    folders = ("searchlab", "models", "search_spaces", "tests", "bench")
    paths = [path.relative_to(ROOT) for folder in folders for path in (ROOT / folder).rglob("*.py")]
    assert not [path for path in paths if VAGUE_NAMES & {part.removesuffix(".py").strip("_") for part in path.parts}]


def test_a_benchmark_explains_itself():
    """`python -m bench.NAME --help` prints its options, and does not run for minutes."""
    programs = [path for path in (ROOT / "bench").glob("*.py") if '__name__ == "__main__"' in path.read_text()]
    assert len(programs) > 20
    assert not [path.name for path in programs if "ArgumentParser(" not in path.read_text()]


@pytest.mark.parametrize(
    "module", ["searchlab", "searchlab.space", "searchlab.training", "searchlab.testing", "models.mlp"]
)
def test_an_import_loads_no_large_dependency(module):
    assert not modules_after(f"import {module}") & set(LARGE_DEPENDENCIES)


def test_importing_searchlab_does_not_load_numpy():
    """BLAS reads its variables when NumPy is first imported, and a worker sets them before that."""
    assert "numpy" not in modules_after("import searchlab, searchlab.environment, searchlab.errors")
    assert "numpy" in modules_after("from searchlab import Float")


def test_a_worker_needs_neither_optuna_nor_mlflow():
    """It trains groups, and reports to a study in another process."""
    assert not modules_after("import searchlab.engine.ray_tune") & {"optuna", "mlflow", "matplotlib", "sklearn"}


def test_digits_are_read_without_importing_scikit_learn():
    assert not modules_after("from searchlab import Digits; Digits().training()") & {"sklearn", "scipy", "pandas"}


def modules_after(code):
    """Return the top-level modules that a new interpreter has loaded after this code."""
    command = [sys.executable, "-c", f"{code}; import sys; print(*sys.modules)"]
    names = subprocess.run(command, cwd=ROOT, text=True, check=True, capture_output=True).stdout
    return {name.split(".")[0] for name in names.split()}


def test_the_wheel_contains_only_the_library(tmp_path):
    """Hatchling, one of the development tools, builds it; without hatchling, this test fails and is not skipped."""
    from hatchling.builders.wheel import WheelBuilder

    (wheel,) = WheelBuilder(str(ROOT)).build(directory=str(tmp_path), versions=["standard"])
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0].split("-")[0] for name in names} == {"searchlab"}
    packed = {name.removeprefix("searchlab/") for name in names if name.startswith("searchlab/")}
    template = {f"new_project/template/models/{name}" for name in MODELS}
    assert {name for name in packed if name.endswith(".py")} == set(FILES) | template
    metadata = [name for name in names if not name.startswith("searchlab/")]
    assert all(name.split("/")[0].endswith(".dist-info") for name in metadata)
