"""bench.gpu needs NumPy, CuPy and pytest alone, goes on where it was cut off, and trains on a device."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from searchlab.environment import worker_environment
from tests.waiting import wait_for

ROOT = Path(__file__).parents[1]
MISSING = (
    "ray", "optuna", "mlflow", "sklearn", "scipy", "pandas", "matplotlib", "cloudpickle", "click", "rich", "pooch",
    "numba", "threadpoolctl", "torch",
)  # fmt: skip
ON_DEVICE = """
from dataclasses import replace
from searchlab import backend
from tests import fake_cupy
backend._cupy = lambda: fake_cupy
from bench import gpu_grid, gpu_parts, gpu_sizes
sizes = replace(gpu_sizes.tiny_sizes(), device="cuda")
for part in (gpu_parts.compare_folds, gpu_parts.compare_lstms, gpu_parts.measure_ptb):
    assert part(sizes)["lines"]
grid = gpu_grid.GridOnDevice(sizes)
name = next(iter(grid.groups))
results = {f"sample {name}": grid.sample(name), f"train {name}": grid.train(name)}
assert results[f"train {name}"]["combinations"] == 7
assert fake_cupy.transfers["to_device"]
"""


@pytest.fixture
def bare(tmp_path):
    """The environment of a Python without the packages that a bare GPU machine lacks."""
    folder = tmp_path / "missing"
    folder.mkdir()
    for name in MISSING:
        (folder / f"{name}.py").write_text(f"raise ModuleNotFoundError('No module named {name}', name={name!r})\n")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    path = f"{folder}{os.pathsep}{ROOT}"
    return environment | worker_environment() | {"PYTHONPATH": path, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}


def stored_parts(results):
    return json.loads(results.read_text())["parts"] if results.exists() else {}


def test_a_bare_machine_measures_all_parts_and_repeats_none_after_it_was_cut_off(bare, tmp_path):
    results = tmp_path / "gpu.json"
    command = [sys.executable, "-m", "bench.gpu", "--device", "cpu", "--results", str(results)]
    with subprocess.Popen(command, cwd=ROOT, env=bare, stdout=subprocess.DEVNULL) as process:
        wait_for(lambda: "folds" in stored_parts(results) or process.poll() is not None)
        process.kill()
    before = stored_parts(results)
    assert {"tests", "folds"} <= set(before)
    finished = subprocess.run(command, cwd=ROOT, env=bare, capture_output=True, text=True)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    after = stored_parts(results)
    assert {name: after[name] for name in before} == before
    assert {"lstms", "ptb", "memory", "sample Adam, batch 32", "train SGD, batch 16"} <= set(after)
    assert len(after) == 5 + 2 * 8
    assert all(line in finished.stdout for result in after.values() for line in result["lines"])
    assert "56 of 56 combinations" in finished.stdout


def test_results_of_another_device_are_refused(bare, tmp_path):
    results = tmp_path / "gpu.json"
    results.write_text(json.dumps({"measured": "another GPU", "parts": {}}))
    command = [sys.executable, "-m", "bench.gpu", "--device", "cpu", "--results", str(results)]
    finished = subprocess.run(command, cwd=ROOT, env=bare, capture_output=True, text=True)
    assert finished.returncode == 1
    assert "another GPU" in finished.stderr
    assert "Traceback" not in finished.stderr


def test_the_parts_run_on_a_device(bare):
    finished = subprocess.run([sys.executable, "-c", ON_DEVICE], cwd=ROOT, env=bare, capture_output=True, text=True)
    assert finished.returncode == 0, finished.stderr
