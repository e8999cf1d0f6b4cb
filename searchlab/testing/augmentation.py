"""The contract of an augmentation of training inputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from searchlab.backend import Array
from searchlab.data.augmentation import Augmentation
from searchlab.replicas import HasReplicaAxis
from searchlab.testing.replica_rows import (
    ALL_REPLICAS,
    SURVIVORS,
    PerReplicaValues,
    arguments_for,
    assert_identical,
    replicas_for,
    select_rows,
)

IMAGE_SHAPE, BATCH_SIZE, STEPS = (5, 4), 6, 4


def check_augmentation(build: Callable[..., Augmentation], *, per_replica: PerReplicaValues | None = None) -> None:
    """Check that an augmentation changes each replica as its own seed and arguments say.

    It checks that:

    - the inputs keep their shape (R, B, features) and float32;
    - two steps change the same inputs in different ways;
    - three replicas together change as each alone, bit for bit;
    - after one replica is dropped, the others continue unchanged, bit for bit;
    - after the replicas are restored from a checkpoint, the same changes are drawn again, bit for bit.

    Args:
        build: Callable of the replicas, an image shape (height, width), and the arguments in `per_replica`.
        per_replica: Three values of each argument that may differ between replicas; default none.

    Raises:
        AssertionError: When a rule is broken; the message names it.

    Example:
        >>> from searchlab import GaussianNoise
        >>> from searchlab.testing import check_augmentation
        >>> check_augmentation(GaussianNoise, per_replica={"scale": (0.1, 0.2, 0.3)})
    """
    case = _AugmentationCase(build, per_replica)
    _check_shape_and_dtype(case)
    _check_steps_differ(case)
    _check_fused_equals_alone(case)
    _check_survivors_continue(case)
    _check_draws_can_be_restored(case)


class _AugmentationRun(HasReplicaAxis):
    """An augmentation and its replicas in one object, as in a trainer, so that replicas can be dropped."""

    def __init__(self, case: _AugmentationCase, rows: Sequence[int]) -> None:
        self.replicas = replicas_for(rows)
        self.augmentation = case.build(self.replicas, IMAGE_SHAPE, **arguments_for(case.per_replica, rows))

    def apply(self, x: Array) -> dict[str, Array]:
        """Return the changed inputs."""
        return {"the input": self.augmentation.apply(x.copy()).copy()}


class _AugmentationCase:
    """The constructor under test, and its inputs (STEPS, R, B, features)."""

    def __init__(self, build: Callable[..., Augmentation], per_replica: PerReplicaValues | None) -> None:
        self.build, self.per_replica = build, per_replica
        shape = (STEPS, len(ALL_REPLICAS), BATCH_SIZE, IMAGE_SHAPE[0] * IMAGE_SHAPE[1])
        self.x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)

    def run(self, rows: Sequence[int] = ALL_REPLICAS) -> _AugmentationRun:
        """Return a new augmentation for these replicas."""
        return _AugmentationRun(self, rows)


def _check_shape_and_dtype(case: _AugmentationCase) -> None:
    changed = case.run().apply(case.x[0])["the input"]
    assert changed.shape == case.x[0].shape, f"inputs of {case.x[0].shape} became {changed.shape}"
    assert changed.dtype == np.float32, f"float32 inputs became {changed.dtype}"


def _check_steps_differ(case: _AugmentationCase) -> None:
    run = case.run()
    first, second = (run.apply(case.x[0])["the input"] for _ in range(2))
    assert not (first == second).all(), "two steps change the same inputs the same way"


def _check_fused_equals_alone(case: _AugmentationCase) -> None:
    fused, alone = case.run(), [case.run((r,)) for r in ALL_REPLICAS]
    for x in case.x:
        together = fused.apply(x)
        for r in ALL_REPLICAS:
            assert_identical(select_rows(together, (r,)), alone[r].apply(x[r : r + 1]), f"replica {r} fused and alone")


def _check_survivors_continue(case: _AugmentationCase) -> None:
    reduced, full = case.run(), case.run()
    rows: Sequence[int] = ALL_REPLICAS
    for step, x in enumerate(case.x):
        if step == STEPS // 2:
            rows = SURVIVORS
            reduced.select_replicas(np.array(rows))
        actual, expected = reduced.apply(x[list(rows)]), full.apply(x)
        assert_identical(actual, select_rows(expected, rows), "survivors after select_replicas and without it")


def _check_draws_can_be_restored(case: _AugmentationCase) -> None:
    run = case.run()
    run.apply(case.x[0])
    state = run.replicas.state()
    expected = run.apply(case.x[1])
    resumed = case.run()
    resumed.replicas.restore(state)
    assert_identical(resumed.apply(case.x[1]), expected, "resumed from replicas.state() and uninterrupted")
