"""The artifact: float16 weights and a manifest, read back as the network they were."""

from __future__ import annotations

import json
from functools import partial

import numpy as np
import pytest

from models.mlp import MLP
from searchlab import artifact
from searchlab.data import Batch
from searchlab.errors import UserMistake
from searchlab.nn import BatchNorm, LeakyRelu, MeanSquaredError, Parameters, Tanh, random_normal
from searchlab.replicas import Replicas

ARGUMENTS = {"hidden": 5, "layers": 2, "activation": Tanh, "dropout": 0.3}


@pytest.fixture
def written(tmp_path):
    model = MLP(Replicas([4]), 3, 2, **ARGUMENTS)
    weights = {name: value[0] for name, value in Parameters(model.parameters()).state().items()}
    artifact.save(tmp_path, weights, MLP, ARGUMENTS, (3, 2), {"sweep": "s"})
    return tmp_path, model


def test_it_predicts_what_the_network_did_to_the_precision_of_float16(written):
    folder, model = written
    x = np.random.default_rng(0).normal(size=(7, 3)).astype(np.float32)
    scores, _ = model.predict(Batch(x[None], np.zeros((1, 7), np.int64)))
    loaded = artifact.load(folder)
    np.testing.assert_allclose(loaded.predict(x), scores[0], atol=5e-3)
    assert not np.array_equal(loaded.predict(x), scores[0]), "float32 weights would be the same bits"
    assert loaded.manifest["sweep"] == "s"
    assert loaded.manifest["model"]["arguments"]["activation"] == {"import": "searchlab.nn.elementwise:Tanh"}


def test_the_weights_are_float16_without_a_replica_axis_and_need_no_pickle(written):
    with np.load(written[0] / "weights.npz", allow_pickle=False) as packed:
        assert {packed[name].dtype for name in packed.files} == {np.dtype(np.float16)}
        assert packed["layers.layers.0.W"].shape == (3, 5)


def test_parts_with_arguments_of_their_own_come_back(tmp_path):
    arguments = {"hidden": (5, 4), "activation": partial(LeakyRelu, slope=0.25), "normalisation": BatchNorm}
    arguments |= {"loss": MeanSquaredError, "initial": partial(random_normal, scale=0.5)}
    parameters = Parameters(MLP(Replicas([4]), 3, 2, **arguments).parameters())
    weights = {name: parameter.value[0] for name, parameter in parameters.named.items()}
    kept = {name: parameter.value[0] + 1e5 for name, parameter in parameters.kept.items()}
    assert sorted(kept) == [f"layers.layers.{at}.{name}" for at in (1, 5) for name in ("mean", "variance")]
    artifact.save(tmp_path, weights, MLP, arguments, (3, 2), {}, kept=kept)
    loaded = artifact.load(tmp_path)
    layers = loaded.model.layers.layers
    assert layers[2].slope == pytest.approx([0.25])
    assert type(loaded.model.loss) is MeanSquaredError
    assert layers[1].mean.value == pytest.approx(np.full((1, 1, 5), 1e5)), "beyond float16, and float32 holds it"
    assert loaded.manifest["weights"]["float32"] == sorted(kept)


def test_inputs_are_scaled_as_in_training(written):
    folder, model = written
    weights = {name: value[0] for name, value in Parameters(model.parameters()).state().items()}
    mean, scale = np.array([1e5, 0.0, -3.0], np.float32), np.array([1e3, 1.0, 0.5], np.float32)
    artifact.save(folder, weights, MLP, ARGUMENTS, (3, 2), {}, scaling=(mean, scale))
    x = np.random.default_rng(0).normal(size=(7, 3)).astype(np.float32)
    scores, _ = model.predict(Batch(x[None], np.zeros((1, 7), np.int64)))
    np.testing.assert_allclose(artifact.load(folder).predict(x * scale + mean), scores[0], atol=5e-3)


def test_weights_beyond_float16_are_refused(tmp_path):
    with np.errstate(over="ignore"), pytest.raises(OverflowError, match="65,504"):
        artifact.save(tmp_path, {"W": np.array([1e6])}, MLP, {}, (3, 2), {})


def test_changed_weights_are_refused(written):
    path = written[0] / "weights.npz"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(UserMistake, match="SHA-256 differs"):
        artifact.load(written[0])


def test_a_folder_without_an_artifact_is_named(tmp_path):
    with pytest.raises(UserMistake, match="does not hold an artifact"):
        artifact.load(tmp_path)


def test_code_that_is_not_here_is_named(written):
    manifest = json.loads((written[0] / "manifest.json").read_text())
    manifest["model"]["class"] = "models.gone:MLP"
    (written[0] / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(UserMistake, match=r"needs models\.gone:MLP"):
        artifact.load(written[0])
