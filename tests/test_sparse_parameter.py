"""Sparse gradients: sums of rows, clipping, decay, and optimizers that update the touched rows alone."""

import numpy as np
import pytest

from searchlab.nn import Parameter, Parameters, Replicas, SparseParameter
from searchlab.optim import SGD, AdaGrad, Adam, AdamW, Momentum, Nesterov, RMSprop, clip_gradients
from searchlab.replicas import HasReplicaAxis

R, V, F, STEPS = 3, 6, 4, 5
OPTIMIZERS = {
    SGD: {"lr": (0.1, 0.05, 0.02)},
    Momentum: {"lr": (0.1, 0.05, 0.02), "momentum": (0.5, 0.9, 0.0)},
    Nesterov: {"lr": (0.1, 0.05, 0.02)},
    AdaGrad: {"lr": (0.1, 0.05, 0.02)},
    RMSprop: {"lr": (0.1, 0.05, 0.02)},
    Adam: {"lr": (0.1, 0.05, 0.02)},
    AdamW: {"lr": (0.1, 0.05, 0.02), "weight_decay": (0.1, 0.0, 0.2)},
}


class Run(HasReplicaAxis):
    """A sparse or dense table and a bias, with an optimizer."""

    def __init__(self, optimizer, *, sparse, rows=(0, 1, 2)):
        self.replicas = Replicas([100 + row for row in rows])
        start = self.replicas.normal(V, F)
        self.table = SparseParameter(start) if sparse else Parameter(start, apply_weight_decay=True)
        self.bias = Parameter(self.replicas.normal(1, F))
        self.parameters = Parameters([("table", self.table), ("bias", self.bias)])
        arguments = {name: [values[row] for row in rows] for name, values in OPTIMIZERS[optimizer].items()}
        self.optimizer = optimizer(self.parameters, self.replicas, **arguments)

    def step(self, rows, gradients, *, clip=None, l2=None):
        self.parameters.reset_gradients()
        self.table.add_gradient_rows(rows, gradients)
        self.bias.add_gradient(gradients[:, :1])
        if l2 is not None:
            self.parameters.add_l2_gradient(self.replicas.vector(l2))
        if clip is not None:
            clip_gradients(self.parameters, self.replicas.vector(clip))
        self.optimizer.update()
        return self.parameters.state()


def batch_of(step, *, every_row):
    rng = np.random.default_rng(step)
    rows = rng.integers(0, V if every_row else V - 2, (R, 3 * V))
    rows[:, :V] = np.arange(V) if every_row else 0
    return rows, rng.standard_normal((R, 3 * V, F)).astype(np.float32)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("options", [{}, {"clip": (0.5, 2.0, 100.0)}, {"l2": (0.1, 0.5, 0.0), "clip": 1.0}])
def test_equals_dense_where_all_rows_are_touched(optimizer, options):
    sparse, dense = Run(optimizer, sparse=True), Run(optimizer, sparse=False)
    for step in range(STEPS):
        batch = batch_of(step, every_row=True)
        actual, expected = sparse.step(*batch, **options), dense.step(*batch, **options)
    for name in expected:
        np.testing.assert_allclose(actual[name], expected[name], rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_rows_that_are_not_touched_stand_still(optimizer):
    run = Run(optimizer, sparse=True)
    run.step(*batch_of(0, every_row=True))
    before, slots = run.table.value.copy(), run.optimizer.state()
    run.step(*batch_of(1, every_row=False))
    assert (run.table.value[:, -2:] == before[:, -2:]).all()
    assert (run.table.value[:, :1] != before[:, :1]).all()
    columns = slice(F + (V - 2) * F, None)  # of the last two rows, behind the bias
    for name, slot in run.optimizer.state().items():
        if slot.ndim == 2:
            assert (slot[:, columns] == slots[name][:, columns]).all()


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_fused_equals_alone_bit_for_bit(optimizer):
    fused, alone = Run(optimizer, sparse=True), [Run(optimizer, sparse=True, rows=(r,)) for r in range(R)]
    for step in range(STEPS):
        rows, gradients = batch_of(step, every_row=False)
        together = fused.step(rows, gradients, clip=1.0, l2=0.1)
        for r in range(R):
            one = alone[r].step(rows[r : r + 1], gradients[r : r + 1], clip=1.0, l2=0.1)
            assert all(together[name][r : r + 1].tobytes() == one[name].tobytes() for name in one)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_survivors_and_resumed_runs_go_on(optimizer):
    full, reduced, resumed = (Run(optimizer, sparse=True) for _ in range(3))
    rows, gradients = batch_of(0, every_row=False)
    for run in (full, reduced):
        run.step(rows, gradients)
    resumed.parameters.restore(full.parameters.state())
    resumed.optimizer.restore(full.optimizer.state())
    keep = np.array([2, 0])
    reduced.select_replicas(keep)
    rows, gradients = batch_of(1, every_row=False)
    expected = full.step(rows, gradients)
    actual, again = reduced.step(rows[keep], gradients[keep]), resumed.step(rows, gradients)
    for name in expected:
        assert actual[name].tobytes() == expected[name][keep].tobytes()
        assert again[name].tobytes() == expected[name].tobytes()


def test_gradient_of_rows():
    table = SparseParameter(np.zeros((2, 5, 2), np.float32))
    rows = np.array([[[4, -1], [0, 4]], [[1, 1], [-1, -1]]])  # (R, K, N)
    coefficients = np.array([[[1.0, 9.0], [2.0, 3.0]], [[1.0, 0.5], [9.0, 9.0]]], np.float32)
    vectors = np.array([[[1.0, 10.0], [2.0, 20.0]]] * 2, np.float32)
    expected = np.zeros((2, 5, 2))
    expected[0, 4], expected[0, 0], expected[1, 1] = [7.0, 70.0], [2.0, 20.0], [2.0, 20.0]
    table.add_gradient_rows(rows, vectors, coefficients)
    assert table.grad.tolist() == expected.tolist()
    dense = Parameter(np.zeros((2, 5, 2), np.float32))
    dense.add_gradient_rows(rows, vectors, coefficients)
    assert dense.grad.tolist() == expected.tolist()
    assert [part.rows.tolist() for part in table.touched()] == [[0, 4], [1]]


def test_many_vectors_are_summed_in_parts():
    rng = np.random.default_rng(0)
    rows, vectors = rng.integers(0, 50, (1, 2, 1000)), rng.standard_normal((1, 1000, 3))
    table, expected = SparseParameter(np.zeros((1, 50, 3))), np.zeros((50, 3))
    table.add_gradient_rows(rows, vectors)
    for k in range(2):
        np.add.at(expected, rows[0, k], vectors[0])
    np.testing.assert_allclose(table.grad[0], expected, rtol=1e-12)


def test_layers_that_share_a_table_add_their_gradients():
    table = SparseParameter(np.zeros((1, 3, 1)))
    parameters = Parameters([("one", table), ("other", table)])
    for _ in range(2):
        parameters.reset_gradients()
        table.add_gradient_rows(np.array([[0, 1]]), np.ones((1, 2, 1)))
        table.add_gradient_rows(np.array([[1]]), np.ones((1, 1, 1)))
    assert table.grad.tolist() == [[[1.0], [2.0], [0.0]]]
    assert parameters.count == 3


def test_a_gradient_of_all_rows_is_refused():
    with pytest.raises(TypeError):
        SparseParameter(np.zeros((1, 3, 1))).add_gradient(np.zeros((1, 3, 1)))
    with pytest.raises(ValueError, match="table"):
        SparseParameter(np.zeros((1, 3)))
