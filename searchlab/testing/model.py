"""The contract of a model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import islice

import numpy as np

from searchlab.backend import Array
from searchlab.data.batch import IGNORED, Batch
from searchlab.data.cross_validation import Blocked
from searchlab.data.holdout import EveryRow
from searchlab.data.loaded import LoadedDataset
from searchlab.nn.module import Carry, Model
from searchlab.nn.parameter import Parameters
from searchlab.optim import Momentum
from searchlab.replicas import HasReplicaAxis, Replicas
from searchlab.testing.gradients import check_gradients
from searchlab.testing.replica_rows import (
    ALL_REPLICAS,
    SURVIVORS,
    PerReplicaValues,
    arguments_for,
    assert_identical,
    replicas_for,
    select_batch,
    select_rows,
)

RATE = 0.1  # learning rate of each replica
HUGE_RATE = 1e38  # of one that diverges
STEPS = 4


def check_model(
    build: Callable[..., Model],
    data: LoadedDataset,
    *,
    per_replica: PerReplicaValues | None = None,
    batch_size: int = 5,
) -> None:
    """Check that a model trains on a data set, and that its replicas do not influence each other.

    It checks that:

    - the gradients of all parameters agree with finite differences (`check_gradients`);
    - the loss is one float32 number per replica;
    - `predict` gives scores for every target, the same when called twice, and draws no random numbers;
    - three replicas together train as each alone, bit for bit over four steps;
    - after one replica is dropped, the others continue unchanged, bit for bit;
    - a replica that diverges changes no other replica.

    On ordered data (a stream of tokens) it also checks that:

    - the gradients are right with the carry of the batches before, which counts as a constant;
    - two batches with the carry between them give the scores of one batch as long as both;
    - targets IGNORED add nothing to the loss and to the gradients.

    Args:
        build: Callable of the replicas, the sizes of the data, and the arguments in `per_replica`.
        data: Loaded training rows, enough for four batches.
        per_replica: Three values of each argument that may differ between replicas; default none.
        batch_size: Rows in a batch; default 5.

    Raises:
        AssertionError: When a rule is broken; the message names it.

    Example:
        >>> from searchlab import Spiral
        >>> from searchlab.nn import Affine, Model, SoftmaxCrossEntropy
        >>> from searchlab.testing import check_model
        >>> class Linear(Model):
        ...     def __init__(self, replicas, features, classes):
        ...         self.affine, self.loss = Affine(replicas, features, classes), SoftmaxCrossEntropy(replicas)
        ...
        ...     def forward(self, batch, carry=None, *, train):
        ...         return self.loss.forward(self.affine.forward(batch.x, train=train), batch.y), None
        ...
        ...     def backward(self):
        ...         self.affine.backward_parameters(self.loss.backward())
        ...
        ...     def predict(self, batch, carry=None):
        ...         return self.affine.forward(batch.x, train=False), None
        >>> check_model(Linear, Spiral(points=20).training())
    """
    case = _ModelCase(build, data, per_replica, batch_size)
    check_gradients(case.model, case.batches[0], per_replica=per_replica)
    _check_predictions(case)
    if data.is_ordered:
        with_gaps = _ignore_some(case.batches[1])
        check_gradients(case.model, with_gaps, before=case.batches[:1], per_replica=per_replica)
        _check_ignored_targets(case)
        _check_carry(case)
    _check_fused_equals_alone(case)
    _check_survivors_continue(case)
    _check_divergence_stays_in_its_replica(case)


class _ModelRun(HasReplicaAxis):
    """A model, its optimizer, its replicas and its carry in one object, as in a trainer."""

    def __init__(self, case: _ModelCase, rows: Sequence[int], learning_rates: Sequence[float]) -> None:
        self.replicas = replicas_for(rows)
        self.model = case.model(self.replicas, **arguments_for(case.per_replica, rows))
        self.parameters = Parameters(self.model.named_parameters())
        self.optimizer = Momentum(self.parameters, self.replicas, lr=[learning_rates[row] for row in rows])
        self.carry: Carry = None

    def step(self, batch: Batch) -> dict[str, Array]:
        """Make one training step, and return the loss and every parameter after it."""
        loss, self.carry = self.model.forward(batch, self.carry, train=True)
        self.parameters.reset_gradients()
        self.model.backward()
        self.optimizer.update()
        return {"the loss": loss.copy(), **self.parameters.state()}


class _ModelCase:
    """The constructor under test, and the batches to train on."""

    def __init__(
        self, build: Callable[..., Model], data: LoadedDataset, per_replica: PerReplicaValues | None, batch_size: int
    ) -> None:
        self.build, self.sizes, self.per_replica = build, data.sizes, per_replica
        folds = Blocked(len(ALL_REPLICAS)) if data.is_ordered else EveryRow()  # each replica has its own stream
        split = folds.split(data)[np.arange(len(ALL_REPLICAS)) % folds.folds]
        batches = data.training_batches(split, replicas_for(ALL_REPLICAS), batch_size)
        self.batches = list(islice(batches, STEPS))
        assert len(self.batches) == STEPS, f"check_model needs data for at least {STEPS} batches of {batch_size}"

    def model(self, replicas: Replicas, **per_replica: Sequence[float]) -> Model:
        """Return the model for these replicas and the sizes of the data."""
        return self.build(replicas, *self.sizes, **per_replica)

    def run(self, rows: Sequence[int], learning_rates: Sequence[float] = (RATE, RATE, RATE)) -> _ModelRun:
        """Return a new model for these replicas, before its first step."""
        return _ModelRun(self, rows, learning_rates)


def _check_predictions(case: _ModelCase) -> None:
    run, batch = case.run(ALL_REPLICAS), case.batches[0]
    loss, carry = run.model.forward(batch, train=True)
    count = len(ALL_REPLICAS)
    assert loss.shape == (count,), f"the loss is one number per replica, ({count},); got {loss.shape}"
    assert loss.dtype == np.float32, f"with float32 replicas and data the loss is {loss.dtype}"
    draws = run.replicas.state()["draws"]
    scores, again = run.model.predict(batch)[0].copy(), run.model.predict(batch)[0]
    shape = batch.y.shape if np.issubdtype(batch.y.dtype, np.integer) else batch.y.shape[:-1]
    assert scores.shape[:-1] == shape, f"predict gives scores for each of {shape} targets; got {scores.shape}"
    assert_identical({"the scores": scores}, {"the scores": again}, "predict called twice")
    scores, again = run.model.predict(batch, carry)[0].copy(), run.model.predict(batch, carry)[0]
    assert_identical({"the scores": scores}, {"the scores": again}, "predict called twice with one carry")
    assert (run.replicas.state()["draws"] == draws).all(), "predict draws random numbers, so measuring changes training"


def _ignore_some(batch: Batch, every: int = 3) -> Batch:
    """Return the batch with targets IGNORED: every third of the first replica, and all of the last."""
    y = batch.y.copy()
    y[0].reshape(-1)[::every] = IGNORED
    y[-1] = IGNORED
    return replace(batch, y=y)


def _check_ignored_targets(case: _ModelCase) -> None:
    """Check that the losses of two parts of the targets add up, and that no target gives no gradient."""
    run, batch = case.run(ALL_REPLICAS), case.batches[0]
    partial = _ignore_some(batch)
    complement = replace(batch, y=np.where(partial.y == IGNORED, batch.y, IGNORED))
    full, *parts = (run.model.forward(part, train=False)[0].copy() for part in (batch, partial, complement))
    weights = ((part.y != IGNORED).reshape(len(full), -1).mean(axis=1) for part in (partial, complement))
    total = sum(share * loss for share, loss in zip(weights, parts, strict=True))
    assert np.allclose(full, total, rtol=1e-4), f"targets scored in two parts cost {total}, and scored together {full}"
    run.model.forward(partial, train=True)
    run.parameters.reset_gradients()
    run.model.backward()
    grads = [parameter.grad[-1] for parameter in run.parameters.trainable.values()]
    assert not any(grad.any() for grad in grads), "where all targets are IGNORED, gradients are 0"


def _check_carry(case: _ModelCase) -> None:
    run, (first, second) = case.run(ALL_REPLICAS), case.batches[:2]
    first_scores, carry = run.model.predict(first)
    if carry is None:
        return
    parts = [first_scores.copy(), run.model.predict(second, carry)[0].copy()]
    joined = Batch(np.concatenate([first.x, second.x], axis=1), np.concatenate([first.y, second.y], axis=1))
    difference = np.abs(run.model.predict(joined)[0] - np.concatenate(parts, axis=1)).max()
    assert difference < 1e-4, (
        f"two batches with the carry between them differ from one as long as both by up to {difference:.3g}"
    )


def _check_fused_equals_alone(case: _ModelCase) -> None:
    fused, alone = case.run(ALL_REPLICAS), [case.run((r,)) for r in ALL_REPLICAS]
    for batch in case.batches:
        together = fused.step(batch)
        for r in ALL_REPLICAS:
            one = alone[r].step(select_batch(batch, (r,)))
            assert_identical(select_rows(together, (r,)), one, f"replica {r} fused and alone")
    scores = {"the scores": fused.model.predict(case.batches[0])[0]}
    for r in ALL_REPLICAS:
        one = {"the scores": alone[r].model.predict(select_batch(case.batches[0], (r,)))[0]}
        assert_identical(select_rows(scores, (r,)), one, f"replica {r} fused and alone")


def _check_survivors_continue(case: _ModelCase) -> None:
    reduced, full = case.run(ALL_REPLICAS), case.run(ALL_REPLICAS)
    rows: Sequence[int] = ALL_REPLICAS
    for step, batch in enumerate(case.batches):
        if step == STEPS // 2:  # as between epochs, where the carry starts anew
            rows, reduced.carry, full.carry = SURVIVORS, None, None
            reduced.select_replicas(np.array(rows))
        actual, expected = reduced.step(select_batch(batch, rows)), full.step(batch)
        assert_identical(actual, select_rows(expected, rows), "survivors after select_replicas and without it")


def _check_divergence_stays_in_its_replica(case: _ModelCase) -> None:
    others = (0, 2)
    diverging, converging = case.run(ALL_REPLICAS, (RATE, HUGE_RATE, RATE)), case.run(ALL_REPLICAS)
    for batch in case.batches:
        with np.errstate(all="ignore"):
            actual, expected = diverging.step(batch), converging.step(batch)
        comparison = "while replica 1 diverges and while it does not, another replica"
        assert_identical(select_rows(actual, others), select_rows(expected, others), comparison)
