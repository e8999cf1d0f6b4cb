"""Schedules against factors computed by hand, and validation of their arguments."""

import numpy as np
import pytest

from searchlab.errors import UserMistake
from searchlab.optim.schedules import Constant, CosineDecay, ExponentialDecay, Plateau, StepDecay
from searchlab.replicas import Replicas

EPOCHS = 8


def build(schedule_class, replicas=2, epochs=EPOCHS, **arguments):
    return schedule_class(Replicas(range(replicas)), epochs, **arguments)


def factors_of(schedule, steps=1, epochs=EPOCHS):
    """Return the factors (epochs * steps, R) of all epochs, without any recorded value."""
    return np.concatenate([schedule.epoch_factors(epoch, steps) for epoch in range(epochs)])


def factors_after(schedule, *values):
    """Return the factors of the next epoch after each of these recorded values: one list per replica."""
    factors = []
    for epoch, value in enumerate(values, start=1):
        schedule.record(np.array(value))
        factors.append(schedule.epoch_factors(epoch, 1)[0])
    return np.array(factors).T.tolist()


def test_constant_is_one():
    assert (factors_of(build(Constant), steps=3) == np.ones((24, 2))).all()


def test_warm_up_rises_linearly_and_never_starts_at_zero():
    factors = factors_of(build(Constant, replicas=4, warmup=[0.0, 1.0, 1.5, 0.1]), steps=4, epochs=2).T
    assert factors[0].tolist() == [1.0] * 8
    assert factors[1].tolist() == [0.25, 0.5, 0.75, 1.0, 1.0, 1.0, 1.0, 1.0]
    assert factors[2] == pytest.approx(np.array([1, 2, 3, 4, 5, 6, 6, 6]) / 6.0)
    assert factors[3].tolist() == [1.0] * 8  # a warm-up shorter than a step


def test_warm_up_multiplies_the_schedule():
    without, with_warmup = (
        factors_of(build(ExponentialDecay, rate=0.5, warmup=warmup), steps=2) for warmup in (0.0, 2.0)
    )
    assert with_warmup / without == pytest.approx(np.array([[0.25, 0.5, 0.75] + [1.0] * 13] * 2).T)


def test_step_decay_falls_at_every_boundary_of_fractions_of_an_epoch():
    """0.3 / 0.1 and 0.7 / 0.1 are less than 3 and 7 as floats."""
    factors = build(StepDecay, replicas=1, every=0.1, factor=0.5).epoch_factors(0, 10)[:, 0]
    assert factors == pytest.approx(0.5 ** np.arange(10))


def test_step_decay_falls_after_whole_epochs():
    factors = factors_of(build(StepDecay, every=[2, 3], factor=[0.5, 0.1]), steps=2)
    assert factors[:, 0].tolist() == np.repeat([1.0, 0.5, 0.25, 0.125], 4).tolist()
    assert factors[:, 1] == pytest.approx(np.repeat([1.0, 0.1, 0.01], [6, 6, 4]))


def test_exponential_decay_is_its_rate_per_epoch():
    factors = factors_of(build(ExponentialDecay, rate=[0.5, 0.81]), steps=2)
    assert factors[::2, 0].tolist() == [0.5**epoch for epoch in range(EPOCHS)]
    assert factors[:3, 1] == pytest.approx([1.0, 0.9, 0.81])


def test_cosine_falls_from_one_to_its_floor():
    schedule = build(CosineDecay, floor=[0.0, 0.2])
    factors = factors_of(schedule, steps=10)
    assert factors[0].tolist() == [1.0, 1.0]
    assert factors[40] == pytest.approx([0.5, 0.6])  # half-way
    assert factors[-1] == pytest.approx([0.0, 0.2], abs=1e-3)
    assert (np.diff(factors, axis=0) < 0.0).all()
    assert schedule.epoch_factors(EPOCHS, 3) == pytest.approx(np.tile([0.0, 0.2], (3, 1)))  # and stays at the floor


def test_plateau_falls_when_its_replica_does_not_improve():
    factors = factors_after(build(Plateau), [3.0, 3.0], [2.0, 3.0], [2.0, 2.0], [1.0, 2.5], [1.5, 1.9])
    assert factors == [[1.0, 1.0, 0.25, 0.25, 0.0625], [1.0, 0.25, 0.25, 0.0625, 0.0625]]


def test_plateau_tolerates_as_many_epochs_as_its_patience():
    factors = factors_after(build(Plateau, factor=0.5, patience=[0, 2]), *[[1.0, 1.0]] * 8)
    assert factors == [
        [1.0, 0.5, 0.25, 0.125, 0.0625, 0.03125, 0.015625, 0.0078125],
        [1.0, 1.0, 1.0, 0.5, 0.5, 0.5, 0.25, 0.25],
    ]


def test_an_improvement_resets_the_patience():
    assert factors_after(build(Plateau, replicas=1, factor=0.5, patience=1), [2.0], [2.0], [1.0], [1.0], [1.0]) == [
        [1.0, 1.0, 1.0, 1.0, 0.5]
    ]


def test_an_improvement_within_the_threshold_does_not_count():
    factors = factors_after(build(Plateau, threshold=[0.0, 0.5]), [2.0, 2.0], [1.6, 1.6], [1.4, 1.4])
    assert factors == [[1.0, 1.0, 1.0], [1.0, 0.25, 0.25]]  # 1.4 is far enough below 2, the best that counted


def test_nan_does_not_count_as_improvement():
    factors = factors_after(build(Plateau), [np.nan, 1.0], [1.0, np.nan], [np.nan, 0.5], [0.9, np.nan])
    assert factors == [[0.25, 0.25, 0.0625, 0.0625], [1.0, 0.25, 0.25, 0.0625]]


def test_plateau_records_infinity_and_float32():
    schedule = build(Plateau)
    schedule.record(np.array([np.inf, 1.0], dtype=np.float32))
    schedule.record(np.array([1.0, np.inf], dtype=np.float32))
    assert schedule.epoch_factors(2, 1).tolist() == [[0.25, 0.25]]
    assert schedule.best.dtype == np.float64


def test_restoring_the_state_of_another_schedule_raises():
    state = build(Plateau).state()
    with pytest.raises(ValueError, match=r"Constant expected the state \[\]; got \['best', 'level', 'waited'\]"):
        build(Constant).restore(state)
    with pytest.raises(ValueError, match=r"has shape \(3,\) here and \(2,\) in the saved state"):
        build(Plateau, replicas=3).restore(state)


@pytest.mark.parametrize(
    ("schedule_class", "arguments", "message"),
    [
        (Constant, {"warmup": -1.0}, "finite warmup of at least 0, got -1"),
        (Constant, {"warmup": [0.0, np.inf]}, "finite warmup of at least 0, got inf"),
        (StepDecay, {"every": 0}, "finite every above 0, got 0"),
        (StepDecay, {"every": 1, "factor": 0.0}, "finite factor above 0 and at most 1, got 0"),
        (
            ExponentialDecay,
            {"rate": [0.5, 1.5]},
            "finite rate above 0 and at most 1, got 1.5",
        ),
        (CosineDecay, {"floor": -0.1}, "finite floor from 0 to 1, got -0.1"),
        (CosineDecay, {"floor": np.nan}, "finite floor from 0 to 1, got nan"),
        (Plateau, {"factor": 2.0}, "finite factor above 0 and at most 1, got 2"),
        (Plateau, {"patience": -1}, "finite patience of at least 0, got -1"),
        (Plateau, {"threshold": -0.5}, "finite threshold of at least 0, got -0.5"),
    ],
)
def test_an_argument_out_of_range_raises(schedule_class, arguments, message):
    with pytest.raises(UserMistake) as caught:
        build(schedule_class, **arguments)
    assert str(caught.value).startswith(schedule_class.__name__)
    assert message in str(caught.value)


def test_a_wrong_number_of_values_raises():
    with pytest.raises(ValueError, match="expected one value or 2, one per replica; got 3"):
        build(CosineDecay, floor=[0.1, 0.2, 0.3])
