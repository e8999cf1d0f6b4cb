"""Schedules by hand: what the rate is multiplied by at a step, and what each makes of its arguments."""

import numpy as np
import pytest

from searchlab.errors import UserMistake
from searchlab.optim.schedules import Constant, CosineDecay, ExponentialDecay, Plateau, StepDecay
from searchlab.replicas import Replicas

EPOCHS = 8


def schedule(kind, replicas=2, epochs=EPOCHS, **arguments):
    return kind(Replicas(range(replicas)), epochs, **arguments)


def told(one, steps=1, epochs=EPOCHS):
    """The factors (epochs * steps, R) of all epochs, without anything seen."""
    return np.concatenate([one.epoch(epoch, steps) for epoch in range(epochs)])


def after(one, *values):
    """The factor of the next epoch's only step, after each of these values: one list per replica."""
    levels = []
    for epoch, value in enumerate(values, start=1):
        one.see(np.array(value))
        levels.append(one.epoch(epoch, 1)[0])
    return np.array(levels).T.tolist()


def test_constant_is_one():
    assert (told(schedule(Constant), steps=3) == np.ones((24, 2))).all()


def test_warm_up_rises_linearly_and_never_starts_at_zero():
    factors = told(schedule(Constant, replicas=4, warmup=[0.0, 1.0, 1.5, 0.1]), steps=4, epochs=2).T
    assert factors[0].tolist() == [1.0] * 8
    assert factors[1].tolist() == [0.25, 0.5, 0.75, 1.0, 1.0, 1.0, 1.0, 1.0]
    assert factors[2] == pytest.approx(np.array([1, 2, 3, 4, 5, 6, 6, 6]) / 6.0)
    assert factors[3].tolist() == [1.0] * 8  # shorter than a step


def test_warm_up_multiplies_the_schedule():
    plain, warm = (told(schedule(ExponentialDecay, rate=0.5, warmup=warmup), steps=2) for warmup in (0.0, 2.0))
    assert warm / plain == pytest.approx(np.array([[0.25, 0.5, 0.75] + [1.0] * 13] * 2).T)


def test_steps_fall_after_whole_epochs():
    factors = told(schedule(StepDecay, every=[2, 3], factor=[0.5, 0.1]), steps=2)
    assert factors[:, 0].tolist() == np.repeat([1.0, 0.5, 0.25, 0.125], 4).tolist()
    assert factors[:, 1] == pytest.approx(np.repeat([1.0, 0.1, 0.01], [6, 6, 4]))


def test_exponential_decay_is_its_rate_per_epoch():
    factors = told(schedule(ExponentialDecay, rate=[0.5, 0.81]), steps=2)
    assert factors[::2, 0].tolist() == [0.5**epoch for epoch in range(EPOCHS)]
    assert factors[:3, 1] == pytest.approx([1.0, 0.9, 0.81])


def test_cosine_falls_from_one_to_its_floor():
    one = schedule(CosineDecay, floor=[0.0, 0.2])
    factors = told(one, steps=10)
    assert factors[0].tolist() == [1.0, 1.0]
    assert factors[40] == pytest.approx([0.5, 0.6])  # half-way
    assert factors[-1] == pytest.approx([0.0, 0.2], abs=1e-3)
    assert (np.diff(factors, axis=0) < 0.0).all()
    assert one.epoch(EPOCHS, 3) == pytest.approx(np.tile([0.0, 0.2], (3, 1)))  # and stays there


def test_plateau_falls_when_its_replica_gets_no_better():
    levels = after(schedule(Plateau), [3.0, 3.0], [2.0, 3.0], [2.0, 2.0], [1.0, 2.5], [1.5, 1.9])
    assert levels == [[1.0, 1.0, 0.25, 0.25, 0.0625], [1.0, 0.25, 0.25, 0.0625, 0.0625]]


def test_plateau_bears_as_many_epochs_as_its_patience():
    levels = after(schedule(Plateau, factor=0.5, patience=[0, 2]), *[[1.0, 1.0]] * 8)
    assert levels == [
        [1.0, 0.5, 0.25, 0.125, 0.0625, 0.03125, 0.015625, 0.0078125],
        [1.0, 1.0, 1.0, 0.5, 0.5, 0.5, 0.25, 0.25],
    ]


def test_an_improvement_ends_the_wait():
    assert after(schedule(Plateau, replicas=1, factor=0.5, patience=1), [2.0], [2.0], [1.0], [1.0], [1.0]) == [
        [1.0, 1.0, 1.0, 1.0, 0.5]
    ]


def test_an_improvement_within_the_threshold_is_none():
    levels = after(schedule(Plateau, threshold=[0.0, 0.5]), [2.0, 2.0], [1.6, 1.6], [1.4, 1.4])
    assert levels == [[1.0, 1.0, 1.0], [1.0, 0.25, 0.25]]  # 1.4 is far enough below 2, the best that counted


def test_plateau_takes_nan_for_no_improvement():
    levels = after(schedule(Plateau), [np.nan, 1.0], [1.0, np.nan], [np.nan, 0.5], [0.9, np.nan])
    assert levels == [[0.25, 0.25, 0.0625, 0.0625], [1.0, 0.25, 0.25, 0.0625]]


def test_plateau_sees_infinity_and_float32():
    one = schedule(Plateau)
    one.see(np.array([np.inf, 1.0], dtype=np.float32))
    one.see(np.array([1.0, np.inf], dtype=np.float32))
    assert one.epoch(2, 1).tolist() == [[0.25, 0.25]]
    assert one.best.dtype == np.float64


def test_restore_refuses_another_schedules_state():
    state = schedule(Plateau).state()
    with pytest.raises(ValueError, match=r"Constant expected \[\], got \['best', 'level', 'waited'\]"):
        schedule(Constant).restore(state)
    with pytest.raises(ValueError, match=r"is \(3,\) here and \(2,\) in the saved state"):
        schedule(Plateau, replicas=3).restore(state)


@pytest.mark.parametrize(
    ("kind", "arguments", "message"),
    [
        (Constant, {"warmup": -1.0}, "Constant needs a finite warmup of at least 0, got -1."),
        (Constant, {"warmup": [0.0, np.inf]}, "Constant needs a finite warmup of at least 0, got inf."),
        (StepDecay, {"every": 0}, "StepDecay needs a finite every above 0, got 0."),
        (StepDecay, {"every": 1, "factor": 0.0}, "StepDecay needs a finite factor above 0 and at most 1, got 0."),
        (
            ExponentialDecay,
            {"rate": [0.5, 1.5]},
            "ExponentialDecay needs a finite rate above 0 and at most 1, got 1.5.",
        ),
        (CosineDecay, {"floor": -0.1}, "CosineDecay needs a finite floor from 0 to 1, got -0.1."),
        (CosineDecay, {"floor": np.nan}, "CosineDecay needs a finite floor from 0 to 1, got nan."),
        (Plateau, {"factor": 2.0}, "Plateau needs a finite factor above 0 and at most 1, got 2."),
        (Plateau, {"patience": -1}, "Plateau needs a finite patience of at least 0, got -1."),
        (Plateau, {"threshold": -0.5}, "Plateau needs a finite threshold of at least 0, got -0.5."),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(kind, arguments, message):
    with pytest.raises(UserMistake) as caught:
        schedule(kind, **arguments)
    assert str(caught.value) == message


def test_as_many_values_as_replicas():
    with pytest.raises(ValueError, match="expected one value or 2, one per replica; got 3"):
        schedule(CosineDecay, floor=[0.1, 0.2, 0.3])
