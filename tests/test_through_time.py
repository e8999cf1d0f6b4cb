"""How far back a loss is felt: what RnnLM tells of it, and the picture."""

import numpy as np
import pytest
from matplotlib.image import imread

from models.rnn_lm import RnnLM
from searchlab.data import Batch
from searchlab.data.batch import IGNORED
from searchlab.nn import Parameters
from searchlab.replicas import Replicas
from searchlab.reporting.figures import gradient_through_time, save_recurrent_figures

SEEDS, WORDS, T, B = [1, 2, 3], 40, 9, 3
TIED = {"tied": True, "dropout": [0.2, 0.5, 0.0], "layers": 2, "hidden": 7}


def batch_for(replicas=3, seed=0):
    """Each replica's words are all different, so that each word's gradient is that of one place."""
    ids = np.stack([np.random.default_rng(seed + r).permutation(WORDS)[: T * B] for r in range(replicas)])
    x = ids.reshape(replicas, T, B)
    return Batch(x, (x + 1) % WORDS)


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
@pytest.mark.parametrize("ended", [(), (1,)])
def test_it_is_the_gradient_of_each_places_vector(cell, ended):
    """A sequence that has ended before the last moment is none of those whose mean is taken."""
    batch, model = batch_for(), RnnLM(Replicas(SEEDS, dtype=np.float64), WORDS, cell=cell, hidden=7, embed=5, layers=2)
    batch.y[0, -1, list(ended)] = IGNORED
    found = model.through_time(batch)
    asked = np.full_like(batch.y, IGNORED)
    asked[:, -1] = batch.y[:, -1]
    model.forward(Batch(batch.x, asked), train=True)
    model.backward()
    vectors = np.take_along_axis(model.embedding.W.grad, batch.x.reshape(3, -1, 1), axis=1).reshape(3, T, B, -1)
    norms = np.linalg.norm(vectors, axis=3) * (asked[:, -1:] != IGNORED).sum(axis=2, keepdims=True)
    assert found.shape == (3, T)
    expected = [each[:, (last != IGNORED)].mean(axis=1) for each, last in zip(norms, asked[:, -1], strict=True)]
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("options", [{}, TIED])
def test_fused_as_alone(options):
    together = RnnLM(Replicas(SEEDS), WORDS, **options).through_time(batch_for())
    for r, seed in enumerate(SEEDS):
        own = {**options, "dropout": options["dropout"][r]} if options else {}
        alone = RnnLM(Replicas([seed]), WORDS, **own).through_time(batch_for(1, r))
        assert (alone[0] == together[r]).all()


@pytest.mark.parametrize("options", [{}, TIED])
def test_it_leaves_no_trace(options):
    def trained(asks):
        replicas = Replicas(SEEDS)
        model = RnnLM(replicas, WORDS, **options)
        parameters, carry = Parameters(model.parameters()), None
        for step in range(3):
            if asks:
                model.through_time(batch_for(seed=99))
            loss, carry = model.forward(batch_for(seed=step), carry, train=True)
            parameters.start_pass()
            model.backward()
            parameters.values -= 0.1 * parameters.grads
        return loss.tobytes() + parameters.values.tobytes() + replicas.state()["draws"].tobytes()

    assert trained(asks=True) == trained(asks=False)


def test_gradients_of_plain_networks_explode_where_weights_are_large_and_vanish_where_they_are_small():
    norms = {}
    for name, scale in (("large", 2.0), ("small", 0.2)):
        model = RnnLM(Replicas([1], dtype=np.float64), WORDS, cell="rnn", hidden=50)
        model.cells[0].Wh.value *= scale
        norms[name] = model.through_time(batch_for(1))[0]
    assert norms["large"][0] > 5 * norms["large"][-1]
    assert norms["small"][0] < 1e-4 * norms["small"][-1]


def test_the_picture_has_a_line_per_network_from_the_last_moment_back():
    norms = {"rnn": np.array([4.0, 2.0, 1.0]), "gone": np.zeros(3), "lstm": np.array([0.0, np.nan, 1.0])}
    axes = gradient_through_time(norms).axes[0]
    assert axes.get_yscale() == "log"
    assert [line.get_label() for line in axes.get_lines()] == ["rnn", "lstm"]
    rnn, lstm = (line.get_ydata() for line in axes.get_lines())
    assert rnn.tolist() == [1.0, 2.0, 4.0]
    assert np.isnan(lstm).tolist() == [False, True, True]


@pytest.mark.parametrize(
    "norms", [{}, {"winner": np.zeros(4)}, {"winner": np.array([1e-3])}, {"w": np.geomspace(1e-30, 1e9, 90)}]
)
def test_any_norms_make_a_picture(norms):
    gradient_through_time(norms).canvas.draw()


def test_the_winners_is_saved(tmp_path):
    (path,) = save_recurrent_figures(tmp_path, np.geomspace(1e-6, 1.0, 20))
    assert path.name == "gradient-through-time.png"
    assert imread(path).std() > 0.01
