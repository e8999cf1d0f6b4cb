"""Gradient norms through time, computed by RnnLM, and their figure."""

import numpy as np
import pytest
from matplotlib.image import imread

from models.rnn_lm import RnnLM
from searchlab.data import Batch
from searchlab.data.batch import IGNORED
from searchlab.nn import Parameters
from searchlab.replicas import Replicas
from searchlab.reporting.figures import plot_gradient_through_time, save_gradient_figure

SEEDS, V, T, B = [1, 2, 3], 40, 9, 3
TIED = {"tied": True, "dropout": [0.2, 0.5, 0.0], "layers": 2, "hidden": 7}


def make_batch(replicas=3, seed=0):
    """Return a batch in which each word occurs once per replica: the gradient of a word belongs to one position."""
    ids = np.stack([np.random.default_rng(seed + r).permutation(V)[: T * B] for r in range(replicas)])
    x = ids.reshape(replicas, T, B)
    return Batch(x, (x + 1) % V)


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
@pytest.mark.parametrize("ended_sequences", [(), (1,)])
def test_norms_equal_those_of_the_gradient_of_each_word_vector(cell, ended_sequences):
    """A sequence that ends before the last time step does not count in the mean."""
    batch, model = make_batch(), RnnLM(Replicas(SEEDS, dtype=np.float64), V, cell=cell, hidden=7, embed=5, layers=2)
    batch.y[0, -1, list(ended_sequences)] = IGNORED
    norms = model.gradient_norms_through_time(batch)
    targets = np.full_like(batch.y, IGNORED)
    targets[:, -1] = batch.y[:, -1]
    model.forward(Batch(batch.x, targets), train=True)
    model.backward()
    gradients = np.take_along_axis(model.embedding.W.grad, batch.x.reshape(3, -1, 1), axis=1).reshape(3, T, B, -1)
    is_counted = targets[:, -1] != IGNORED  # (R, B)
    # the loss is a mean over the sequences that count: times their number, it is the gradient of one sequence
    sequence_norms = np.linalg.norm(gradients, axis=3) * is_counted.sum(axis=1)[:, None, None]  # (R, T, B)
    assert norms.shape == (3, T)
    expected = [
        replica_norms[:, counted].mean(axis=1)
        for replica_norms, counted in zip(sequence_norms, is_counted, strict=True)
    ]
    np.testing.assert_allclose(norms, expected, rtol=1e-12)


@pytest.mark.parametrize("options", [{}, TIED])
def test_fused_equals_alone(options):
    fused = RnnLM(Replicas(SEEDS), V, **options).gradient_norms_through_time(make_batch())
    for r, seed in enumerate(SEEDS):
        options_of_replica = {**options, "dropout": options["dropout"][r]} if options else {}
        alone = RnnLM(Replicas([seed]), V, **options_of_replica).gradient_norms_through_time(make_batch(1, r))
        assert (alone[0] == fused[r]).all()


@pytest.mark.parametrize("options", [{}, TIED])
def test_computing_norms_does_not_change_training(options):
    def train(compute_norms):
        replicas = Replicas(SEEDS)
        model = RnnLM(replicas, V, **options)
        parameters, carry = Parameters(model.named_parameters()), None
        for step in range(3):
            if compute_norms:
                model.gradient_norms_through_time(make_batch(seed=99))
            loss, carry = model.forward(make_batch(seed=step), carry, train=True)
            parameters.reset_gradients()
            model.backward()
            parameters.values -= 0.1 * parameters.grads
        return loss.tobytes() + parameters.values.tobytes() + replicas.state()["draws"].tobytes()

    assert train(compute_norms=True) == train(compute_norms=False)


def test_gradients_explode_with_large_weights_and_vanish_with_small_ones():
    norms = {}
    for name, scale in (("large", 2.0), ("small", 0.2)):
        model = RnnLM(Replicas([1], dtype=np.float64), V, cell="rnn", hidden=50)
        model.cells[0].Wh.value *= scale
        norms[name] = model.gradient_norms_through_time(make_batch(1))[0]
    assert norms["large"][0] > 5 * norms["large"][-1]
    assert norms["small"][0] < 1e-4 * norms["small"][-1]


def test_the_figure_has_a_line_per_network_that_starts_at_the_last_time_step():
    norms = {"rnn": np.array([4.0, 2.0, 1.0]), "zero": np.zeros(3), "lstm": np.array([0.0, np.nan, 1.0])}
    axes = plot_gradient_through_time(norms).axes[0]
    assert axes.get_yscale() == "log"
    assert [line.get_label() for line in axes.get_lines()] == ["rnn", "lstm"]
    rnn, lstm = (line.get_ydata() for line in axes.get_lines())
    assert rnn.tolist() == [1.0, 2.0, 4.0]
    assert np.isnan(lstm).tolist() == [False, True, True]


@pytest.mark.parametrize(
    "norms", [{}, {"winner": np.zeros(4)}, {"winner": np.array([1e-3])}, {"w": np.geomspace(1e-30, 1e9, 90)}]
)
def test_any_norms_can_be_plotted(norms):
    plot_gradient_through_time(norms).canvas.draw()


def test_the_figure_is_saved(tmp_path):
    (path,) = save_gradient_figure(tmp_path, np.geomspace(1e-6, 1.0, 20))
    assert path.name == "gradient-through-time.png"
    assert imread(path).std() > 0.01
