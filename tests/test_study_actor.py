"""The study actor and its client: groups are retried after crashes, and calls and errors cross the process boundary."""

from __future__ import annotations

import gc
import threading
import time
from dataclasses import replace
from types import SimpleNamespace

import pytest
import ray
from ray.exceptions import ActorUnavailableError, RayTaskError

from searchlab.cluster.connection import connected
from searchlab.engine import garbage_collection, ray_tune, study_actor
from searchlab.engine import remote_study as remote_study_module
from searchlab.engine.crash_retries import MAX_SOLO_CRASHES
from searchlab.engine.garbage_collection import FULL_COLLECTION_THRESHOLD
from searchlab.engine.payload import payload_for_study
from searchlab.engine.remote_study import REPORT_INTERVAL, RemoteStudy
from searchlab.engine.study_actor import StudyActor
from searchlab.errors import UserMistake
from searchlab.fusion.groups import Group
from searchlab.runs.events import EventBuffer, Message, NullHandler
from searchlab.runs.ray_errors import as_searchlab_error
from searchlab.runs.study_client import Decision, StudyUnreachable
from searchlab.study import study as study_module
from tests.jobs import make_job
from tests.study_actors import finish, messages, open_actor, report_epoch, spiral_payload, states
from tests.sweeps import spiral_sweep
from tests.test_study import epoch


@pytest.fixture
def actor(tmp_path):
    """A study actor of twelve trials in groups of four."""
    opened = open_actor(tmp_path, fuse=4)
    yield opened
    opened.close()


def test_a_group_whose_worker_crashes_is_retried_whole_then_in_halves_then_alone(actor):
    assert actor.next_group("a").max_side_by_side is None
    sizes = [actor.next_group("a").max_side_by_side for _ in range(3)]
    assert sizes == [4, 2, 1]
    assert states(actor) == ["RUNNING"] * 4, "no trial is known to be the cause yet"
    assert len(messages(actor)) == 3


def test_a_trial_that_crashes_its_worker_alone_fails_and_the_others_continue(actor):
    actor.next_group("a")
    for _ in range(3):
        actor.next_group("a")
    actor.report_memory((0, 1, 2, 3), 30 * 10**9, 8 * 10**9)
    rest = actor.next_group("a")
    assert (rest.trials, rest.max_side_by_side) == ((1, 2, 3), 1)
    record = actor.records()[0]
    assert record.state == "FAIL"
    assert record.reason.startswith("infeasible: ")
    assert "30 GB" in record.reason
    assert "8 GB" in record.reason
    actor.finish((1,), epoch(1, [0.5, 0.5]))
    assert states(actor) == ["FAIL", "COMPLETE", "RUNNING", "RUNNING"]
    assert actor.next_group("a").trials == (3,), "it trains alone from the start, so one more crash is enough"


def test_a_finished_epoch_resets_the_count_of_crashes(actor):
    """A worker that is killed from outside, time after time, costs no trial."""
    group = actor.next_group("a")
    for number in range(1, 30):
        assert report_epoch(actor, group, number).trials == (0, 1, 2, 3)
        group = actor.next_group("a")
        assert group.trials == (0, 1, 2, 3)
        assert group.max_side_by_side == 4
    assert states(actor) == ["RUNNING"] * 4


def test_a_trial_alone_survives_some_crashes(tmp_path):
    actor = open_actor(tmp_path, trials=1, fuse=1)
    group = actor.next_group("a")
    for _ in range(MAX_SOLO_CRASHES):
        assert actor.next_group("a").trials == group.trials
    assert actor.next_group("a") is None
    assert states(actor) == ["FAIL"]
    actor.close()


def test_the_next_group_comes_when_all_trials_of_a_group_have_ended(actor):
    finish(actor, actor.next_group("a"))
    second = actor.next_group("a")
    assert second.trials == (4, 5, 6, 7)
    assert second.max_side_by_side is None
    assert actor.next_group("b").trials == (8, 9, 10, 11)
    assert actor.next_group("c") is None


def test_survivors_that_were_returned_do_not_count_as_a_crash(actor):
    first = actor.next_group("a")
    report_epoch(actor, first, 1)
    survivors = first.subset([1])
    actor.fail((0, 2, 3), "stopped")
    assert actor.return_survivors(survivors, 1)
    following = actor.next_group("a")
    assert following.trials == (4, 5, 6, 7)
    assert following.max_side_by_side is None


def test_trials_that_end_while_their_group_waits_are_not_handed_out(actor):
    """A process that counts as dead reports from behind a cut network."""
    lost = actor.next_group("a", "a1")
    actor.worker_lost("a")
    finish(actor, lost.subset([0, 2]))
    assert actor.next_group("b").trials == (1, 3)


def test_survivors_that_end_while_they_wait_are_not_handed_out(actor):
    group = actor.next_group("a")
    actor.fail((2, 3), "stopped")
    report_epoch(actor, group.subset([0, 1]), 1)
    assert actor.return_survivors(group.subset([0, 1]), 1)
    finish(actor, group.subset([0]), 2)
    assert actor.next_group("a").trials == (1,)


def test_a_group_with_followers_is_retried_with_them(tmp_path):
    actor = open_actor(tmp_path, trials=200)
    leader = actor.next_group("a")
    assert isinstance(leader, Group)
    assert leader.max_followers > 0
    assert actor.grow(leader, 3).trials == (0, 1, 2)
    retried = actor.next_group("a")
    assert (retried.trials, retried.max_followers) == ((0, 1, 2), 0)
    actor.close()


def test_a_group_grows_once_and_only_while_it_has_a_worker(tmp_path):
    """Its first process, which counts as dead, may grow it before the next one does, or while no worker has it."""
    actor = open_actor(tmp_path, trials=200)
    leader = actor.next_group("a", "process 1")
    actor.worker_lost("a")
    assert actor.grow(leader, 3).trials == leader.trials, "no worker would train trials that joined now"
    assert states(actor) == ["RUNNING"]
    assert actor.next_group("a", "process 2").trials == leader.trials
    grown = actor.grow(leader, 3)
    assert actor.grow(leader, 3) == grown
    assert (grown.trials, states(actor)) == ((0, 1, 2), ["RUNNING"] * 3)
    actor.close()


def test_a_paused_study_gives_out_no_group_and_pauses_every_worker(actor):
    group = actor.next_group("a")
    actor.pause("stopping")
    assert actor.start_worker("b") == "never"
    assert report_epoch(actor, group, 1) == Decision((0, 1, 2, 3), pause=True)
    assert actor.next_group("b") is None
    assert messages(actor) == ["stopping"]
    assert states(actor) == ["RUNNING"] * 4


def test_a_worker_that_ends_for_the_fault_of_a_stopped_search_has_not_crashed(actor):
    actor.next_group("a")
    actor.next_group("b")
    actor.stop("the disk is full")
    actor.worker_ended("a")
    assert actor.next_group("b") is None
    assert messages(actor) == [], "no process has died, and nothing will be retried"
    assert states(actor) == ["RUNNING"] * 8
    assert actor.stop_reason() == "the disk is full"


def test_restored_reports_are_added_in_one_call_and_stop_no_trial(actor):
    group = actor.next_group("a")
    actor.restore_reports([(group.trials, epoch(number, [0.1 * number] * 8)) for number in (1, 2, 3)])
    assert [len(record.curve.scores) for record in actor.records()] == [3] * 4
    assert states(actor) == ["RUNNING"] * 4
    actor.restore_reports([(group.trials[:2], epoch(3, [0.9] * 4)), (group.trials[:2], epoch(4, [0.4] * 4))])
    lengths = [len(record.curve.scores) for record in actor.records()]
    assert lengths == [4, 4, 3, 3], "an epoch that is known is not added again"


def test_the_garbage_collector_is_tuned_in_the_actors_own_process_only(tmp_path, monkeypatch):
    calls = []
    collector = SimpleNamespace(
        collect=lambda: calls.append("collect"),
        freeze=lambda: calls.append("freeze"),
        get_threshold=lambda: (700, 10, 10),
        set_threshold=lambda *thresholds: calls.append(thresholds),
    )
    study = study_module.Study
    monkeypatch.setattr(study_module, "Study", lambda *arguments: calls.append("open") or study(*arguments))
    monkeypatch.setattr(garbage_collection, "gc", collector)
    open_actor(tmp_path).close()
    assert calls == ["open"], "in another process, the collector stays as it is"
    monkeypatch.setattr(study_actor, "_is_actor_process", lambda: True)
    open_actor(tmp_path).close()
    assert calls[1:] == ["open", "collect", "freeze", (700, 10, FULL_COLLECTION_THRESHOLD)]


def start_actor(kind, job):
    remote = ray.remote(concurrency_groups={"events": 1})(kind)
    return remote.options(num_cpus=0).remote(payload_for_study(job))


@pytest.mark.slow
def test_a_ray_actor_tunes_its_garbage_collector(tmp_path):
    class InspectedActor(StudyActor):
        def collector(self):
            return gc.get_threshold()[2], gc.get_freeze_count()

    job = make_job(spiral_sweep(), "s", tmp_path / "j", tmp_path / "c", trials=6, workers=1)
    with connected(job):
        actor = start_actor(InspectedActor, job)
        ray.get(actor.open.remote())
        threshold, frozen = ray.get(actor.collector.remote())
        assert not study_actor._is_actor_process()
    assert threshold == FULL_COLLECTION_THRESHOLD
    assert frozen > 10_000, "Optuna's modules are loaded by then"


@pytest.mark.slow
def test_events_and_a_mistake_arrive_while_the_study_opens(tmp_path):
    class FailingActor(StudyActor):
        def open(self):
            self._events.handle(Message("another process has it"))
            time.sleep(1.0)
            self._events.handle(Message("and keeps it"))
            raise UserMistake("'mine' is being run by another process.")

    job = make_job(spiral_sweep(), "mine", tmp_path / "j", tmp_path / "c", trials=6, workers=1)
    events, stop = EventBuffer(), threading.Event()
    with connected(job):
        with pytest.raises(UserMistake) as caught:
            ray_tune._open_study(start_actor(FailingActor, job), events, stop)
        stop.set()
        with pytest.raises(KeyboardInterrupt):
            ray_tune._open_study(start_actor(FailingActor, job), NullHandler(), stop)
    error = as_searchlab_error("mine", caught.value)
    assert (type(error), str(error)) == (UserMistake, "'mine' is being run by another process.")
    assert events.drain() == [Message("another process has it"), Message("and keeps it")]


class FakeActorHandle:
    """An actor's handle that records the calls, and whose results are ready at once."""

    def __init__(self):
        self.calls = []

    def __getattr__(self, method):
        def remote(*arguments):
            self.calls.append((method, arguments))
            return Decision((7,)) if method == "report_epochs" else [3]

        return SimpleNamespace(remote=remote)

    def epochs(self):
        """The epochs of each call that sent reports."""
        reports = [arguments[0] for method, arguments in self.calls if method == "report_epochs"]
        return [[report.epoch for _, report in call] for call in reports]


@pytest.fixture
def remote(monkeypatch):
    """A client of the study, the handle that it calls, and a clock to set."""
    clock = [100.0]
    monkeypatch.setattr(remote_study_module, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    monkeypatch.setattr(remote_study_module.ray, "get", lambda result: result)
    handle = FakeActorHandle()
    return RemoteStudy(handle), handle, clock


def test_the_reports_of_short_epochs_are_sent_together(remote):
    study, handle, clock = remote
    decisions = []
    for number in range(1, 7):
        clock[0] += 0.4 * REPORT_INTERVAL
        decisions.append(study.report((3,), epoch(number, [0.5] * 2), urgent=False))
    assert handle.epochs() == [[1], [2, 3, 4]]
    trials = [decision().trials for decision in decisions]
    assert trials == [(7,), (3,), (3,), (7,), (3,), (3,)], "after a report that is not sent yet, all trials continue"


def test_an_urgent_report_is_sent_at_once_with_those_before_it(remote):
    study, handle, _ = remote
    for number in (1, 2, 3):
        study.report((3,), epoch(number, [0.5] * 2), urgent=False)
    assert study.report((3,), epoch(4, [0.5] * 2), urgent=True)().trials == (7,)
    assert handle.epochs() == [[1], [2, 3, 4]]


@pytest.mark.parametrize(
    ("method", "arguments"),
    [
        ("finish", ((3,), epoch(9, [0.5] * 2))),
        ("fail", ((3,), "why")),
        ("return_survivors", (None, 3)),
        ("running", ((3,),)),
        ("restore_reports", ([((3,), epoch(8, [0.5] * 2))],)),
    ],
)
def test_no_call_overtakes_an_unsent_report(remote, method, arguments):
    study, handle, _ = remote
    study.report((3,), epoch(1, [0.5] * 2), urgent=True)
    study.report((3,), epoch(2, [0.5] * 2), urgent=False)
    getattr(study, method)(*arguments)
    assert handle.epochs() == [[1], [2]]
    assert handle.calls[-1][0] == method


class CutHandle(FakeActorHandle):
    """A handle of which the report of one epoch is lost."""

    def __init__(self, lost_epoch):
        super().__init__()
        self.lost_epoch = lost_epoch

    def __getattr__(self, method):
        call = super().__getattr__(method).remote

        def remote(*arguments):
            result = call(*arguments)
            return None if method == "report_epochs" and arguments[0][-1][1].epoch == self.lost_epoch else result

        return SimpleNamespace(remote=remote)


@pytest.mark.parametrize("urgent", [False, True])
def test_a_report_that_was_lost_is_noticed_by_the_next_call(monkeypatch, urgent):
    """Else the trial would be complete with a gap in its curve."""

    def get(result):
        if result is None:
            raise ActorUnavailableError("the network is cut", None)
        return result

    monkeypatch.setattr(remote_study_module.ray, "get", get)
    monkeypatch.setattr(remote_study_module, "REPORT_INTERVAL", 0.0)
    study = RemoteStudy(handle := CutHandle(lost_epoch=2))
    for number in (1, 2):
        study.report((3,), epoch(number, [0.5] * 2), urgent=False)
    with pytest.raises(StudyUnreachable):
        study.report((3,), epoch(3, [0.5] * 2), urgent=True)() if urgent else study.finish((3,), epoch(3, [0.5] * 2))
    assert "finish" not in [method for method, _ in handle.calls]


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (ActorUnavailableError("the network is cut", None), StudyUnreachable),
        (RayTaskError("report_epochs", "its traceback", ValueError("wrong")), RayTaskError),
    ],
)
def test_a_cut_connection_differs_from_an_exception_in_the_study(monkeypatch, error, raised):
    def get(result, **_):
        raise error

    monkeypatch.setattr(remote_study_module.ray, "get", get)
    study = RemoteStudy(SimpleNamespace(finish=SimpleNamespace(remote=lambda *_: None)))
    with pytest.raises(raised):
        study.finish((0,), None)


def test_shipped_rows_replace_the_data_of_a_job(tmp_path, monkeypatch):
    rows = spiral_sweep().data.training()
    monkeypatch.setattr("searchlab.engine.payload.ray.get", lambda reference: reference)
    job = replace(spiral_payload(tmp_path), rows=rows).open()
    assert job.rows.load() is rows
