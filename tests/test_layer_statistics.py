"""Gradients and outputs by layer of the winner while it is trained."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from matplotlib.image import imread
from mlflow import MlflowClient

import searchlab
from models.cooccurrence import Cooccurrence
from models.mlp import MLP
from models.rnn_lm import RnnLM
from models.seq2seq import Seq2Seq
from models.transformer_lm import TransformerLM
from models.word2vec import Cbow
from searchlab import (
    SGD,
    Accuracy,
    Adam,
    Addition,
    BatchNorm,
    Digits,
    Fit,
    FoldEnsemble,
    Holdout,
    KFold,
    ParameterCount,
    Perplexity,
    Sigmoid,
    Space,
    Sweep,
    Text,
    Trainer,
    glorot_normal,
)
from searchlab.data import Batch, ContextWindows
from searchlab.engine.refit import refit_locally
from searchlab.nn import Affine, Layer, MeanSquaredError, Model, Parameter, Parameters, Replicas
from searchlab.reporting.figures import plot_layer_statistics, save_layer_figure
from searchlab.reporting.figures.layer_statistics import MAX_NAMED_LAYERS, layer_labels
from searchlab.results.winner_files import write_layer_statistics
from searchlab.runs.trials import LearningCurve, TrialRecord
from searchlab.runs.workspace import Workspace
from searchlab.scoring import LayerProbe, LayerStatistics
from tests.jobs import make_job, run
from tests.sweeps import spiral_sweep

TEXT = "the cat sat on the mat\nand the rat sat on the cat\n" * 12
EPOCHS = 3


def text_of(folder, **options):
    path = folder / "tale.txt"
    path.write_text(TEXT)
    return Text(str(path), window=8, **options)


def deep_sigmoids(folder):
    return Digits(), Accuracy(), Space(MLP, hidden=32, layers=5, activation=Sigmoid, initializer=glorot_normal)


def normalized(folder):
    return Digits(), Accuracy(), Space(MLP, hidden=16, layers=2, dropout=0.3, normalization=BatchNorm)


def recurrent(folder, **options):
    return text_of(folder, unit="char"), Perplexity(), Space(RnnLM, layers=2, hidden=12, embed=8, **options)


def tied(folder):
    return recurrent(folder, tied=True, dropout=0.2, cell="rnn")


def transformer(folder):
    return text_of(folder, unit="char"), Perplexity(), Space(TransformerLM, width=8, layers=2, dropout=0.1)


def translating(folder):
    return Addition(digits=1, rows=27), Perplexity(), Space(Seq2Seq, hidden=12, embed=6, attention="dot", dropout=0.2)


def refit_of(folder, parts, *, measures_layers, epochs=EPOCHS, **changes):
    data, metric, model = parts
    of_sweep = {
        "name": "deep",
        "data": data,
        "validation": Holdout(0.2),
        "metric": metric,
        "model": model,
        "optimizer": Space(SGD, lr=0.1),
        "training": Space(Trainer, batch_size=32 if isinstance(data, Digits) else 4, epochs=epochs, clip_norm=1.0),
        "trials": 1,
    }
    sweep = Sweep(**{name: part for name, part in (of_sweep | changes).items() if part is not None})
    job = make_job(sweep, "deep", folder / "study.journal", folder / "checkpoints", trials=1)
    trial = TrialRecord(0, "COMPLETE", {}, 0.5, epochs, None, LearningCurve(), started=0.0, ended=1.0)
    return refit_locally(job, trial, "cpu", measures_layers=measures_layers)


def test_gradients_vanish_in_the_first_layers_of_a_deep_network_of_sigmoids(tmp_path):
    """Each sigmoid multiplies them by a quarter at most; without activations they keep their size."""
    layers = refit_of(tmp_path, deep_sigmoids(tmp_path), measures_layers=True).layers
    norms = np.array(layers.gradient_norms)
    assert norms.shape == (EPOCHS + 1, 6), "before training and after each epoch"
    assert layers.kinds == ("Affine",) * 6
    assert (norms[:, 1:] > norms[:, :-1]).all(), "each layer has smaller gradients than the next one"
    assert (norms[:, 0] < 0.01 * norms[:, -1]).all()
    linear = Digits(), Accuracy(), Space(MLP, hidden=32, layers=5, activation=Linear, initializer=glorot_normal)
    norms = np.array(refit_of(tmp_path, linear, measures_layers=True).layers.gradient_norms)
    assert (norms[0, 0] > 0.1 * norms[0, -1]).all()


class Linear(Layer):
    """No activation."""

    def forward(self, x, *, train):
        return x

    def backward(self, dy):
        return dy


@pytest.mark.parametrize("parts", [normalized, recurrent, tied, transformer, translating])
def test_measuring_the_layers_changes_nothing(tmp_path, parts):
    """Weights, moments, running statistics and the count of random numbers are the same, bit for bit."""
    adam = {"optimizer": Space(Adam, lr=0.01)}
    without = refit_of(tmp_path, parts(tmp_path), measures_layers=False, **adam)
    measured = refit_of(tmp_path, parts(tmp_path), measures_layers=True, **adam)
    assert without.layers is None
    assert measured.failure is None
    assert measured.texts == without.texts
    assert list(measured.state) == list(without.state)
    for name, array in without.state.items():
        assert measured.state[name].tobytes() == array.tobytes(), name
    norms = np.array(measured.layers.gradient_norms)
    assert np.isfinite(norms).all()
    assert (norms > 0.0).all()
    assert (norms[0] != norms[-1]).all()
    again = refit_of(tmp_path, parts(tmp_path), measures_layers=True, **adam)
    assert repr(again.layers) == repr(measured.layers), "the batch and the dropout masks are the same"


@pytest.mark.parametrize(
    ("parts", "layers", "with_outputs"),
    [
        (normalized, ["Affine", "BatchNorm", "Affine", "BatchNorm", "Affine"], [1, 1, 1, 1, 1]),
        (recurrent, ["embedding", "cells.0", "cells.1", "output"], [0, 1, 1, 0]),  # rows are looked up by cells.0
        (tied, ["embedding", "cells.0", "cells.1", "output"], [1, 1, 1, 0]),  # the output layer returns the loss
    ],
)
def test_layers_are_named_in_the_order_of_the_model(tmp_path, parts, layers, with_outputs):
    found = refit_of(tmp_path, parts(tmp_path), measures_layers=True).layers
    assert layer_labels(found) == [f"{number}  {name}" for number, name in enumerate(layers, start=1)]
    assert np.isfinite(found.output_stds).astype(int).tolist() == [with_outputs] * (EPOCHS + 1)


def test_layers_are_not_measured_where_they_have_no_dense_gradients_or_several_networks(tmp_path):
    words = ContextWindows(text_of(tmp_path))
    vectors = words, Perplexity(), Space(Cbow, window=1, dimensions=4, negatives=None)
    assert refit_of(tmp_path, vectors, measures_layers=True).layers is None
    counts = words, ParameterCount(), Space(Cooccurrence, window=1, dimensions=2)
    fitted = refit_of(tmp_path, counts, measures_layers=True, epochs=1, training=Space(Fit), optimizer=None)
    assert fitted.layers is None
    ensemble = {"winner": FoldEnsemble(finalists=1), "validation": KFold(2)}
    assert refit_of(tmp_path, normalized(tmp_path), measures_layers=True, **ensemble).layers is None


def test_a_probe_that_memory_does_not_suffice_for_leaves_the_refit_whole(tmp_path, monkeypatch):
    def no_memory(*_):
        raise MemoryError("16 GiB")

    whole = refit_of(tmp_path, normalized(tmp_path), measures_layers=False)
    for method in ("measure", "__init__"):
        with monkeypatch.context() as patched:
            patched.setattr(LayerProbe, method, no_memory)
            found = refit_of(tmp_path, normalized(tmp_path), measures_layers=True)
        assert found.layers is None
        assert all((found.state[name] == array).all() for name, array in whole.state.items())


class Nested(Affine):
    """An affine layer with a forward pass that calls another one of its own."""

    def forward(self, x, *, train):
        return 0.2 * self.forward_scaled(x, train=train)

    def forward_scaled(self, x, *, train):
        return 5.0 * super().forward(x, train=train)


class TwoCalls(Model):
    """One layer that is called twice, with parameters of the model's own beside it."""

    def __init__(self, replicas, features, outputs):
        self.affine, self.loss = Nested(replicas, features, outputs), MeanSquaredError(replicas)
        self.scale, self.same = Parameter(replicas.full(1, 1, value=1.0)), [self.affine]

    def forward(self, batch, carry=None, *, train):
        self.affine.forward(10.0 * batch.x, train=train)
        y = self.affine.forward(batch.x, train=train)
        return self.loss.forward(y * self.scale.value, batch.y), None

    def backward(self):
        self.affine.backward_parameters(self.loss.backward())

    def predict(self, batch, carry=None):
        return self.affine.forward(batch.x, train=False), None


def test_numbers_of_a_layer_are_the_norm_of_its_gradients_and_the_spread_of_all_its_outputs():
    def build():
        return TwoCalls(Replicas([1]), 4, 2)

    x, y = np.ones((1, 8, 4), np.float32) * np.arange(8, dtype=np.float32)[:, None], np.zeros((1, 8, 2), np.float32)
    network, batch = build(), Batch(x, y)
    parameters = Parameters(network.named_parameters())
    probe = LayerProbe(build(), Replicas([1]), batch)
    parameters.values[...] *= 3.0  # the network has been trained
    before = parameters.values.copy(), parameters.grads.copy()
    probe.measure(parameters)
    assert (parameters.values == before[0]).all()
    assert (parameters.grads == before[1]).all()
    network.forward(batch, train=True)
    network.backward()
    exact = math.sqrt((network.affine.W.grad**2).sum() + (network.affine.b.grad**2).sum())
    outputs = [network.affine.forward(scale * x, train=True) for scale in (10.0, 1.0)]
    found = probe.statistics
    assert (found.layers, found.kinds) == (("affine",), ("Nested",)), "a shared layer is named once"
    assert found.gradient_norms == (pytest.approx((exact,), rel=1e-5),)
    assert found.output_stds == (pytest.approx((np.concatenate(outputs).std(),), rel=1e-5),)


def test_dropout_masks_are_those_of_the_first_measurement():
    replicas, batch = Replicas([1]), Batch(np.ones((1, 8, 4), np.float32), np.zeros((1, 8), np.int64))
    model = MLP(replicas, 4, 2, dropout=0.5)
    parameters = Parameters(MLP(Replicas([1]), 4, 2, dropout=0.5).named_parameters())
    probe = LayerProbe(model, replicas, batch)
    for _ in range(2):
        probe.measure(parameters)
    first, second = probe.statistics.gradient_norms
    assert first == second
    assert first[0] > 0.0


def statistics(layers=3, epochs=4, norm=0.1):
    names = tuple(f"cells.{number}" for number in range(layers))
    rows = tuple((norm,) * layers for _ in range(epochs + 1))
    return LayerStatistics(names, ("LSTM",) * layers, rows, rows)


def test_statistics_are_stored_as_json():
    found = LayerStatistics(("a", "b"), ("Affine", "RNN"), ((1.0, 2.0), (math.inf, 0.5)), ((1.0, math.nan),) * 2)
    stored = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert stored["gradient_norms"] == [[1.0, 2.0], [None, 0.5]]
    back = LayerStatistics.from_json(stored)
    assert (back.layers, back.kinds, back.gradient_norms[0]) == (found.layers, found.kinds, (1.0, 2.0))
    assert np.isnan(back.output_stds).tolist() == [[False, True]] * 2


@pytest.mark.parametrize("norm", [0.1, 0.0, math.nan, 1e-30, 1e30])
@pytest.mark.parametrize(("layers", "epochs"), [(1, 0), (1, 1), (3, 4), (40, 60)])
def test_any_statistics_can_be_plotted(norm, layers, epochs):
    figure = plot_layer_statistics(statistics(layers, epochs, norm))
    figure.canvas.draw()
    gradients, outputs = figure.axes
    assert len(gradients.get_lines()) == len(outputs.get_lines()) == layers
    named = [text.get_text() for text in figure.legends[0].get_texts()]
    assert len(named) == min(layers, MAX_NAMED_LAYERS)
    assert named[-1].startswith(f"{layers}  ")


def test_each_layer_has_its_own_color_from_dark_to_light():
    lines = plot_layer_statistics(statistics(5)).axes[0].get_lines()
    lightness = [sum(line.get_color()[:3]) for line in lines]
    assert lightness == sorted(lightness)
    assert len(set(lightness)) == 5


def test_the_figure_is_saved(tmp_path):
    (path,) = save_layer_figure(tmp_path, statistics())
    assert path.name == "layer-statistics.png"
    assert imread(path).std() > 0.01


@pytest.mark.figures
def test_a_sweep_keeps_the_statistics_of_its_winner_in_its_folder_report_and_record(home):
    result = run(spiral_sweep(2), engine="local", home=home, tracking="mlflow")
    layers = result.winner.layer_statistics
    assert len(layers.gradient_norms) == result.best.epoch + 1
    assert json.loads((home / "sweeps" / "spiral" / "layer_statistics.json").read_text()) == layers.to_json()
    assert searchlab.open("spiral", home=home).winner.layer_statistics == layers
    assert "layer-statistics" in {figure.stem for figure in result.figures}
    assert "standard deviation of the outputs of each layer" in result.report.read_text()
    files = MlflowClient(result.tracking_uri).list_artifacts(result.run_id, "figures")
    assert "figures/layer-statistics.png" in [file.path for file in files]


def test_the_statistics_of_an_earlier_winner_are_removed(home):
    layers, folder = statistics(), Workspace.at(home).sweep("spiral")
    folder.path.mkdir(parents=True)
    assert write_layer_statistics(folder, layers) == layers
    assert LayerStatistics.from_json(folder.read("layer_statistics")) == layers
    assert write_layer_statistics(folder, None) is None
    assert not folder.layer_statistics.exists()
    assert write_layer_statistics(folder, None) is None
