"""Shifts and seats: a sweep that has to make room saves what it is at, the newest first, and loses nothing."""

import numpy as np
import pytest

from searchlab.engine.payload import payload_for_study, payload_for_workers
from searchlab.engine.study_actor import StudyActor
from searchlab.engine.worker_pool import WorkerPool
from searchlab.fusion.groups import Group
from searchlab.runs.job import Job
from searchlab.space.samplers import Random
from tests.sweeps import spiral_sweep
from tests.test_study import epoch
from tests.test_study_actor import report


@pytest.fixture
def desk(tmp_path):
    """A desk of twelve trials in groups of four, with seats for three workers."""
    sweep = spiral_sweep(trials=12, sampler=Random())
    opened = StudyActor(
        payload_for_study(Job(sweep, "s", tmp_path / "j", tmp_path / "c", trials=12, fuse=4, workers=None))
    )
    opened.open()
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
    desk.leave("b")
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
    assert desk.opening("d") == "later", "the groups at work may come back"
    for group in groups:
        desk.finish(group.trials, epoch(1, [0.5] * 8))
    assert desk.opening("d") == "never"
    assert desk.seat({"cpu": 3})[1] is False


def test_what_a_lost_worker_held_is_the_next_to_be_handed_out(desk):
    for name in "ab":
        desk.opening(name)
    first, _ = desk.take("a"), desk.take("b")
    desk.lose("a")
    assert desk.opening("c") == "cpu"
    assert desk.take("c").trials == first.trials
    assert {record.state for record in desk.records()} == {"RUNNING"}


def test_a_group_that_had_to_make_room_at_the_very_end_is_asked_a_seat_for(desk):
    """It was the last group, its sweep loses its last seat to another, and there is work again."""
    for name in "abc":
        desk.opening(name)
    groups = {name: desk.take(name) for name in "abc"}
    for name in "ab":
        desk.finish(groups[name].trials, epoch(1, [0.5] * 8))
        assert desk.take(name) is None
    assert desk.seat({})[1] is False
    assert report(desk, groups["c"], 1).pause
    assert desk.take("c") is None
    assert desk.seat({}) == (0, True)
    desk.seat({"cpu": 1})
    assert desk.opening("d") == "cpu"
    assert desk.take("d").trials == groups["c"].trials


def test_a_worker_that_lives_on_behind_a_cut_network_gets_nothing_any_more(desk):
    desk.opening("a")
    group = desk.take("a", "first life", "cpu")
    desk.lose("a")
    again = desk.take("a", "second life", "cpu")
    assert again.trials == group.trials
    assert desk.take("a", "first life", "cpu") is None
    report(desk, again, 1)
    desk.finish(again.trials, epoch(2, [0.5] * 8))
    following = desk.take("a", "second life", "cpu")
    assert following.trials != group.trials
    assert following.most is None


def test_a_seat_is_kept_for_a_shift_that_is_begun_anew(desk):
    for name in "abc":
        desk.opening(name)
        desk.take(name, name, "cpu")
    desk.lose("a")
    assert desk.opening("d") == "later"
    assert desk.take("a", "anew", "cpu") is not None


def test_a_seat_that_went_with_its_node_is_nobodys(desk):
    """Whoever is there stays; the shift that is begun anew where there is room later finds none."""
    groups = {}
    for name in "abc":
        desk.opening(name)
        groups[name] = desk.take(name, name, "cpu")
    desk.lose("a")
    desk.seat({"cpu": 2})
    assert not report(desk, groups["b"], 1).pause
    assert not report(desk, groups["c"], 1).pause
    assert desk.take("a", "anew", "cpu") is None


def test_a_gpu_node_that_never_comes_back_keeps_no_group_and_no_search(tmp_path):
    """Its group goes on where there are seats, and the shift that waits for the node is not waited for."""
    sweep = spiral_sweep(trials=4, sampler=Random())
    job = Job(sweep, "s", tmp_path / "j", tmp_path / "c", trials=4, fuse=4, workers=None, device="either")
    desk = StudyActor(payload_for_study(job))
    desk.open()
    desk.seat({"cuda": 1, "cpu": 1})
    assert [desk.opening(name) for name in "ab"] == ["cuda", "cpu"]
    group = desk.take("a", "1", "cuda")
    assert desk.take("b", "2", "cpu") is None
    desk.lose("a")
    desk.seat({"cpu": 1})
    assert desk.opening("c") == "cpu"
    assert desk.take("c", "3", "cpu").trials == group.trials
    assert not desk.vacant()
    desk.finish(group.trials, epoch(1, [0.5] * 8))
    assert desk.take("c", "3", "cpu") is None
    assert desk.vacant()
    assert desk.take("a", "4", "cuda") is None
    desk.close()


def test_a_node_that_cannot_train_ends_a_search_that_has_not_begun_and_no_other(desk):
    for name in "ab":
        desk.opening(name)
    group = desk.take("a", "1", "cpu")
    report(desk, group, 1)
    desk.unfit("the node b cannot read the data")
    assert desk.halted() is None
    assert [arguments["text"] for method, arguments in desk.drain() if method == "note"] == [
        "the node b cannot read the data"
    ]
    assert desk.idle("b", "2"), "it keeps its seat, so that no other begins there"
    desk.seat({"cpu": 1})
    assert not desk.idle("b", "2")
    assert len(desk._shifts) == 1


def test_a_search_of_which_no_node_can_train_anything_ends(desk):
    desk.opening("a")
    desk.unfit("the node a cannot read the data")
    assert desk.halted() == "the node a cannot read the data"
    assert not desk.idle("a", "1")
    assert desk.vacant()
    assert desk.opening("b") == "never"


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
    desk = StudyActor(payload_for_study(job))
    desk.open()
    desk.seat({"cpu": 6})
    for name in "abcdef":
        desk.opening(name)
    assert desk._study.workers == 1
    desk.take("a")
    assert desk._study.workers == 6
    desk.close()


def test_gpu_seats_are_taken_first_and_each_device_counts_for_itself():
    shifts = WorkerPool({"cuda": 1, "cpu": 2})
    taken = []
    while device := shifts.free():
        shifts.begin(str(len(taken)), device)
        taken.append(device)
    assert taken == ["cuda", "cpu", "cpu"]
    shifts.seats = {"cuda": 1, "cpu": 1}
    assert [shifts.too_many(str(number)) for number in range(3)] == [False, False, True]


class Plain:
    """Shifts as they are meant: whatever is asked, all of them are gone through."""

    def __init__(self, seats):
        self.seats, self.held, self.there, self.leaving = seats, {}, {}, set()

    def free(self):
        taken = list(self.there.values())
        return next((device for device, count in self.seats.items() if taken.count(device) < count), None)

    def begin(self, shift, device):
        self.there[shift] = device

    def end(self, shift):
        self.there.pop(shift, None)
        self.leaving.discard(shift)
        return self.held.pop(shift, None)

    def too_many(self, shift):
        device = self.there.get(shift)
        alike = [other for other, there in self.there.items() if there == device]
        return device is not None and alike.index(shift) >= self.seats.get(device, 0)

    def ask_to_leave(self, group):
        shift = self.holder(group)
        if shift is not None and self.too_many(shift):
            self.leaving.add(shift)
        return shift in self.leaving

    def hold(self, shift, group):
        self.held[shift] = group

    def let_go(self, shift):
        return self.held.pop(shift, None)

    def holder(self, group):
        return next((shift for shift, held in self.held.items() if held.id == group), None)

    def drop(self, group):
        self.held = {shift: held for shift, held in self.held.items() if held.id != group}


@pytest.mark.parametrize("seed", range(8))
def test_shifts_are_those_that_one_finds_by_going_through_all(seed):
    draws, groups = np.random.default_rng(seed), 0
    seats = {"cuda": 2, "cpu": 3}
    shifts, plain = WorkerPool(seats), Plain(seats)

    def both(method, *given):
        found, meant = (getattr(one, method)(*given) for one in (shifts, plain))
        assert found == meant, (method, given)
        return found

    for step in range(600):
        name, held = str(draws.integers(0, 12)), [group.id for group in plain.held.values()]
        one = str(draws.choice(held)) if held and draws.random() < 0.8 else "nobody's"
        match int(draws.integers(0, 8)):
            case 0 | 1 if (device := both("free")) or draws.random() < 0.1:
                both("begin", name, device or "cpu")
            case 2:
                both("end", name)
            case 3 | 4:
                groups += 1
                both("hold", name, Group(str(groups), (groups,), ({},), 0))
            case 5:
                both("let_go", name)
            case 6:
                both("drop", one)
            case 7:
                shifts.seats = plain.seats = {"cuda": int(draws.integers(0, 3)), "cpu": int(draws.integers(0, 6))}
        both("ask_to_leave", one)
        both("holder", one)
        assert len(shifts) == len(plain.there), step
        for other in map(str, range(12)):
            both("too_many", other)
            assert shifts.was_asked(other) == (other in plain.leaving)


class Unread(dict):
    """A dictionary that nobody may go through."""

    def refuse(self):
        raise AssertionError("all shifts are gone through")

    __iter__ = items = values = keys = refuse


def test_what_is_asked_of_a_thousand_shifts_goes_through_none_of_them():
    shifts = WorkerPool({"cpu": 990})
    for number in range(1000):
        shifts.begin(str(number), "cpu")
        shifts.hold(str(number), Group(f"group {number}", (number,), ({},), 0))
    for name, kept in vars(shifts).items():
        if isinstance(kept, dict) and len(kept) == 1000:
            setattr(shifts, name, Unread(kept))
    assert [shifts.too_many(str(number)) for number in (0, 989, 990, 999)] == [False, False, True, True]
    assert shifts.holder("group 700") == "700"
    assert (shifts.ask_to_leave("group 5"), shifts.ask_to_leave("group 995")) == (False, True)
    shifts.drop("group 700")
    assert shifts.holder("group 700") is None
    shifts.end("3")
    assert [shifts.too_many(str(number)) for number in (990, 991)] == [False, True]
    assert shifts.free() is None


def test_workers_are_not_told_where_the_study_is_stored(tmp_path):
    job = Job(spiral_sweep(), "s", "postgresql://me:hunter2@there/optuna", tmp_path, trials=6)
    assert b"hunter2" in payload_for_study(job).content
    assert b"hunter2" not in payload_for_workers(job).content


def test_room_is_made_on_one_node_though_the_workers_came_in_turn(desk):
    """So that a group of another sweep's that takes two cores finds them side by side."""
    desk.seat({"cpu": 4})
    groups, nodes = {}, dict(zip("abc", ("left", "right", "left"), strict=True))
    for name, node in nodes.items():
        desk.opening(name)
        groups[name] = desk.take(name, name, "cpu", node)
    assert desk.opening("d") == "later", "all is handed out"
    desk.seat({"cpu": 2})
    assert {name for name in "abc" if report(desk, groups[name], 1).pause} == {"b"}


def test_who_has_no_node_yet_makes_room_first():
    shifts = WorkerPool({"cpu": 3})
    for name in "abc":
        shifts.begin(name, "cpu")
    shifts.begin("c", "cpu", "left")
    shifts.begin("b", "cpu", "right")
    shifts.seats = {"cpu": 2}
    assert [name for name in "abc" if shifts.too_many(name)] == ["a"]
    shifts.seats = {"cpu": 1}
    assert [name for name in "abc" if shifts.too_many(name)] == ["a", "b"]
    shifts.begin("b", "cpu", "left")
    assert [name for name in "abc" if shifts.too_many(name)] == ["a", "c"]
