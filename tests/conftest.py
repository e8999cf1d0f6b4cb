"""Fixtures of all tests; a test whose data or device is missing is skipped with the reason."""

from __future__ import annotations

import os
import shutil
import socket
import sys
from pathlib import Path

import numpy as np
import pytest

from searchlab.backend import unavailable_reason
from searchlab.data import mnist, penn_treebank
from searchlab.data.data_folder import data_folder
from searchlab.project import is_project_file
from tests.without_figures import REPLACED

os.environ.setdefault("SEARCHLAB_KERNELS", "numpy")  # that of the reference; tests of Numba's say so
ROOT = Path(__file__).parents[1]
LONG = (  # files and folders whose slow tests take minutes, the longest first
    "tests/cluster/", "tests/chaos/", "tests/test_engines.py", "tests/test_local_ray.py", "tests/test_signals.py",
    "tests/test_auto.py", "tests/test_kill.py", "tests/test_stop.py", "tests/test_tracking.py",
    "tests/test_world_faults.py", "tests/test_logged_model.py", "tests/browser/", "tests/test_damaged_record.py",
    "tests/test_secrets.py", "tests/test_mlflow_away.py",
)  # fmt: skip

np.seterr(all="raise")  # floating-point errors are failures; the trainer itself handles NaN and overflow


def pytest_collection_modifyitems(config, items):
    """Skip GPU tests where there is no CUDA device; with several processes, the files that take long come first."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: _position(item.nodeid))
    reason = unavailable_reason("cuda")
    for item in items:
        if reason and item.get_closest_marker("gpu"):
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(autouse=True)
def _forget_projects():
    """Let no test import from the project of an earlier one: a process imports from one project."""
    path, modules = [*sys.path], set(sys.modules)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        module = sys.modules[name]
        places = [getattr(module, "__file__", None), *getattr(module, "__path__", ())]
        if any(place and is_project_file(Path(place)) and ROOT not in Path(place).parents for place in places):
            del sys.modules[name]


def _position(nodeid):
    return next((position for position, name in enumerate(LONG) if nodeid.startswith(name)), len(LONG))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """With `--dist loadfile`, run all files of tests/cluster in one process, because they share one cluster.

    The files keep the order of the collection: by default, the ones with the most tests come first.
    """
    if config.getvalue("dist") != "loadfile":
        return None
    config.option.loadscopereorder = False
    from xdist.scheduler import LoadFileScheduling

    class ClusterInOneProcess(LoadFileScheduling):
        def _split_scope(self, nodeid):
            file = super()._split_scope(nodeid)
            return "tests/cluster" if file.startswith("tests/cluster/") else file

    return ClusterInOneProcess(config, log)


@pytest.fixture(autouse=True)
def no_figures(request, monkeypatch):
    """Draw the figures of a sweep only in tests marked `figures`, because they take longer than the small sweeps."""
    run_figures = sys.modules.get("searchlab.runner.run_figures")  # not imported here: it needs Optuna
    if run_figures and "figures" not in request.keywords:
        for name, replacement in REPLACED.items():
            monkeypatch.setattr(run_figures.RunFigures, name, replacement)


@pytest.fixture
def mnist_files():
    """Skip a test where the files of MNIST are missing; fail it in CI, or where SEARCHLAB_DATA is set."""
    _require_files("mnist", mnist.TRAIN_IMAGES, mnist.TRAIN_LABELS, mnist.TEST_IMAGES, mnist.TEST_LABELS)


@pytest.fixture
def ptb_files():
    """Skip or fail a test where the files of the Penn Treebank are missing, as for MNIST."""
    _require_files("ptb", penn_treebank.TRAIN, penn_treebank.VALID, penn_treebank.TEST)


def _require_files(folder, *files):
    missing = [name for name, _ in files if not (data_folder() / folder / name).exists()]
    if not missing:
        return
    reason = f"{data_folder() / folder} lacks {', '.join(missing)}"
    if os.environ.get("CI") or os.environ.get("SEARCHLAB_DATA"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def fresh_store(tmp_path_factory):
    """A new MLflow database with its tables, which take five seconds to create."""
    from searchlab.runs.workspace import Workspace  # not at the top: numeric tests run without MLflow, Ray and Optuna
    from searchlab.tracking.store import open_store

    home = tmp_path_factory.mktemp("store")
    open_store(Workspace.at(home).tracking_uri, home)
    return home / "mlflow.db"


@pytest.fixture
def home(tmp_path, fresh_store):
    """A home folder with a new MLflow store."""
    folder = tmp_path / "home"
    folder.mkdir()
    shutil.copy(fresh_store, folder / "mlflow.db")
    return folder


@pytest.fixture(scope="module")
def shared_ray():
    """A Ray with two cores for all tests of a file: to start one takes ten times as long as a small sweep."""
    from tests.local_cluster import local_ray

    with local_ray(num_cpus=2):
        yield


@pytest.fixture
def free_port():
    """A free TCP port of the loopback interface."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
