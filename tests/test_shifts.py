"""Shifts and seats: a sweep that has to make room saves what it is at, the newest first, and loses nothing."""

import pytest

from searchlab.service.desk import Desk
from searchlab.service.job import Job
from searchlab.service.parcel import parcel_for_study, parcel_for_workers
from searchlab.service.shifts import Shifts
from searchlab.sweep.samplers import Random
from tests.sweeps import spiral_sweep
from tests.test_desk import report
from tests.test_study import epoch


@pytest.fixture
def desk(tmp_path):
    """A desk of twelve trials in groups of four, with seats for three workers."""
    sweep = spiral_sweep(trials=12, sampler=Random())
    opened = Desk(parcel_for_study(Job(sweep, "s", tmp_path / "j", tmp_path / "c", trials=12, fuse=4, workers=None)))
    opened.seat({"cpu": 3})
    yield opened
    opened.close()


def test_as_many_shifts_begin_as_there_are_seats(desk):
    assert [desk.opening(name) for name in "abcd"] == ["cpu", "cpu", "cpu", "later"]
    assert desk.seat({"cpu": 4}) == (3, True)
    assert desk.opening("d") == "cpu"


def test_a_shift_that_is_over_frees_its_seat(desk):
    for name in "abc":
        desk.opening(name)
    desk.leave("b", None)
    assert desk.opening("d") == "cpu"


def test_the_newest_makes_room_and_its_group_is_the_next_to_be_handed_out(desk):
    for name in "ab":
        desk.opening(name)
    first, second = desk.take("a"), desk.take("b")
    desk.seat({"cpu": 1})
    assert not report(desk, first, 1).pause
    assert report(desk, second, 1).pause
    assert desk.take("b") is None, "its worker saved the group and leaves"
    assert desk.seat({"cpu": 2})[0] == 1
    assert desk.opening("c") == "cpu"
    again = desk.take("c")
    assert again.trials == second.trials
    assert again.most is None, "nobody died of it"
    assert not report(desk, again, 2).pause


def test_what_a_worker_died_with_while_it_was_to_make_room_is_not_lost(desk):
    for name in "ab":
        desk.opening(name)
    desk.take("a")
    second = desk.take("b")
    desk.seat({"cpu": 1})
    assert desk.take("b") is None
    desk.seat({"cpu": 2})
    desk.opening("c")
    assert desk.take("c").trials == second.trials


def test_a_worker_that_is_told_to_leave_between_two_groups_takes_none(desk):
    for name in "ab":
        desk.opening(name)
    desk.take("a")
    group = desk.take("b")
    desk.finish(group.trials, epoch(1, [0.5] * 8))
    desk.seat({"cpu": 1})
    assert desk.take("b") is None
    assert [record.state for record in desk.records()].count("RUNNING") == 4


def test_there_is_nothing_more_to_open_when_all_has_ended_and_not_before(desk):
    for name in "abc":
        desk.opening(name)
    groups = [desk.take(name) for name in "abc"]
    assert desk.take("a") is not None, "taken up again"
    desk.leave("c", None)
    assert desk.opening("d") == "later", "the groups at work may come back"
    for group in groups:
        desk.finish(group.trials, epoch(1, [0.5] * 8))
    assert desk.opening("d") == "never"
    assert desk.seat({"cpu": 3})[1] is False


def test_a_shift_whose_worker_died_for_good_fails_its_group_alone(desk):
    for name in "ab":
        desk.opening(name)
    first, second = desk.take("a"), desk.take("b")
    desk.leave("a", "its worker process died")
    states = [record.state for record in desk.records()]
    assert [states[number] for number in (*first.trials, *second.trials)] == ["FAIL"] * 4 + ["RUNNING"] * 4


def test_paused_a_worker_gets_nothing_though_its_group_is_unfinished(desk):
    desk.opening("a")
    group = desk.take("a")
    desk.pause("stopping")
    assert report(desk, group, 1).pause
    assert desk.take("a") is None
    assert desk.opening("b") == "never"


def test_groups_are_no_larger_than_leaves_every_worker_something(tmp_path):
    sweep = spiral_sweep(trials=200, sampler=Random())
    job = Job(sweep, "s", tmp_path / "j", tmp_path / "c", trials=12, fuse="auto", workers=None)
    desk = Desk(parcel_for_study(job))
    desk.seat({"cpu": 6})
    for name in "abcdef":
        desk.opening(name)
    assert desk._study.workers == 1
    desk.take("a")
    assert desk._study.workers == 6
    desk.close()


def test_gpu_seats_are_taken_first_and_each_device_counts_for_itself():
    shifts = Shifts({"cuda": 1, "cpu": 2})
    taken = []
    while device := shifts.free():
        shifts.begin(str(len(taken)), device)
        taken.append(device)
    assert taken == ["cuda", "cpu", "cpu"]
    shifts.seats = {"cuda": 1, "cpu": 1}
    assert [shifts.too_many(str(number)) for number in range(3)] == [False, False, True]


def test_workers_are_not_told_where_the_study_is_stored(tmp_path):
    job = Job(spiral_sweep(), "s", "postgresql://me:hunter2@there/optuna", tmp_path, trials=6)
    assert b"hunter2" in parcel_for_study(job).content
    assert b"hunter2" not in parcel_for_workers(job).content
