"""Ray Tune as its users know it: named workers, a result for each group, callbacks, and a folder of results."""

from __future__ import annotations

import json
import os
import threading
from dataclasses import replace
from types import SimpleNamespace

import pytest
import ray
from ray import tune
from ray.tune.execution import class_cache
from ray.tune.logger import JsonLoggerCallback

from searchlab import Sweep
from searchlab.engine import auto, ray_tune
from searchlab.engine.payload import payload_for_study, payload_for_workers
from searchlab.engine.tune_hooks import UserCallback, WorkerSearcher
from searchlab.engine.tune_worker import named_worker_class
from searchlab.engine.tuner import CHECKPOINT_PERIOD, _tune_settings, search_name, worker_name
from searchlab.errors import UserMistake
from searchlab.runs.config import RunConfig
from searchlab.runs.events import EventBuffer, Message, TrialFinished
from searchlab.runs.sweep_code import hash_code
from searchlab.space.callbacks import is_tune_callback
from tests.conftest import ROOT
from tests.jobs import make_job, run
from tests.sweeps import spiral_sweep


def propagated_keys():
    return {name for name in class_cache.ENV_VARS_TO_PROPAGATE if "SECRET" in name or "KEY" in name}


def answering(**methods):
    """A handle of an actor whose methods do this."""
    return SimpleNamespace(**{name: SimpleNamespace(remote=method) for name, method in methods.items()})


def test_keys_are_withheld_from_processes_whose_environment_is_logged():
    before = propagated_keys()
    assert before >= {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}, "Tune propagates them in another way now"
    with _tune_settings():
        assert propagated_keys() == set()
        assert class_cache.ENV_VARS_TO_PROPAGATE
    assert propagated_keys() == before


def test_the_searcher_withholds_them_where_tune_runs_in_a_process_of_the_cluster(monkeypatch):
    """Through Ray's client, the searcher is the only object of searchlab in that process."""
    monkeypatch.setattr(class_cache, "ENV_VARS_TO_PROPAGATE", class_cache.ENV_VARS_TO_PROPAGATE)
    monkeypatch.setattr("searchlab.engine.tune_hooks.ray.get", lambda device: "later")
    assert propagated_keys()
    assert WorkerSearcher(answering(start_worker=lambda worker: None)).suggest("a") is None
    assert propagated_keys() == set()


def test_files_of_callbacks_are_copied_during_the_search(monkeypatch):
    """Tune collects them in a temporary folder; without callbacks nothing but its own state is there."""
    monkeypatch.delenv(CHECKPOINT_PERIOD, raising=False)
    for has_callbacks, period in ((True, "auto"), (False, "3600")):
        with _tune_settings(has_callbacks=has_callbacks):
            assert os.environ[CHECKPOINT_PERIOD] == period
    assert CHECKPOINT_PERIOD not in os.environ


def test_workers_are_named_after_sweep_and_worker(tmp_path, monkeypatch):
    monkeypatch.setattr("searchlab.engine.tune_hooks.ray.get", lambda device: device)
    monkeypatch.setattr(class_cache, "ENV_VARS_TO_PROPAGATE", class_cache.ENV_VARS_TO_PROPAGATE)
    answers = iter(["cpu", "later", "cuda", "never"])
    searcher = WorkerSearcher(answering(start_worker=lambda worker: next(answers)))
    found = [searcher.suggest(name) for name in "abcd"]
    assert found == [{"worker": 1, "device": "cpu"}, None, {"worker": 2, "device": "cuda"}, "FINISHED"]
    job = make_job(spiral_sweep(), "spiral", tmp_path / "study.journal", tmp_path, trials=6)
    assert worker_name(search_name(job), SimpleNamespace(config=found[2])) == "spiral-worker-2"
    other = make_job(spiral_sweep(), "spiral", tmp_path / "study.journal", tmp_path, trials=6, study="finalists-1-2")
    assert search_name(other) == "spiral-finalists-1-2"


class Failing(tune.Callback):
    """A callback that cannot be pickled, notes its calls, and fails in each."""

    def __init__(self):
        self.calls, self.lock = [], threading.Lock()

    def on_trial_result(self, iteration, trials, trial, result, **info):
        self.calls.append((str(trial), result))
        raise KeyError("no such key")


def test_a_failing_callback_is_called_again_and_reported_to_the_study():
    notices, callback = [], Failing()
    shown = UserCallback(callback, answering(notify=lambda *notice: notices.append(notice)))
    for iteration in range(2):
        shown.on_trial_result(iteration=iteration, trials=[], trial="a", result={})
    shown.on_experiment_end(trials=[])
    assert callback.calls == [("a", {})] * 2
    assert len({topic for topic, _ in notices}) == 1, "the study notifies once of each topic"
    failure = "the callback Failing failed in on_trial_result: KeyError: 'no such key' (tests/test_tune.py"
    assert failure in notices[0][1]


def test_a_callback_stays_in_the_process_that_calls_it(tmp_path):
    assert UserCallback(Failing(), None).__getstate__()["_callback"] is None
    job = make_job(spiral_sweep(callbacks=[Failing()]), "spiral", tmp_path / "j", tmp_path / "c", trials=6)
    for payload in (payload_for_study(job), payload_for_workers(job)):
        assert payload.open().sweep.callbacks == ()


def test_a_search_with_callbacks_or_the_dashboard_begins_on_ray(tmp_path):
    place = ("spiral", tmp_path / "j", tmp_path / "c", 6)
    assert not auto.begins_on_ray(make_job(spiral_sweep(), *place))
    assert auto.begins_on_ray(make_job(spiral_sweep(callbacks=[Failing()]), *place))
    assert auto.begins_on_ray(make_job(spiral_sweep(), *place, ray_dashboard=True))


def test_callbacks_are_no_part_of_what_is_searched():
    plain = spiral_sweep()
    watched = replace(plain, callbacks=[Failing()])
    assert plain == watched
    assert plain.fingerprint() == watched.fingerprint()
    assert hash_code(plain, None) == hash_code(watched, None), "a sweep is resumed with other callbacks"


def test_a_callback_of_tune_is_told_by_its_class():
    assert is_tune_callback(Failing())
    assert is_tune_callback(JsonLoggerCallback())
    assert not is_tune_callback(Failing)
    assert not is_tune_callback(Sweep)


@pytest.mark.parametrize(
    ("callbacks", "text"),
    [
        ([Failing], "takes objects of subclasses of ray.tune.Callback"),
        ([print], "takes objects of subclasses of ray.tune.Callback"),
        (Failing(), "takes a list of callbacks"),
    ],
)
def test_what_is_no_callback_is_refused(callbacks, text):
    with pytest.raises(UserMistake, match=text):
        spiral_sweep(callbacks=callbacks)


def test_callbacks_and_the_dashboard_need_ray(tmp_path):
    with pytest.raises(UserMistake, match="Ray Tune calls callbacks, and engine='local' does not use it"):
        run(spiral_sweep(callbacks=[Failing()]), engine="local", home=tmp_path)
    with pytest.raises(UserMistake, match="engine='local' uses none"):
        RunConfig(engine="local", ray_dashboard=True)
    with pytest.raises(UserMistake, match="a cluster has a dashboard of its own"):
        run(spiral_sweep(), address="auto", ray_dashboard=True, home=tmp_path)


class Titles(Failing):
    """A callback that also notes the classes of the actors that live."""

    def on_trial_result(self, iteration, trials, trial, result, **info):
        self.actors = {actor["ActorClassName"] for actor in ray._private.state.actors().values()}
        super().on_trial_result(iteration, trials, trial, result, **info)


@pytest.mark.slow
def test_a_search_shows_in_ray_and_in_its_folder_what_trains_where(tmp_path):
    """One callback fails at each result, and no trial is lost."""
    titles, folder, handler = Titles(), tmp_path / "tune", EventBuffer()
    sweep = spiral_sweep(callbacks=[titles, JsonLoggerCallback()])
    place = ("spiral", tmp_path / "study.journal", tmp_path / "checkpoints")
    job = make_job(sweep, *place, 6, fuse=2, root=ROOT, tune_folder=folder)
    trials = ray_tune.search(job, handler).trials
    assert [trial.state for trial in trials] == ["COMPLETE"] * 6

    events = handler.drain()
    assert len([event for event in events if isinstance(event, TrialFinished)]) == 6
    assert len([event for event in events if isinstance(event, Message) and "Titles failed" in event.text]) == 1
    assert titles.actors == {"spiral-worker", "spiral-study"}
    assert {name for name, _ in titles.calls} == {"spiral-worker-1"}

    (path,) = folder.glob("spiral_*/spiral-worker-1/result.json")
    results = [json.loads(line) for line in path.read_text().splitlines()]
    assert [result["trials"] for result in results] == [result["trials"] for _, result in titles.calls]
    numbers = [int(number) for result in results for number in result["trials"].split(", ")]
    assert sorted(numbers) == list(range(6)), "each group is one result"
    for iteration, result in enumerate(results, start=1):
        best = trials[result["best_trial"]]
        assert result["best_accuracy"] == pytest.approx(best.value)
        assert result["params/model.hidden"] == best.parameters["model.hidden"]
        assert (result["training_iteration"], result["epochs"]) == (iteration, 3)


def test_a_class_of_workers_has_its_resources():
    kind = named_worker_class("spiral-worker", spiral_sweep().resources)
    assert kind.__name__ == "spiral-worker"
    assert kind.default_resource_request({"device": "cpu"}).required_resources == {"CPU": 1.0}
