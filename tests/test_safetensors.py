"""Artifacts with their weights in the format safetensors."""

from __future__ import annotations

import hashlib
import json
import sys

import numpy as np
import pytest
import safetensors.numpy

from searchlab import FoldEnsemble, UserMistake, artifact
from searchlab.artifact import convert_to_safetensors
from searchlab.artifact.format import SUM, manifest_sum
from tests.command_line import error_message, run_cli
from tests.jobs import run
from tests.sweeps import spiral_sweep

X = np.random.default_rng(0).normal(size=(7, 2))


@pytest.fixture
def folder(home):
    return run(spiral_sweep(1), engine="local", home=home).artifact


def arrays_of(folder):
    with np.load(folder / "weights.npz") as arrays:
        return {name: arrays[name] for name in arrays.files}


@pytest.mark.parametrize("rule", [{}, {"winner": FoldEnsemble(finalists=1)}])
def test_a_converted_artifact_has_the_same_arrays_and_predictions(home, rule):
    folder = run(spiral_sweep(1, **rule), engine="local", home=home).artifact
    arrays, expected = arrays_of(folder), artifact.load(folder).predict(X)
    convert_to_safetensors(folder)
    assert not (folder / "weights.npz").exists()
    found = safetensors.numpy.load_file(folder / "weights.safetensors")
    assert found.keys() == arrays.keys()
    assert all(found[name].dtype == array.dtype for name, array in arrays.items())
    assert all(np.array_equal(found[name], array) for name, array in arrays.items())
    loaded = artifact.load(folder)
    np.testing.assert_array_equal(loaded.predict(X), expected)
    assert loaded.manifest["weights"]["file"] == "weights.safetensors"


def test_a_changed_file_is_refused(folder):
    convert_to_safetensors(folder)
    path = folder / "weights.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"\x01")
    with pytest.raises(UserMistake, match=r"weights\.safetensors has changed since it was written"):
        artifact.load(folder)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no weights",
        b"\xff" * 64,
        safetensors.numpy.save({"first.W": np.full((2, 2), np.nan, np.float16)}),
        safetensors.numpy.save({"first.W": np.zeros((2, 2), np.int64)}),
    ],
)
def test_a_file_that_holds_no_weights_is_refused_although_its_sum_is_right(folder, content):
    convert_to_safetensors(folder)
    (folder / "weights.safetensors").write_bytes(content)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["weights"]["sha256"] = hashlib.sha256(content).hexdigest()
    (folder / "manifest.json").write_text(json.dumps(manifest | {SUM: manifest_sum(manifest)}))
    with pytest.raises(UserMistake, match="does not hold an artifact that can be read"):
        artifact.load(folder)


def test_a_damaged_artifact_is_not_converted(folder):
    (folder / "weights.npz").write_bytes(b"nothing")
    with pytest.raises(UserMistake, match=r"weights\.npz has changed"):
        convert_to_safetensors(folder)
    assert not (folder / "weights.safetensors").exists()


def test_without_the_package_nothing_is_written(folder, home, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "safetensors", None)
    finished = run_cli("export", "spiral", tmp_path / "mine", "--safetensors", home=home)
    assert "pip install 'searchlab[safetensors]'" in error_message(finished, 2)
    assert not (tmp_path / "mine").exists()


def test_a_full_disk_is_one_sentence_and_leaves_the_weights(folder, home, tmp_path, monkeypatch):
    def fail(folder):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(artifact, "convert_to_safetensors", fail)
    finished = run_cli("export", "spiral", tmp_path / "mine", "--safetensors", home=home)
    assert "No space left on device" in error_message(finished, 1)
    assert len(artifact.load(tmp_path / "mine").predict(X)) == len(X)


def test_the_command_writes_the_format(folder, home, tmp_path):
    finished = run_cli("export", "spiral", tmp_path / "mine", "--safetensors", home=home)
    assert finished.returncode == 0, finished.stderr
    assert (folder / "weights.npz").exists(), "the home is not changed"
    np.testing.assert_array_equal(artifact.load(tmp_path / "mine").predict(X), artifact.load(folder).predict(X))
    refused = run_cli("export", "spiral", "--csv", "--safetensors", home=home)
    assert "or --csv for all trials" in error_message(refused, 2)
