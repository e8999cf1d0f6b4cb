"""The compiled kernels: as exact as they say, equal to the NumPy code to rounding, and independent of other numbers."""

import math
import sys

import numpy as np
import pytest

from models.mlp import MLP
from models.rnn_lm import RnnLM
from models.seq2seq import Seq2Seq
from models.transformer_lm import TransformerLM
from searchlab import Choice, Int, Space
from searchlab.cluster.connection import _worker_variables
from searchlab.data import TokenStream, Vocabulary
from searchlab.errors import UserMistake
from searchlab.fusion.corner_points import corner_point
from searchlab.fusion.groups import build_trainer
from searchlab.kernels import choice, compiled, uses_compiled
from searchlab.nn import (
    GRU,
    LSTM,
    RNN,
    Dropout,
    Parameter,
    Parameters,
    Replicas,
    SoftmaxCrossEntropy,
    SoftmaxOutput,
    SparseParameter,
)
from searchlab.nn.activations import Relu
from searchlab.nn.scatter import add_rows
from searchlab.optim import SGD, Adam, AdamW, Momentum
from searchlab.runs.job import Job
from searchlab.runs.manifest import SweepManifest
from searchlab.space.kernel_choice import kernels_of
from searchlab.testing import check_model, check_recurrent
from tests.sweeps import spiral_sweep

numba = pytest.importorskip("numba")
SPECIAL = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-30, -1e-38, 1e-42], np.float32)
SIZES = [(3, 4, 5, 7, 6), (2, 3, 16, 64, 60), (1, 2, 1, 1, 1), (2, 2, 13, 37, 9)]  # R, T, B, H, inputs


@pytest.fixture(params=["numpy", "numba"])
def kernels(request, monkeypatch):
    use(request.param, monkeypatch)
    return request.param


def use(name, monkeypatch):
    monkeypatch.setattr(choice, "_is_compiled", lambda: name == "numba")


def both(compute, monkeypatch):
    """The results of a computation by NumPy and by the compiled kernels."""
    results = []
    for name in ("numpy", "numba"):
        use(name, monkeypatch)
        results.append(compute())
    return results


def assert_close(results, tolerance=2e-5):
    reference, found = results
    assert len(reference) == len(found)
    for one, other in zip(reference, found, strict=True):
        assert one.dtype == other.dtype == np.float32
        assert np.abs(one - other).max() <= tolerance * max(1.0, np.abs(one).max())


def ulps(found, exact):
    """The largest error in units in the last place of float32."""
    return np.max(np.abs(found - exact) / np.spacing(np.abs(exact).astype(np.float32)))


def test_tanh_is_exact_to_5_units_in_the_last_place():
    x = np.concatenate([np.linspace(-12, 12, 400_001), np.geomspace(1e-37, 1, 1000)]).astype(np.float32)
    found = np.empty_like(x)
    compiled("rows").tanh_into(x, found)
    assert ulps(found, np.tanh(x.astype(np.float64))) <= 5.0
    assert np.abs(found).max() <= 1.0
    special = np.empty_like(SPECIAL)
    compiled("rows").tanh_into(SPECIAL, special)
    assert math.isnan(special[0])
    assert special[1:3].tolist() == pytest.approx([1.0, -1.0], abs=1e-7)
    assert np.signbit(special[3:5]).tolist() == [False, True]
    assert special[3:].tolist() == pytest.approx(np.tanh(SPECIAL[3:]).tolist(), rel=1e-6)


def test_exp_of_negative_numbers_is_exact_to_3_units_in_the_last_place():
    x = -np.linspace(0, 86.9, 400_001).astype(np.float32)
    found = x.copy()
    compiled("softmax")._exponentiate(found)
    assert ulps(found, np.exp(x.astype(np.float64))) <= 3.0
    special = np.array([0.0, -0.0, -88.0, -np.inf, np.nan], np.float32)
    compiled("softmax")._exponentiate(special)
    assert special[:4].tolist() == [1.0, 1.0, 0.0, 0.0]
    assert math.isnan(special[4])


@pytest.mark.parametrize("function", ["tanh_row", "sigmoid_row"])
def test_a_number_does_not_depend_on_its_position(function):
    x = np.random.default_rng(0).normal(size=70).astype(np.float32) * 3
    apply = getattr(compiled("rows"), function)
    whole = x.copy()
    apply(whole)
    for length in range(1, len(x)):
        part = x[-length:].copy()
        apply(part)
        assert np.array_equal(part, whole[-length:])


@pytest.mark.parametrize("rows", range(1, 20))
@pytest.mark.parametrize("columns", [1, 15, 16, 17, 48])
def test_a_product_in_tiles_is_a_product(rows, columns):
    generator, tiles = np.random.default_rng(0), compiled("tiles")
    a, b = (generator.normal(size=shape).astype(np.float32) for shape in ((rows, 21), (21, columns + 3)))
    c = generator.normal(size=(rows, columns + 4)).astype(np.float32)
    expected = c.copy()
    expected[:, 2 : 2 + columns] += a @ b[:, 3:]
    panels, edge = tiles.work_arrays(21, columns)
    tiles.fill_panels(b, 3, columns, panels)
    product = c.copy()
    tiles.add_product(a, panels, product, 2, columns, edge)
    np.testing.assert_allclose(product, expected, atol=2e-5)
    one = c[-1:].copy()
    tiles.add_product(a[-1:], panels, one, 2, columns, edge)
    assert np.array_equal(one[0], product[-1])  # whatever the tile


def window(cell, seeds, sizes, rows=slice(None)):
    """Outputs, end state and all gradients of a window with a carry, for some replicas alone."""
    R, T, B, H, inputs = sizes
    generator = np.random.default_rng(5)

    def draw(*shape):
        return generator.normal(size=(R, *shape)).astype(np.float32)[rows]

    layer = cell(Replicas(seeds[rows]), inputs, H)
    parameters = Parameters(layer.named_parameters())
    carry = tuple(draw(B, H) for _ in range(cell.num_states))
    y, end = layer.forward(draw(T, B, inputs), carry, train=True)
    y = y.copy()
    dx = layer.backward(draw(T, B, H), tuple(draw(B, H) for _ in range(cell.num_states)))
    return [y, *end, dx, *layer.start_gradients(), parameters.grads]


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("cell", [LSTM, GRU, RNN])
def test_recurrent_layers_agree_with_numpy(cell, sizes, monkeypatch):
    assert_close(both(lambda: window(cell, list(range(sizes[0])), sizes), monkeypatch))


@pytest.mark.parametrize("cell", [LSTM, GRU, RNN])
def test_recurrent_layers_trained_together_equal_those_trained_alone(cell, monkeypatch):
    use("numba", monkeypatch)
    for sizes in SIZES:
        together = window(cell, list(range(sizes[0])), sizes)
        for r in range(sizes[0]):
            alone = window(cell, list(range(sizes[0])), sizes, slice(r, r + 1))
            assert all(np.array_equal(a[r], b[0]) for a, b in zip(together, alone, strict=True))


def cross_entropy(R, N, outputs, smoothing=0.0):
    generator = np.random.default_rng(2)
    loss = SoftmaxCrossEntropy(Replicas(range(R)), smoothing=smoothing)
    logits = (generator.normal(size=(R, N, outputs)) * 3.0).astype(np.float32)
    kept = logits.copy()
    losses = loss.forward(logits, generator.integers(outputs, size=(R, N)))
    assert np.array_equal(kept, logits)
    return [losses, loss.backward()]


@pytest.mark.parametrize("shape", [(3, 5, 10), (1, 1, 2), (2, 33, 77)])
def test_softmax_cross_entropy_agrees_with_numpy(shape, monkeypatch):
    assert_close(both(lambda: cross_entropy(*shape), monkeypatch), 1e-6)


def test_smoothed_cross_entropy_agrees_with_numpy_and_leaves_other_replicas_alone(monkeypatch):
    smoothed = both(lambda: cross_entropy(3, 5, 10, [0.0, 0.1, 0.5]), monkeypatch)
    assert_close(smoothed, 2e-6)
    for together, alone in zip(smoothed[1], cross_entropy(3, 5, 10), strict=True):
        assert np.array_equal(together[0], alone[0])


def output_layer():
    generator = np.random.default_rng(2)
    layer = SoftmaxOutput(Replicas([1, 2]), 7, 23)
    parameters = Parameters(layer.named_parameters())
    parameters.values[...] = generator.normal(size=parameters.values.shape)
    h, targets = generator.normal(size=(2, 4, 3, 7)).astype(np.float32), generator.integers(-1, 23, size=(2, 4, 3))
    return [layer.forward(h, targets, train=True), layer.backward(), parameters.grads]


def test_the_output_layer_agrees_with_numpy(monkeypatch):
    assert_close(both(output_layer, monkeypatch), 1e-5)


def test_a_diverged_row_changes_no_other_and_raises_nothing(kernels):
    loss = SoftmaxCrossEntropy(Replicas([1, 2]))
    logits = np.zeros((2, 3, 4), np.float32)
    logits[1, 1, 2] = np.nan
    with np.errstate(all="ignore"):
        found = loss.forward(logits, np.zeros((2, 3), int))
    assert found[0] == pytest.approx(math.log(4))
    assert math.isnan(found[1])
    assert np.isfinite(loss.backward()[0]).all()


def test_labels_that_are_no_outputs_are_refused(monkeypatch):
    use("numba", monkeypatch)
    with pytest.raises(IndexError, match="4 outputs; got label 4"):
        SoftmaxCrossEntropy(Replicas([1])).forward(np.zeros((1, 2, 4), np.float32), np.array([[0, 4]]))


def optimizer_steps(kind):
    generator = np.random.default_rng(1)
    replicas = Replicas([1, 2, 3])
    W = Parameter(generator.normal(size=(3, 7, 19)).astype(np.float32), apply_weight_decay=True)
    parameters = Parameters([("W", W)])
    optimizer = kind(parameters, replicas, lr=[0.1, 0.01, 0.001])
    for _ in range(5):
        parameters.grads[...] = generator.normal(size=parameters.grads.shape)
        optimizer.update()
    return [parameters.values, *optimizer.slots().values()]


@pytest.mark.parametrize("kind", [Adam, AdamW, SGD, Momentum])
def test_optimizers_agree_with_numpy(kind, monkeypatch):
    assert_close(both(lambda: optimizer_steps(kind), monkeypatch), 1e-6)


def sparse_steps(kind):
    generator, replicas = np.random.default_rng(1), Replicas([1, 2])
    table = SparseParameter(generator.normal(size=(2, 9, 5)).astype(np.float32))
    parameters = Parameters([("table", table)])
    optimizer = kind(parameters, replicas, lr=[0.1, 0.01])
    for _ in range(3):
        rows, gradients = generator.integers(9, size=(2, 6)), generator.normal(size=(2, 6, 5)).astype(np.float32)
        parameters.reset_gradients()
        table.add_gradient_rows(rows, gradients)
        optimizer.update()
    return [parameters.values, *optimizer.slots().values()]


@pytest.mark.parametrize("kind", [Adam, SGD, Momentum])
def test_touched_rows_agree_with_numpy(kind, monkeypatch):
    assert_close(both(lambda: sparse_steps(kind), monkeypatch), 1e-6)


def test_adam_of_rows_that_lie_apart_equals_adam_of_one_row(monkeypatch):
    use("numba", monkeypatch)
    generator = np.random.default_rng(1)
    arrays = [generator.random((2, 9), dtype=np.float32) for _ in range(4)]
    coefficients = [np.full((2, 1), value, np.float32) for value in (0.9, 0.999, 1e-7, 0.1)]
    alone = [array[1:, :7].copy() for array in arrays]
    optimizer = Adam(Parameters([("W", Parameter(arrays[0]))]), Replicas([1, 2]))
    optimizer.step_block(tuple(alone), tuple(c[1:] for c in coefficients))
    optimizer.step_block(tuple(array[:, :7] for array in arrays), tuple(coefficients))
    assert all(np.array_equal(one[0], both[1, :7]) for one, both in zip(alone, arrays, strict=True))


@pytest.mark.parametrize("shape", [(3, 7, 3), (3, 8, 8), (3, 1, 1)])
def test_dropout_drops_the_same_numbers_as_numpy(shape, monkeypatch):
    x = np.ones(shape, np.float32)
    by_numpy, by_kernel = both(
        lambda: Dropout(Replicas([1, 2, 3]), [0.0, 0.3, 0.9]).forward(x, train=True), monkeypatch
    )
    assert np.array_equal(by_numpy, by_kernel)


@pytest.mark.parametrize("table_rows", [5, 300])
def test_scattered_rows_agree_with_numpy(table_rows, monkeypatch):
    generator = np.random.default_rng(0)
    rows = generator.integers(table_rows, size=(2, 40))
    values = generator.normal(size=(2, 40, 9)).astype(np.float32)

    def scatter():
        target = np.ones((2, table_rows, 9), np.float32)
        add_rows(target, rows, values)
        return [target]

    assert_close(both(scatter, monkeypatch), 1e-6)
    use("numba", monkeypatch)
    for outside in (-1, table_rows):
        with pytest.raises(IndexError, match=f"rows 0 to {table_rows - 1}"):
            add_rows(np.ones((2, table_rows, 9), np.float32), np.full((2, 40), outside), values)


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 5, 7), (2, 4, 3, 6)])
def test_the_gradient_of_relu_is_numpys_bit_for_bit(shape, monkeypatch):
    generator = np.random.default_rng(0)
    x, dy = (generator.normal(size=shape).astype(np.float32) for _ in range(2))
    x[0, 0, 0], dy[-1, -1] = np.nan, np.inf
    dy = dy.swapaxes(0, 1).copy().swapaxes(0, 1)  # as of a layer that transposes
    layer = Relu(Replicas([0] * shape[0]))

    def gradient():
        layer.forward(x, train=True)
        return layer.backward(dy)

    with np.errstate(invalid="ignore"):
        reference, found = both(gradient, monkeypatch)
    assert found.dtype == np.float32
    assert np.array_equal(reference.view(np.int32), found.view(np.int32))


def test_finite_differences_and_devices_use_the_numpy_code(monkeypatch):
    use("numba", monkeypatch)
    assert uses_compiled(np.zeros(3, np.float32))
    assert not uses_compiled(np.zeros(3))
    assert not uses_compiled(object())
    use("numpy", monkeypatch)
    assert not uses_compiled(np.zeros(3, np.float32))


@pytest.fixture
def fresh_choice(monkeypatch):
    """A process that has not chosen its kernels yet, and does not know whether Numba can be imported."""
    monkeypatch.setattr(choice, "_in_use", [""])
    choice._numba_fault.cache_clear()
    yield
    choice._numba_fault.cache_clear()


def test_a_kernel_set_that_cannot_be_used_is_told(fresh_choice, monkeypatch):
    monkeypatch.setenv("SEARCHLAB_KERNELS", "fortran")
    with pytest.raises(UserMistake, match="'fortran'; it can be auto, numpy or numba"):
        choice.kernel_set(is_recurrent=False)
    monkeypatch.setenv("SEARCHLAB_KERNELS", "numba")
    monkeypatch.setitem(sys.modules, "numba", None)
    with pytest.raises(UserMistake, match=r"searchlab\[fast\].*SEARCHLAB_KERNELS=numpy"):
        choice._is_compiled()
    monkeypatch.setenv("SEARCHLAB_KERNELS", "numpy")
    assert not choice._is_compiled()


def test_a_numba_that_is_too_old_is_not_used(fresh_choice, monkeypatch):
    monkeypatch.setattr(numba, "version_info", (0, 60, 0))
    monkeypatch.delenv("SEARCHLAB_KERNELS", raising=False)
    assert choice.kernel_set(is_recurrent=True) == "numpy"
    with pytest.raises(UserMistake, match=r"is older than 0\.65"):
        choice.use_kernels("numba")


def sweep_of(model):
    return spiral_sweep(model=model)


RECURRENT, PLAIN = Space(RnnLM, hidden=Int(4, 8)), Space(MLP, hidden=Int(4, 8))


@pytest.mark.parametrize(
    ("model", "kernels"),
    [
        (PLAIN, "numpy"),
        (RECURRENT, "numba"),
        (Space(Seq2Seq), "numba"),
        (Choice(PLAIN, RECURRENT), "numba"),  # one choice for all trials of a sweep
        (Choice(PLAIN, Space(TransformerLM)), "numpy"),
    ],
    ids=["MLP", "RNN", "seq2seq", "MLP or RNN", "transformer"],
)
def test_recurrent_sweeps_train_with_numba_where_it_is_installed(model, kernels, fresh_choice, monkeypatch):
    monkeypatch.delenv("SEARCHLAB_KERNELS", raising=False)
    sweep = sweep_of(model)
    assert kernels_of(sweep) == SweepManifest.of(sweep, name="s", trials=1).kernels == kernels
    assert _worker_variables(Job(sweep, "s", "journal", "checkpoints", 1))["SEARCHLAB_KERNELS"] == kernels
    monkeypatch.setenv("SEARCHLAB_KERNELS", "numpy")
    assert kernels_of(sweep) == "numpy"


def test_auto_is_numpy_without_numba(fresh_choice, monkeypatch):
    monkeypatch.delenv("SEARCHLAB_KERNELS", raising=False)
    monkeypatch.setitem(sys.modules, "numba", None)
    assert kernels_of(sweep_of(RECURRENT)) == "numpy"


class Cell:
    """A model of a user's own, which takes the class of its layer."""

    def __init__(self, replicas, features, outputs, *, cell=None):
        self.cell = cell


@pytest.mark.parametrize("cell", [LSTM, Choice(GRU, RNN), Space(LSTM)])
def test_a_layer_among_the_arguments_makes_a_sweep_recurrent(cell, fresh_choice, monkeypatch):
    monkeypatch.delenv("SEARCHLAB_KERNELS", raising=False)
    assert kernels_of(sweep_of(Space(Cell, cell=cell))) == "numba"
    assert kernels_of(sweep_of(Space(Cell, cell=Choice("wide", None)))) == "numpy"


def test_a_trainer_uses_the_kernels_of_its_sweep_whatever_trained_before(fresh_choice, monkeypatch):
    monkeypatch.delenv("SEARCHLAB_KERNELS", raising=False)
    monkeypatch.setattr("searchlab.fusion.groups.kernels_of", lambda sweep: kernels_by_name[sweep.name])
    kernels_by_name = {"one": "numba", "two": "numpy"}
    for name in ("one", "two", "one"):
        sweep = spiral_sweep(name=name)
        data = sweep.data.training()
        build_trainer(sweep, [corner_point(sweep, largest=True)], data, sweep.validation.split(data), 0, "cpu")
        assert uses_compiled(np.zeros(1, np.float32)) == (name == "one")


@pytest.mark.parametrize("layer", [RNN, GRU, LSTM])
def test_recurrent_layers_keep_their_contract(layer, monkeypatch):
    use("numba", monkeypatch)
    check_recurrent(lambda replicas: layer(replicas, 3, 4), 3)


@pytest.mark.parametrize("arguments", [{"cell": "lstm", "layers": 2}, {"cell": "gru", "tied": True}, {"cell": "rnn"}])
def test_a_language_model_keeps_its_contract(arguments, monkeypatch):
    use("numba", monkeypatch)
    arguments = {"hidden": 4, "embed": 4, **arguments}
    ids = np.random.default_rng(0).integers(7, size=90)
    tokens = TokenStream(ids, Vocabulary([f"w{i}" for i in range(7)]), window=3)
    check_model(
        lambda replicas, words, **own: RnnLM(replicas, words, **arguments, **own),
        tokens,
        per_replica={"dropout": (0.0, 0.3, 0.5)},
        batch_size=2,
    )


def test_kernels_compile_where_no_cache_can_be_written(monkeypatch):
    from searchlab.kernels import jit

    compile_function = numba.njit

    def refuse_cache(*, cache=False, **options):
        if cache:
            raise RuntimeError("cannot cache function: no locator available")
        return compile_function(**options)

    monkeypatch.setattr(jit.numba, "njit", refuse_cache)
    doubled = jit.jit_with("contract")(lambda x: x + x)
    assert doubled(2) == 4
