"""The desk: what a dead worker had is handed out again, smaller each time, and who is to blame is told in the end."""

from __future__ import annotations

import gc
import threading
import time
from contextlib import suppress
from types import SimpleNamespace

import pytest
import ray
from ray.exceptions import ActorUnavailableError, RayTaskError

from searchlab.cluster.connection import connected
from searchlab.engine import ray_tune
from searchlab.engine import remote_study as remote_file
from searchlab.engine import study_actor as desk_file
from searchlab.engine.crash_retries import MAX_SOLO_CRASHES
from searchlab.engine.payload import payload_for_study
from searchlab.engine.remote_study import RemoteStudy
from searchlab.engine.study_actor import SELDOM, StudyActor
from searchlab.errors import UserMistake
from searchlab.fusion.groups import Group
from searchlab.runs.events import Buffer, NoRecord
from searchlab.runs.job import Job
from searchlab.runs.ray_errors import as_searchlab_error
from searchlab.runs.study_client import Decision, StudyUnreachable
from searchlab.space.samplers import Random
from searchlab.study import study as study_file
from tests.sweeps import spiral_sweep
from tests.test_study import epoch


@pytest.fixture
def desk(tmp_path):
    """A desk of twelve trials in groups of four."""
    sweep = spiral_sweep(trials=12, sampler=Random())
    job = Job(sweep, "s", tmp_path / "j", tmp_path / "c", trials=12, fuse=4)
    opened = StudyActor(payload_for_study(job))
    opened.open()
    yield opened
    opened.close()


def report(desk, group, number):
    return desk.reports([(group.trials, epoch(number, [0.5] * 2 * len(group.trials)))])


def states(desk):
    return [record.state for record in desk.records()]


def test_what_a_worker_died_with_is_tried_whole_then_smaller_then_each_trial_alone(desk):
    assert desk.take("a").most is None
    most = [desk.take("a").most for _ in range(3)]
    assert most == [4, 2, 1]
    assert states(desk) == ["RUNNING"] * 4, "so far it is nobody's fault"


def test_the_trial_that_was_alone_when_its_worker_died_again_is_given_up_and_the_others_go_on(desk):
    desk.take("a")
    for _ in range(3):
        desk.take("a")
    desk.weigh((0, 1, 2, 3), 30 * 10**9, 8 * 10**9)
    left = desk.take("a")
    assert (left.trials, left.most) == ((1, 2, 3), 1)
    record = desk.records()[0]
    assert record.state == "FAIL"
    assert record.reason.startswith("infeasible: ")
    assert "30 GB" in record.reason
    assert "8 GB" in record.reason
    desk.finish((1,), epoch(1, [0.5, 0.5]))
    assert states(desk) == ["FAIL", "COMPLETE", "RUNNING", "RUNNING"]
    assert desk.take("a").trials == (3,), "alone from the first, and one death is enough"


def test_whoever_finishes_an_epoch_starts_from_the_beginning(desk):
    """A worker that is killed from outside, time after time, costs no trial."""
    group = desk.take("a")
    for number in range(1, 30):
        assert report(desk, group, number).stay == (0, 1, 2, 3)
        group = desk.take("a")
        assert group.trials == (0, 1, 2, 3)
        assert group.most == 4
    assert states(desk) == ["RUNNING"] * 4


def test_a_trial_alone_is_forgiven_before_it_is_given_up(tmp_path):
    job = Job(spiral_sweep(trials=1), "s", tmp_path / "j", tmp_path / "c", trials=1, fuse=1)
    desk = StudyActor(payload_for_study(job))
    desk.open()
    group = desk.take("a")
    for _ in range(MAX_SOLO_CRASHES):
        again = desk.take("a")
        assert again.trials == group.trials
    assert desk.take("a") is None
    assert states(desk) == ["FAIL"]
    desk.close()


def test_when_all_of_a_group_has_ended_the_next_one_comes(desk):
    first = desk.take("a")
    desk.finish(first.trials, epoch(1, [0.5] * 8))
    second = desk.take("a")
    assert second.trials == (4, 5, 6, 7)
    assert second.most is None
    assert desk.take("b").trials == (8, 9, 10, 11)
    assert desk.take("c") is None


def test_survivors_that_were_put_back_are_not_handed_to_who_had_them_before(desk):
    first = desk.take("a")
    report(desk, first, 1)
    left = first.of([1])
    desk.fail((0, 2, 3), "stopped")
    assert desk.take_back(left, 1)
    following = desk.take("a")
    assert following.trials == (4, 5, 6, 7), "and nobody has died"
    assert following.most is None


def test_a_group_that_grew_is_taken_up_with_its_followers(tmp_path):
    sweep = spiral_sweep(trials=200, sampler=Random())
    job = Job(sweep, "s", tmp_path / "j", tmp_path / "c", trials=200)
    desk = StudyActor(payload_for_study(job))
    desk.open()
    leader = desk.take("a")
    assert isinstance(leader, Group)
    assert leader.room > 0
    assert desk.grow(leader, 3).trials == (0, 1, 2)
    again = desk.take("a")
    assert (again.trials, again.room) == ((0, 1, 2), 0)
    desk.close()


def test_paused_nothing_is_handed_out_and_every_answer_says_so(desk):
    group = desk.take("a")
    desk.pause("stopping")
    assert desk.opening("b") == "never"
    verdict = report(desk, group, 1)
    assert (verdict.stay, verdict.pause) == ((0, 1, 2, 3), True)
    assert desk.take("b") is None
    assert [arguments["text"] for method, arguments in desk.drain() if method == "note"] == ["stopping"]
    assert states(desk) == ["RUNNING"] * 4


def test_epochs_from_before_a_kill_are_taken_in_by_one_call_and_stop_nobody(desk):
    group = desk.take("a")
    desk.recall([(group.trials, epoch(number, [0.1 * number] * 8)) for number in (1, 2, 3)])
    assert [len(record.curve.scores) for record in desk.records()] == [3] * 4
    assert states(desk) == ["RUNNING"] * 4
    desk.recall([(group.trials[:2], epoch(3, [0.9] * 4)), (group.trials[:2], epoch(4, [0.4] * 4))])
    assert [len(record.curve.scores) for record in desk.records()] == [4, 4, 3, 3], (
        "what is known is not taken in again"
    )


def test_once_the_study_is_opened_the_collector_passes_over_it(tmp_path, monkeypatch):
    done = []
    collector = SimpleNamespace(
        collect=lambda: done.append("collect"),
        freeze=lambda: done.append("freeze"),
        get_threshold=lambda: (700, 10, 10),
        set_threshold=lambda *given: done.append(given),
    )
    opened = study_file.Study
    monkeypatch.setattr(study_file, "Study", lambda *given: done.append("open") or opened(*given))
    monkeypatch.setattr(desk_file, "gc", collector)
    job = Job(spiral_sweep(), "s", tmp_path / "j", tmp_path / "c", trials=6)
    desk = StudyActor(payload_for_study(job))
    desk.open()
    desk.close()
    assert done == ["open"], "in a process that is not the desk's alone, the collector is left as it is"
    monkeypatch.setattr(desk_file, "_in_actor", lambda: True)
    desk = StudyActor(payload_for_study(job))
    desk.open()
    desk.close()
    assert done[1:] == ["open", "collect", "freeze", (700, 10, SELDOM)]


@pytest.mark.slow
def test_an_actor_knows_that_its_process_is_its_own(tmp_path):
    class Asked(StudyActor):
        def collector(self):
            return gc.get_threshold()[2], gc.get_freeze_count()

    job = Job(spiral_sweep(), "s", tmp_path / "j", tmp_path / "c", trials=6, workers=1)
    with connected(job):
        actor = ray.remote(concurrency_groups={"news": 1})(Asked).options(num_cpus=0).remote(payload_for_study(job))
        ray.get(actor.open.remote())
        threshold, frozen = ray.get(actor.collector.remote())
        assert not desk_file._in_actor()
    assert threshold == SELDOM
    assert frozen > 10_000, "Optuna's modules are there by then"


@pytest.mark.slow
def test_while_it_opens_its_news_are_heard_and_a_mistake_that_it_meets_is_one_here(tmp_path):
    class Refused(StudyActor):
        def open(self):
            self._buffer.note("another process has it")
            time.sleep(1.0)
            self._buffer.note("and keeps it")
            raise UserMistake("'mine' is being run by another process.")

    job = Job(spiral_sweep(), "mine", tmp_path / "j", tmp_path / "c", trials=6, workers=1)
    heard, stop = Buffer(), threading.Event()
    with connected(job):
        actor = ray.remote(concurrency_groups={"news": 1})(Refused)
        with pytest.raises(UserMistake) as refused:
            ray_tune._open(actor.options(num_cpus=0).remote(payload_for_study(job)), heard, stop)
        stop.set()
        with pytest.raises(KeyboardInterrupt):
            ray_tune._open(actor.options(num_cpus=0).remote(payload_for_study(job)), NoRecord(), stop)
    error = as_searchlab_error("mine", refused.value)
    assert (type(error), str(error)) == (UserMistake, "'mine' is being run by another process.")
    assert [arguments["text"] for _, arguments in heard.drain()] == ["another process has it", "and keeps it"]


class Wire:
    """A desk as Ray hands it to a worker: what is called is written down, and the answer comes back at once."""

    def __init__(self):
        self.calls = []

    def __getattr__(self, method):
        def remote(*given):
            self.calls.append((method, given))
            return Decision((7,)) if method == "reports" else True

        return SimpleNamespace(remote=remote)

    def epochs(self):
        return [[report.epoch for _, report in given[0]] for method, given in self.calls if method == "reports"]


@pytest.fixture
def wired(monkeypatch):
    """A worker's view of the study, what goes over the wire, and a clock to be set."""
    clock = [100.0]
    monkeypatch.setattr(remote_file, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    monkeypatch.setattr(remote_file.ray, "get", lambda answer: answer)
    return RemoteStudy(wire := Wire()), wire, clock


def test_epochs_that_take_no_time_are_told_together(wired):
    remote, wire, clock = wired
    answers = []
    for number in range(1, 7):
        clock[0] += 0.4 * remote_file.OFTEN
        answers.append(remote.report((3,), epoch(number, [0.5] * 2), at_once=False))
    assert wire.epochs() == [[1], [2, 3, 4]]
    assert [answer().stay for answer in answers] == [(7,), (3,), (3,), (7,), (3,), (3,)], "who is not asked about stays"


def test_where_it_matters_an_epoch_is_told_at_once_with_those_before_it(wired):
    remote, wire, _ = wired
    for number in (1, 2, 3):
        remote.report((3,), epoch(number, [0.5] * 2), at_once=False)
    assert remote.report((3,), epoch(4, [0.5] * 2), at_once=True)().stay == (7,)
    assert wire.epochs() == [[1], [2, 3, 4]]


@pytest.mark.parametrize(
    ("method", "given"),
    [
        ("finish", ((3,), epoch(9, [0.5] * 2))),
        ("fail", ((3,), "why")),
        ("take_back", (None, 3)),
        ("running", ((3,),)),
        ("recall", ([((3,), epoch(8, [0.5] * 2))],)),
    ],
)
def test_nothing_overtakes_an_epoch_that_is_not_told_yet(wired, method, given):
    remote, wire, _ = wired
    remote.report((3,), epoch(1, [0.5] * 2), at_once=True)
    remote.report((3,), epoch(2, [0.5] * 2), at_once=False)
    with suppress(TypeError):  # `running` makes a list of its answer
        getattr(remote, method)(*given)
    assert wire.epochs() == [[1], [2]]
    assert wire.calls[-1][0] == method


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (ActorUnavailableError("the network is cut", None), StudyUnreachable),
        (RayTaskError("reports", "its traceback", ValueError("wrong")), RayTaskError),
    ],
)
def test_a_cut_way_to_the_study_is_told_from_what_the_study_says(monkeypatch, error, raised):
    def get(answer, **_):
        raise error

    monkeypatch.setattr(remote_file.ray, "get", get)
    remote = RemoteStudy(SimpleNamespace(finish=SimpleNamespace(remote=lambda *_: None)))
    with pytest.raises(raised):
        remote.finish((0,), None)
