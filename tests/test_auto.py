"""The automatic engine: a search begins in this process, and changes over to Ray Tune where it lasts."""

from __future__ import annotations

import math
import subprocess
import sys
import threading

import pytest
import ray

from searchlab import Budget
from searchlab.engine import auto, local, search_progress
from searchlab.engine.background_ray import BackgroundRay
from searchlab.engine.search_progress import SearchProgress
from searchlab.pruning.halving import Halving
from searchlab.runner.run import _resolved
from searchlab.runs.config import RunConfig
from searchlab.runs.events import EpochFinished, EventBuffer, Message, TrialFinished, TrialStarted
from searchlab.runs.trials import replay_events
from tests.conftest import ROOT
from tests.jobs import make_job
from tests.sweeps import spiral_sweep
from tests.waiting import wait_for


def spiral_job(folder, sweep=None, **changes):
    folder.mkdir(exist_ok=True)
    fields = {"trials": 6, "root": ROOT, **changes}
    return make_job(sweep or spiral_sweep(), "spiral", folder / "study.journal", folder / "checkpoints", **fields)


def facts(records):
    return [(t.number, t.state, t.parameters, t.value, t.curve.scores, t.curve.losses) for t in records]


class Waiting:
    """An event handler that keeps every event, and waits for something when a trial has ended, at first."""

    def __init__(self, condition, trial=2):
        self.events, self._condition, self._trial = [], condition, trial

    def handle(self, event):
        self.events.append(event)
        if isinstance(event, TrialFinished) and event.trial == self._trial:
            wait_for(self._condition)

    def of(self, kind):
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def messages(self):
        return " ".join(event.text for event in self.of(Message))


@pytest.fixture
def starts(monkeypatch):
    """The starts of Ray, each of which is wanted at once."""
    created = []

    class Start(BackgroundRay):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            created.append(self)

    monkeypatch.setattr(auto, "BackgroundRay", Start)
    monkeypatch.setattr(auto, "FIRST_ESTIMATE_SECONDS", 0.0)
    monkeypatch.setattr(auto, "MIN_REMAINING_SECONDS", -math.inf)
    return created


def is_settled(starts):
    return lambda: starts[0].is_ready or starts[0].fault


SHORT_SEARCH = """
import sys
from tests.sweeps import spiral_sweep
result = spiral_sweep(trials=4).run(engine="auto", home=sys.argv[1], tracking=None)
assert len(result.trials) == 4 and result.winner
assert "ray" not in sys.modules
"""


def test_a_short_search_ends_without_ray(tmp_path):
    subprocess.run([sys.executable, "-c", SHORT_SEARCH, str(tmp_path)], cwd=ROOT, check=True)


@pytest.mark.parametrize("changes", [{"fuse": 1}, {"fuse": 3}, {"generation": 4}])
def test_a_short_search_gives_the_trials_of_the_local_engine(tmp_path, changes):
    here = local.search(spiral_job(tmp_path / "local", **changes), EventBuffer()).trials
    found = auto.search(spiral_job(tmp_path / "auto", **changes), EventBuffer())
    assert facts(found.trials) == facts(here)
    assert not found.paused


def test_where_ray_cannot_start_the_search_goes_on_in_this_process(tmp_path, monkeypatch, starts):
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path / ("long" * 30)))
    handler = Waiting(is_settled(starts))
    found = auto.search(spiral_job(tmp_path / "auto", workers=2), handler)
    assert [trial.state for trial in found.trials] == ["COMPLETE"] * 6
    assert handler.messages.count("Ray cannot be used here (RAY_TMPDIR is") == 1


def test_a_ray_that_dies_while_the_study_is_paused_for_it_ends_no_search(tmp_path, monkeypatch):
    handler = Waiting(lambda: True)

    class Dying(BackgroundRay):
        @property
        def is_ready(self):
            """Whether it is ready: when it is asked for the first time after the third trial."""
            is_first = self.fault is None and len(handler.of(TrialFinished)) == 3
            self.fault = "it died" if is_first else self.fault
            return is_first

    monkeypatch.setattr(auto, "BackgroundRay", Dying)
    here = local.search(spiral_job(tmp_path / "local", fuse=1), EventBuffer()).trials
    found = auto.search(spiral_job(tmp_path / "auto", fuse=1), handler)
    assert facts(found.trials) == facts(here)
    assert sorted(event.trial for event in handler.of(TrialFinished)) == list(range(6))
    assert "Ray cannot be used here (it died)" in handler.messages


def test_an_address_means_ray_tune():
    sweep = spiral_sweep()
    assert _resolved(RunConfig(engine="auto", address="auto"), sweep).engine == "tune"
    assert _resolved(RunConfig(engine="local", address="auto"), sweep).address is None
    assert _resolved(RunConfig(engine="auto"), sweep).engine == "auto"


def test_a_connected_process_begins_on_ray(tmp_path, monkeypatch):
    job = spiral_job(tmp_path)
    assert not auto.begins_on_ray(job)
    monkeypatch.setattr(ray, "is_initialized", lambda: True)
    assert auto.begins_on_ray(job)


@pytest.fixture
def clock(monkeypatch):
    """The seconds that a search has taken, in a list of one."""
    seconds = [100.0]
    monkeypatch.setattr(search_progress.time, "monotonic", lambda: seconds[0])
    return seconds


def begin(trial):
    return TrialStarted(trial, {}, 0.0)


def epoch(trial, number):
    return EpochFinished(trial, number, [0.5], [0.5], 0.0)


def end(trial):
    return TrialFinished(trial, "COMPLETE", 0.5, 3, None, 1.0, 0.0)


def test_progress_estimates_the_rest_of_a_search_from_its_trials_and_epochs(tmp_path, clock):
    progress = SearchProgress(spiral_job(tmp_path, spiral_sweep(epochs=4), trials=10), EventBuffer())
    for event in (begin(0), end(0)):  # by an earlier run
        progress.handle(event)
    progress.begin()
    clock[0] += 6.0
    assert progress.remaining_seconds() == math.inf
    for event in (begin(1), end(1), begin(2), epoch(2, 1), epoch(2, 2)):
        progress.handle(event)
    assert progress.remaining_seconds() == pytest.approx(6.0 * 7.5 / 1.5)


def test_progress_knows_the_time_budget(tmp_path, clock):
    progress = SearchProgress(spiral_job(tmp_path, spiral_sweep(budget=Budget(seconds=50))), EventBuffer())
    progress.begin()
    clock[0] += 10.0
    assert progress.remaining_seconds() == pytest.approx(40.0)


def test_progress_passes_every_event_on_once(tmp_path):
    buffer, events = EventBuffer(), [begin(0), epoch(0, 1), epoch(0, 2), begin(1), epoch(1, 1), end(0)]
    progress = SearchProgress(spiral_job(tmp_path), buffer)
    for event in [*events, begin(1), epoch(1, 1), epoch(0, 2), end(0), begin(0), epoch(1, 2)]:
        progress.handle(event)
    assert buffer.drain() == [*events, epoch(1, 2)]


def check_change(starts, handler, trials):
    """Check that Ray has started once, has ended, and that every event came once."""
    assert len(starts) == 1
    assert starts[0].fault is None
    assert all(process.poll() is not None for process in starts[0]._processes)
    assert not ray.is_initialized()
    assert "the search continues on Ray Tune" in handler.messages
    assert sorted(event.trial for event in handler.of(TrialStarted)) == list(range(trials))
    assert sorted(event.trial for event in handler.of(TrialFinished)) == list(range(trials))
    epochs = [(event.trial, event.epoch) for event in handler.of(EpochFinished)]
    assert len(epochs) == len(set(epochs))


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        {"fuse": 3},
        {"generation": 6},
        {"fuse": 1, "sweep": spiral_sweep(pruner=Halving(reduction_factor=2, first_rung=1, min_survivors=1), epochs=8)},
    ],
)
def test_a_search_that_changes_over_gives_the_trials_of_the_local_engine(tmp_path, starts, changes):
    here = local.search(spiral_job(tmp_path / "local", trials=12, **changes), EventBuffer()).trials
    handler = Waiting(is_settled(starts))
    found = auto.search(spiral_job(tmp_path / "auto", trials=12, **changes), handler)
    assert facts(found.trials) == facts(here)
    assert not found.paused
    check_change(starts, handler, 12)
    assert not list((tmp_path / "auto" / "checkpoints").iterdir())


@pytest.mark.slow
def test_two_workers_go_on_with_a_search_and_with_the_one_that_follows(tmp_path, starts):
    def follow_up(found):
        assert len(found.trials) == 20
        return spiral_job(tmp_path / "following", workers=2), EventBuffer()

    handler = Waiting(is_settled(starts), trial=0)
    found = auto.search(spiral_job(tmp_path / "auto", trials=20, workers=2, fuse=2), handler, follow_up)
    assert {trial.state for trial in found.trials} == {"COMPLETE"}
    assert [trial.state for trial in found.follow_up.trials] == ["COMPLETE"] * 6
    check_change(starts, handler, 20)


@pytest.mark.slow
def test_a_search_that_ends_while_ray_starts_leaves_no_process(tmp_path, starts):
    handler = Waiting(lambda: starts[0]._processes, trial=5)
    found = auto.search(spiral_job(tmp_path / "auto", fuse=1), handler)
    assert [trial.state for trial in found.trials] == ["COMPLETE"] * 6
    wait_for(lambda: not starts[0]._thread.is_alive())
    assert all(process.poll() is not None for process in starts[0]._processes)
    assert not ray.is_initialized()


class Interrupting(EventBuffer):
    """An event handler that interrupts the search in its third trial."""

    def handle(self, event):
        super().handle(event)
        if isinstance(event, EpochFinished) and event.trial == 2:
            raise KeyboardInterrupt


@pytest.mark.slow
def test_a_search_that_was_interrupted_waits_for_ray(tmp_path, starts, monkeypatch):
    monkeypatch.setattr(auto, "FIRST_ESTIMATE_SECONDS", math.inf)
    here = local.search(spiral_job(tmp_path / "local", fuse=1), EventBuffer()).trials
    with pytest.raises(KeyboardInterrupt):
        local.search(spiral_job(tmp_path / "auto", fuse=1), Interrupting())
    handler = Waiting(lambda: False, trial=-1)
    found = auto.search(spiral_job(tmp_path / "auto", fuse=1), handler)
    assert facts(found.trials) == facts(here)
    check_change(starts, handler, 6)


@pytest.mark.slow
def test_a_dead_ray_ends_no_search_in_this_process(tmp_path, starts):
    def is_dead():
        if starts[0].is_ready:
            starts[0]._processes[0].kill()
        return starts[0].fault

    handler = Waiting(is_dead)
    found = auto.search(spiral_job(tmp_path / "auto", fuse=1), handler)
    assert [trial.state for trial in found.trials] == ["COMPLETE"] * 6
    assert "died); the search goes on in this process" in handler.messages
    assert not ray.is_initialized()


def test_a_stop_ends_the_wait_for_ray(tmp_path):
    stop = threading.Event()
    stop.set()
    with BackgroundRay(spiral_job(tmp_path), lambda: None) as start:
        start.wait(stop)
    assert not start.is_ready


def test_replayed_trials_are_not_told_again(tmp_path):
    trials, handler = local.search(spiral_job(tmp_path), EventBuffer()).trials, EventBuffer()
    progress = SearchProgress(spiral_job(tmp_path), handler)
    replay_events(trials, progress)
    first = len(handler.drain())
    replay_events(trials, progress)
    assert first == 6 * 5
    assert handler.drain() == []
