"""Slots and workers: when slots are withdrawn, the newest workers save their groups and leave, and nothing is lost."""

from __future__ import annotations

import numpy as np
import pytest

from searchlab.engine.payload import payload_for_study, payload_for_workers
from searchlab.engine.worker_pool import WorkerPool
from searchlab.fusion.groups import Group
from tests.jobs import make_job
from tests.study_actors import finish, messages, open_actor, report_epoch, states
from tests.sweeps import spiral_sweep


@pytest.fixture
def actor(tmp_path):
    """A study actor of twelve trials in groups of four, with slots for three workers."""
    opened = open_actor(tmp_path, fuse=4, workers=None)
    opened.set_slots({"cpu": 3})
    yield opened
    opened.close()


def start_workers(actor, names):
    return [actor.start_worker(name) for name in names]


def test_as_many_workers_start_as_there_are_slots(actor):
    assert start_workers(actor, "abcd") == ["cpu", "cpu", "cpu", "later"]
    assert actor.set_slots({"cpu": 4}) == (3, True)
    assert actor.start_worker("d") == "cpu"


def test_a_worker_that_ended_frees_its_slot(actor):
    start_workers(actor, "abc")
    actor.worker_ended("b")
    assert actor.start_worker("d") == "cpu"


def test_the_newest_worker_is_preempted_and_its_group_is_given_out_next(actor):
    start_workers(actor, "ab")
    first, second = actor.next_group("a"), actor.next_group("b")
    actor.set_slots({"cpu": 1})
    assert not report_epoch(actor, first, 1).pause
    assert report_epoch(actor, second, 1).pause
    assert actor.next_group("b") is None, "its worker has saved the group and leaves"
    assert actor.set_slots({"cpu": 2})[0] == 1
    assert actor.start_worker("c") == "cpu"
    again = actor.next_group("c")
    assert again.trials == second.trials
    assert again.max_side_by_side is None, "the worker did not crash"
    assert not report_epoch(actor, again, 2).pause


def test_the_group_of_a_worker_that_crashed_before_it_could_leave_is_not_lost(actor):
    start_workers(actor, "ab")
    actor.next_group("a")
    second = actor.next_group("b")
    actor.set_slots({"cpu": 1})
    assert actor.next_group("b") is None
    actor.set_slots({"cpu": 2})
    actor.start_worker("c")
    assert actor.next_group("c").trials == second.trials


def test_a_worker_preempted_between_two_groups_gets_no_other(actor):
    start_workers(actor, "ab")
    actor.next_group("a")
    group = actor.next_group("b")
    finish(actor, group)
    actor.set_slots({"cpu": 1})
    assert actor.next_group("b") is None
    assert states(actor).count("RUNNING") == 4


def test_no_worker_starts_any_more_once_all_trials_have_ended(actor):
    start_workers(actor, "abc")
    groups = [actor.next_group(name) for name in "abc"]
    assert actor.start_worker("d") == "later", "a group in training may be returned"
    for group in groups:
        finish(actor, group)
    assert actor.start_worker("d") == "never"
    assert actor.set_slots({"cpu": 3})[1] is False


def test_the_group_of_a_lost_worker_is_given_out_next(actor):
    start_workers(actor, "ab")
    first, _ = actor.next_group("a"), actor.next_group("b")
    actor.worker_lost("a")
    assert actor.start_worker("c") == "cpu"
    assert actor.next_group("c").trials == first.trials
    assert set(states(actor)) == {"RUNNING"}


def test_there_is_work_again_when_the_last_group_is_preempted(actor):
    """It is the last group, and its sweep loses its last slot to another sweep."""
    start_workers(actor, "abc")
    groups = {name: actor.next_group(name) for name in "abc"}
    for name in "ab":
        finish(actor, groups[name])
        assert actor.next_group(name) is None
    assert actor.set_slots({})[1] is False
    assert report_epoch(actor, groups["c"], 1).pause
    assert actor.next_group("c") is None
    assert actor.set_slots({}) == (0, True)
    actor.set_slots({"cpu": 1})
    assert actor.start_worker("d") == "cpu"
    assert actor.next_group("d").trials == groups["c"].trials


def test_a_process_behind_a_cut_network_gets_no_group_once_its_worker_was_restarted(actor):
    actor.start_worker("a")
    group = actor.next_group("a", "first process", "cpu")
    actor.worker_lost("a")
    again = actor.next_group("a", "second process", "cpu")
    assert again.trials == group.trials
    assert actor.next_group("a", "first process", "cpu") is None
    report_epoch(actor, again, 1)
    finish(actor, again, 2)
    following = actor.next_group("a", "second process", "cpu")
    assert following.trials != group.trials
    assert following.max_side_by_side is None


def test_a_slot_is_kept_for_a_restarting_worker(actor):
    for name in "abc":
        actor.start_worker(name)
        actor.next_group(name, name, "cpu")
    actor.worker_lost("a")
    assert actor.start_worker("d") == "later"
    assert actor.next_group("a", "restarted", "cpu") is not None


def test_a_restarting_worker_loses_a_slot_that_was_lost_with_its_node(actor):
    """Workers that run keep their slots; the restarted worker finds none."""
    groups = {}
    for name in "abc":
        actor.start_worker(name)
        groups[name] = actor.next_group(name, name, "cpu")
    actor.worker_lost("a")
    actor.set_slots({"cpu": 2})
    assert not report_epoch(actor, groups["b"], 1).pause
    assert not report_epoch(actor, groups["c"], 1).pause
    assert actor.next_group("a", "restarted", "cpu") is None


def test_a_gpu_node_that_never_returns_keeps_neither_its_group_nor_the_search(tmp_path):
    """Its group continues on another device, and the search ends without the worker that waits for the node."""
    actor = open_actor(tmp_path, trials=4, fuse=4, workers=None, device="either")
    actor.set_slots({"cuda": 1, "cpu": 1})
    assert start_workers(actor, "ab") == ["cuda", "cpu"]
    group = actor.next_group("a", "1", "cuda")
    assert actor.next_group("b", "2", "cpu") is None
    actor.worker_lost("a")
    actor.set_slots({"cpu": 1})
    assert actor.start_worker("c") == "cpu"
    assert actor.next_group("c", "3", "cpu").trials == group.trials
    assert not actor.is_idle()
    finish(actor, group)
    assert actor.next_group("c", "3", "cpu") is None
    assert actor.is_idle()
    assert actor.next_group("a", "4", "cuda") is None
    actor.close()


def test_an_unusable_node_does_not_end_a_search_in_which_others_train(actor):
    start_workers(actor, "ab")
    group = actor.next_group("a", "1", "cpu")
    report_epoch(actor, group, 1)
    actor.report_unusable_node("the node b cannot read the data")
    assert actor.stop_reason() is None
    assert messages(actor) == ["the node b cannot read the data"]
    assert actor.should_wait("b", "2"), "it keeps its slot, so that no other worker starts there"
    actor.set_slots({"cpu": 1})
    assert not actor.should_wait("b", "2")
    assert actor.set_slots({"cpu": 1})[0] == 1


def test_an_unusable_node_ends_a_search_in_which_no_worker_has_trained(actor):
    actor.start_worker("a")
    actor.report_unusable_node("the node a cannot read the data")
    assert actor.stop_reason() == "the node a cannot read the data"
    assert not actor.should_wait("a", "1")
    assert actor.is_idle()
    assert actor.start_worker("b") == "never"


def test_a_paused_study_gives_a_worker_no_group_even_if_its_own_is_unfinished(actor):
    actor.start_worker("a")
    group = actor.next_group("a")
    actor.pause("stopping")
    assert report_epoch(actor, group, 1).pause
    assert actor.next_group("a") is None
    assert actor.start_worker("b") == "never"


def test_the_study_knows_the_number_of_workers(tmp_path):
    """Groups are then small enough to leave trials for every worker."""
    actor = open_actor(tmp_path, space_trials=200, fuse="auto", workers=None)
    actor.set_slots({"cpu": 6})
    start_workers(actor, "abcdef")
    assert actor._study.workers == 1
    actor.next_group("a")
    assert actor._study.workers == 6
    actor.close()


def test_gpu_slots_are_taken_first_and_each_device_has_its_own():
    pool, devices = WorkerPool({"cuda": 1, "cpu": 2}), []
    while device := pool.next_free_device():
        pool.assign_slot(str(len(devices)), device)
        devices.append(device)
    assert devices == ["cuda", "cpu", "cpu"]
    pool.slots = {"cuda": 1, "cpu": 1}
    assert [pool.exceeds_slots(str(number)) for number in range(3)] == [False, False, True]


class ReferencePool:
    """A simple implementation of the pool: every query iterates over all workers."""

    def __init__(self, slots):
        self.slots, self.groups, self.devices, self.preempted = slots, {}, {}, set()

    def next_free_device(self):
        taken = list(self.devices.values())
        return next((device for device, count in self.slots.items() if taken.count(device) < count), None)

    def assign_slot(self, worker, device):
        self.devices[worker] = device

    def remove(self, worker):
        self.devices.pop(worker, None)
        self.preempted.discard(worker)
        return self.groups.pop(worker, None)

    def exceeds_slots(self, worker):
        device = self.devices.get(worker)
        workers = [other for other, other_device in self.devices.items() if other_device == device]
        return device is not None and workers.index(worker) >= self.slots.get(device, 0)

    def preempt(self, group):
        worker = self.worker_of(group)
        if worker is not None and self.exceeds_slots(worker):
            self.preempted.add(worker)
        return worker in self.preempted

    def assign_group(self, worker, group):
        self.groups[worker] = group

    def release_group(self, worker):
        return self.groups.pop(worker, None)

    def worker_of(self, group):
        return next((worker for worker, assigned in self.groups.items() if assigned.id == group), None)

    def forget_group(self, group):
        self.groups = {worker: assigned for worker, assigned in self.groups.items() if assigned.id != group}


@pytest.mark.parametrize("seed", range(8))
def test_the_pool_agrees_with_an_implementation_that_iterates_over_all_workers(seed):
    rng, groups = np.random.default_rng(seed), 0
    slots = {"cuda": 2, "cpu": 3}
    pool, reference = WorkerPool(slots), ReferencePool(slots)

    def both(method, *arguments):
        result, expected = (getattr(each, method)(*arguments) for each in (pool, reference))
        assert result == expected, (method, arguments)
        return result

    for step in range(600):
        worker, assigned = str(rng.integers(0, 12)), [group.id for group in reference.groups.values()]
        group = str(rng.choice(assigned)) if assigned and rng.random() < 0.8 else "unknown"
        match int(rng.integers(0, 8)):
            case 0 | 1 if (device := both("next_free_device")) or rng.random() < 0.1:
                both("assign_slot", worker, device or "cpu")
            case 2:
                both("remove", worker)
            case 3 | 4:
                groups += 1
                both("assign_group", worker, Group(str(groups), (groups,), ({},), 0))
            case 5:
                both("release_group", worker)
            case 6:
                both("forget_group", group)
            case 7:
                pool.slots = reference.slots = {"cuda": int(rng.integers(0, 3)), "cpu": int(rng.integers(0, 6))}
        both("preempt", group)
        both("worker_of", group)
        assert len(pool) == len(reference.devices), step
        for other in map(str, range(12)):
            both("exceeds_slots", other)
            assert pool.is_preempted(other) == (other in reference.preempted)


class NotIterable(dict):
    """A dictionary that raises when it is iterated over."""

    def fail(self):
        raise AssertionError("a query iterated over all workers")

    __iter__ = items = values = keys = fail


def test_no_query_iterates_over_a_thousand_workers():
    pool = WorkerPool({"cpu": 990})
    for number in range(1000):
        pool.assign_slot(str(number), "cpu")
        pool.assign_group(str(number), Group(f"group {number}", (number,), ({},), 0))
    guarded = [name for name, value in vars(pool).items() if isinstance(value, dict) and len(value) == 1000]
    assert len(guarded) == 3, "slots, groups and their workers"
    for name in guarded:
        setattr(pool, name, NotIterable(getattr(pool, name)))
    assert [pool.exceeds_slots(str(number)) for number in (0, 989, 990, 999)] == [False, False, True, True]
    assert pool.worker_of("group 700") == "700"
    assert (pool.preempt("group 5"), pool.preempt("group 995")) == (False, True)
    pool.forget_group("group 700")
    assert pool.worker_of("group 700") is None
    pool.remove("3")
    assert [pool.exceeds_slots(str(number)) for number in (990, 991)] == [False, True]
    assert pool.next_free_device() is None


def test_the_payload_of_workers_has_no_url_of_the_database(tmp_path):
    job = make_job(spiral_sweep(), "s", "postgresql://me:hunter2@host/optuna", tmp_path, trials=6)
    assert b"hunter2" in payload_for_study(job).content
    assert b"hunter2" not in payload_for_workers(job).content


def test_slots_are_withdrawn_on_one_node_even_if_workers_arrived_in_turn(actor):
    """So that a group of another sweep that needs two cores finds both on one node."""
    actor.set_slots({"cpu": 4})
    groups, nodes = {}, dict(zip("abc", ("left", "right", "left"), strict=True))
    for name, node in nodes.items():
        actor.start_worker(name)
        groups[name] = actor.next_group(name, name, "cpu", node)
    assert actor.start_worker("d") == "later", "all groups are given out"
    actor.set_slots({"cpu": 2})
    assert {name for name in "abc" if report_epoch(actor, groups[name], 1).pause} == {"b"}


def test_workers_without_a_node_are_preempted_first():
    pool = WorkerPool({"cpu": 3})
    for name in "abc":
        pool.assign_slot(name, "cpu")
    pool.assign_slot("c", "cpu", "left")
    pool.assign_slot("b", "cpu", "right")
    pool.slots = {"cpu": 2}
    assert [name for name in "abc" if pool.exceeds_slots(name)] == ["a"]
    pool.slots = {"cpu": 1}
    assert [name for name in "abc" if pool.exceeds_slots(name)] == ["a", "b"]
    pool.assign_slot("b", "cpu", "left")
    assert [name for name in "abc" if pool.exceeds_slots(name)] == ["a", "c"]
