"""The contract of a model."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from searchlab.backend import Array
from searchlab.data.batch import IGNORED, Batch
from searchlab.data.loaded import LoadedDataset
from searchlab.data.splits import Blocked, EveryRow
from searchlab.nn.module import Carry, Model
from searchlab.nn.parameter import Parameters
from searchlab.optim import Momentum
from searchlab.replicas import Fused, Replicas
from searchlab.testing.gradients import check_gradients
from searchlab.testing.lanes import (
    SURVIVORS,
    TOGETHER,
    PerReplicaValues,
    lanes,
    replicas_of,
    rows_of,
    same_bits,
    values_of,
)

RATE = 0.1
STEPS = 4


def check_model(
    build: Callable[..., Model],
    table: LoadedDataset,
    *,
    per_replica: PerReplicaValues | None = None,
    batch_size: int = 5,
) -> None:
    """The model that build(replicas, *table.sizes) makes trains on this table and keeps the rules of the replica axis.

    Gradients agree with finite differences; the loss is one number per replica; `predict` gives scores for every
    target, the same twice, and draws nothing; fused equals alone, survivors go on and a replica that diverges harms no
    other, all bit for bit over several steps. Of a table that is ordered, the carry of the batches before is in use,
    two batches say what one as long as both says, and targets IGNORED cost nothing and teach nothing. Raises
    AssertionError saying which rule broke.
    """
    trial = _Trial(build, table, per_replica, batch_size)
    check_gradients(trial.model, trial.batches[0], per_replica=per_replica)
    _answers_have_their_shapes(trial)
    if table.ordered:
        with_gaps = _ignoring(trial.batches[1])
        check_gradients(trial.model, with_gaps, before=trial.batches[:1], per_replica=per_replica)
        _ignored_targets_cost_nothing(trial)
        _batches_follow(trial)
    _fused_equals_alone(trial)
    _survivors_go_on(trial)
    _divergence_stays_in_its_lane(trial)


class _Run(Fused):
    """A model in training, as a trainer holds it."""

    def __init__(self, trial: _Trial, rows: Sequence[int], rates: Sequence[float]) -> None:
        self.replicas = replicas_of(rows)
        self.model = trial.model(self.replicas, **values_of(trial.per_replica, rows))
        self.parameters = Parameters(self.model.parameters())
        self.optimizer = Momentum(self.parameters, self.replicas, lr=[rates[row] for row in rows])
        self.carry: Carry = None

    def step(self, batch: Batch) -> dict[str, Array]:
        """One training step: the loss and every parameter after it."""
        loss, self.carry = self.model.forward(batch, self.carry, train=True)
        self.parameters.start_pass()
        self.model.backward()
        self.optimizer.update()
        return {"the loss": loss.copy(), **self.parameters.state()}


class _Trial:
    """How to build the model, and the batches to train it on."""

    def __init__(
        self, build: Callable[..., Model], table: LoadedDataset, per_replica: PerReplicaValues | None, batch_size: int
    ) -> None:
        self.build, self.sizes, self.per_replica = build, table.sizes, per_replica
        folds = Blocked(len(TOGETHER)) if table.ordered else EveryRow()  # a stream of its own for each replica
        split = folds.split(table)[np.arange(len(TOGETHER)) % folds.folds]
        replicas = replicas_of(TOGETHER)
        self.batches = [batch for batch, _ in zip(table.epoch(split, replicas, batch_size), range(STEPS), strict=False)]
        assert len(self.batches) == STEPS, f"give a table of at least {STEPS} batches of {batch_size}"

    def model(self, replicas: Replicas, **per_replica: Sequence[float]) -> Model:
        """The model for these replicas and the table's sizes."""
        return self.build(replicas, *self.sizes, **per_replica)

    def run(self, rows: Sequence[int], rates: Sequence[float] = (RATE, RATE, RATE)) -> _Run:
        """A new model of these replicas only, about to be trained."""
        return _Run(self, rows, rates)


def _answers_have_their_shapes(trial: _Trial) -> None:
    run, batch = trial.run(TOGETHER), trial.batches[0]
    loss, carry = run.model.forward(batch, train=True)
    assert loss.shape == (len(TOGETHER),), f"the loss is one number per replica, ({len(TOGETHER)},); got {loss.shape}"
    assert loss.dtype == np.float32, f"with float32 replicas and data the loss is {loss.dtype}"
    drawn = run.replicas.state()["draws"]
    scores, again = run.model.predict(batch)[0].copy(), run.model.predict(batch)[0]
    shape = batch.y.shape if np.issubdtype(batch.y.dtype, np.integer) else batch.y.shape[:-1]
    assert scores.shape[:-1] == shape, f"predict gives scores for each of {shape} targets; got {scores.shape}"
    same_bits({"the scores": scores}, {"the scores": again}, "predict called twice")
    scores, again = run.model.predict(batch, carry)[0].copy(), run.model.predict(batch, carry)[0]
    same_bits({"the scores": scores}, {"the scores": again}, "predict called twice with one carry")
    assert (run.replicas.state()["draws"] == drawn).all(), "predict draws random numbers, so measuring changes training"


def _ignoring(batch: Batch, every: int = 3) -> Batch:
    """The batch with some targets IGNORED: every third of the first replica, all of the last, none of those between."""
    y = batch.y.copy()
    y[0].reshape(-1)[::every] = IGNORED
    y[-1] = IGNORED
    return Batch(batch.x, y, batch.weight)


def _ignored_targets_cost_nothing(trial: _Trial) -> None:
    """What is asked costs the same whatever else is not; where nothing is asked, the loss is 0 and nothing learned."""
    run, batch = trial.run(TOGETHER), trial.batches[0]
    some = _ignoring(batch)
    rest = Batch(batch.x, np.where(some.y == IGNORED, batch.y, IGNORED), batch.weight)
    whole, *parts = (run.model.forward(part, train=False)[0].copy() for part in (batch, some, rest))
    shares = ((part.y != IGNORED).reshape(len(whole), -1).mean(axis=1) for part in (some, rest))
    total = sum(share * loss for share, loss in zip(shares, parts, strict=True))
    assert np.allclose(whole, total, rtol=1e-4), f"targets asked in two parts cost {total}, and asked at once {whole}"
    run.model.forward(some, train=True)
    run.parameters.start_pass()
    run.model.backward()
    assert not run.parameters.grads[-1].any(), "where all targets are IGNORED, gradients are 0"


def _batches_follow(trial: _Trial) -> None:
    run, (first, second) = trial.run(TOGETHER), trial.batches[:2]
    said, carry = run.model.predict(first)
    if carry is None:
        return
    parts = [said.copy(), run.model.predict(second, carry)[0].copy()]
    both = Batch(*(np.concatenate(pair, axis=1) for pair in ((first.x, second.x), (first.y, second.y))))
    gap = np.abs(run.model.predict(both)[0] - np.concatenate(parts, axis=1)).max()
    assert gap < 1e-4, f"two batches, the carry handed on, differ from one as long as both by up to {gap:.3g}"


def _fused_equals_alone(trial: _Trial) -> None:
    fused, alone = trial.run(TOGETHER), [trial.run((r,)) for r in TOGETHER]
    for batch in trial.batches:
        together = fused.step(batch)
        for r in TOGETHER:
            same_bits(rows_of(together, (r,)), alone[r].step(lanes(batch, (r,))), f"replica {r} fused and alone")
    scores = {"the scores": fused.model.predict(trial.batches[0])[0]}
    for r in TOGETHER:
        one = {"the scores": alone[r].model.predict(lanes(trial.batches[0], (r,)))[0]}
        same_bits(rows_of(scores, (r,)), one, f"replica {r} fused and alone")


def _survivors_go_on(trial: _Trial) -> None:
    kept, whole = trial.run(TOGETHER), trial.run(TOGETHER)
    rows: Sequence[int] = TOGETHER
    for step, batch in enumerate(trial.batches):
        if step == STEPS // 2:  # between epochs, when nothing is carried over
            rows, kept.carry, whole.carry = SURVIVORS, None, None
            kept.keep(np.array(rows))
        left, right = kept.step(lanes(batch, rows)), whole.step(batch)
        same_bits(left, rows_of(right, rows), "survivors after keep(rows) and the same replicas undisturbed")


def _divergence_stays_in_its_lane(trial: _Trial) -> None:
    others, clean, sick = (0, 2), trial.run(TOGETHER), trial.run(TOGETHER, (RATE, np.inf, RATE))
    for batch in trial.batches:
        with np.errstate(all="ignore"):
            left, right = sick.step(batch), clean.step(batch)
        same_bits(rows_of(left, others), rows_of(right, others), "while replica 1 diverges, another replica")
