"""What all tests share: floating-point trouble is an error; data and devices that are not here skip with the reason."""

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

ROOT = Path(__file__).parents[1]

np.seterr(all="raise")  # the trainer itself handles NaN and overflow, replica by replica


def pytest_collection_modifyitems(items):
    """Skip the tests that need a CUDA device where there is none."""
    reason = unavailable_reason("cuda")
    for item in items:
        if reason and item.get_closest_marker("gpu"):
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(autouse=True)
def no_figures(request, monkeypatch):
    """Drawing takes longer than the small sweeps of tests: only tests marked `figures` have them drawn."""
    pipeline = sys.modules.get("searchlab.runner.pipeline")  # not imported here: it needs Optuna
    if pipeline and "figures" not in request.keywords:
        monkeypatch.setattr(pipeline.SweepPipeline, "_draw_figures", lambda *_: ())


@pytest.fixture
def mnist_files():
    """MNIST's files are here. Missing, they skip the test; in CI, or with SEARCHLAB_DATA set, they fail it."""
    _are_here("mnist", mnist.TRAIN_IMAGES, mnist.TRAIN_LABELS, mnist.TEST_IMAGES, mnist.TEST_LABELS)


@pytest.fixture
def ptb_files():
    """The Penn Treebank's files are here, or the test skips or fails as with MNIST's."""
    _are_here("ptb", penn_treebank.TRAIN, penn_treebank.VALID, penn_treebank.TEST)


def _are_here(folder, *files):
    missing = [name for name, _ in files if not (data_folder() / folder / name).exists()]
    if not missing:
        return
    reason = f"{data_folder() / folder} lacks {', '.join(missing)}"
    if os.environ.get("CI") or os.environ.get("SEARCHLAB_DATA"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def fresh_store(tmp_path_factory):
    """An MLflow database with its tables made: five seconds that a test session pays once."""
    from searchlab.runs.workspace import (
        Workspace,  # here alone: the numeric core's tests run without MLflow, Ray and Optuna
    )
    from searchlab.tracking.store import open_store

    home = tmp_path_factory.mktemp("store")
    open_store(Workspace.at(home).tracking_uri, home)
    return home / "mlflow.db"


@pytest.fixture
def home(tmp_path, fresh_store):
    """A home folder whose MLflow store is ready."""
    folder = tmp_path / "home"
    folder.mkdir()
    shutil.copy(fresh_store, folder / "mlflow.db")
    return folder


@pytest.fixture
def free_port():
    """A port of loopback that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
