"""The contract of an augmentation."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from searchlab.backend import Array
from searchlab.data.augmentation import Augmentation
from searchlab.replicas import Fused
from searchlab.testing.lanes import SURVIVORS, TOGETHER, PerReplicaValues, replicas_of, rows_of, same_bits, values_of

IMAGE, ROWS, STEPS = (5, 4), 6, 4  # height and width; rows in a batch; batches changed


def check_augmentation(build: Callable[..., Augmentation], *, per_replica: PerReplicaValues | None = None) -> None:
    """The augmentation that build(replicas, image) makes changes inputs (R, B, features) by each replica's seed.

    Shape and float32 stay; two steps differ; fused equals alone, survivors go on, and what is drawn can be drawn again
    from a checkpoint, all bit for bit. Raises AssertionError saying which rule broke.
    """
    trial = _Trial(build, per_replica)
    _shape_stays(trial)
    _steps_differ(trial)
    _fused_equals_alone(trial)
    _survivors_go_on(trial)
    _draws_again(trial)


class _Run(Fused):
    """An augmentation and the replicas it draws from, held together as a trainer holds them."""

    def __init__(self, trial: _Trial, rows: Sequence[int]) -> None:
        self.replicas = replicas_of(rows)
        self.augmentation = trial.build(self.replicas, IMAGE, **values_of(trial.per_replica, rows))

    def change(self, x: Array) -> dict[str, Array]:
        """The changed inputs."""
        return {"the input": self.augmentation.change(x.copy()).copy()}


class _Trial:
    """How to build it for some replicas, and what to feed it."""

    def __init__(self, build: Callable[..., Augmentation], per_replica: PerReplicaValues | None) -> None:
        self.build, self.per_replica = build, per_replica
        shape = (STEPS, len(TOGETHER), ROWS, IMAGE[0] * IMAGE[1])
        self.x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)

    def run(self, rows: Sequence[int] = TOGETHER) -> _Run:
        """A new one for these replicas only."""
        return _Run(self, rows)


def _shape_stays(trial: _Trial) -> None:
    changed = trial.run().change(trial.x[0])["the input"]
    assert changed.shape == trial.x[0].shape, f"inputs of {trial.x[0].shape} became {changed.shape}"
    assert changed.dtype == np.float32, f"float32 inputs became {changed.dtype}"


def _steps_differ(trial: _Trial) -> None:
    run = trial.run()
    first, second = (run.change(trial.x[0])["the input"] for _ in range(2))
    assert not (first == second).all(), "two steps change the same inputs the same way"


def _fused_equals_alone(trial: _Trial) -> None:
    fused, alone = trial.run(), [trial.run((r,)) for r in TOGETHER]
    for x in trial.x:
        together = fused.change(x)
        for r in TOGETHER:
            same_bits(rows_of(together, (r,)), alone[r].change(x[r : r + 1]), f"replica {r} fused and alone")


def _survivors_go_on(trial: _Trial) -> None:
    kept, whole = trial.run(), trial.run()
    rows: Sequence[int] = TOGETHER
    for step, x in enumerate(trial.x):
        if step == STEPS // 2:
            rows = SURVIVORS
            kept.keep(np.array(rows))
        left, right = kept.change(x[list(rows)]), whole.change(x)
        same_bits(left, rows_of(right, rows), "survivors after keep(rows) and the same replicas undisturbed")


def _draws_again(trial: _Trial) -> None:
    run = trial.run()
    run.change(trial.x[0])
    state = run.replicas.state()
    later = run.change(trial.x[1])
    again = trial.run()
    again.replicas.restore(state)
    same_bits(again.change(trial.x[1]), later, "after the replicas were restored and unbroken")
