"""What Ray Tune is kept from."""

from __future__ import annotations

from types import SimpleNamespace

from ray.tune.execution import class_cache

from searchlab.engine.ray_tune import _keys_stay
from searchlab.engine.tune_worker import WorkerSearcher


def passed_on():
    return {name for name in class_cache.ENV_VARS_TO_PROPAGATE if "SECRET" in name or "KEY" in name}


def test_the_keys_of_a_store_are_not_handed_to_processes_whose_environment_is_logged():
    before = passed_on()
    assert before >= {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}, "Tune does it in another way by now"
    with _keys_stay():
        assert passed_on() == set()
        assert class_cache.ENV_VARS_TO_PROPAGATE
    assert passed_on() == before


def test_they_are_not_where_tune_runs_in_a_process_of_the_cluster(monkeypatch):
    """Through Ray's client the searcher is all that gets there of ours."""
    monkeypatch.setattr(class_cache, "ENV_VARS_TO_PROPAGATE", class_cache.ENV_VARS_TO_PROPAGATE)
    monkeypatch.setattr("searchlab.engine.tune_worker.ray.get", lambda answer: "later")
    assert passed_on()
    assert WorkerSearcher(SimpleNamespace(opening=SimpleNamespace(remote=lambda trial: None))).suggest("a") is None
    assert passed_on() == set()
