"""Ray Tune passes no keys of an object store on to the processes that it starts."""

from __future__ import annotations

from types import SimpleNamespace

from ray.tune.execution import class_cache

from searchlab.engine.ray_tune import _store_keys_withheld
from searchlab.engine.tune_worker import WorkerSearcher


def propagated_keys():
    return {name for name in class_cache.ENV_VARS_TO_PROPAGATE if "SECRET" in name or "KEY" in name}


def test_keys_are_withheld_from_processes_whose_environment_is_logged():
    before = propagated_keys()
    assert before >= {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}, "Tune propagates them in another way now"
    with _store_keys_withheld():
        assert propagated_keys() == set()
        assert class_cache.ENV_VARS_TO_PROPAGATE
    assert propagated_keys() == before


def test_the_searcher_withholds_them_where_tune_runs_in_a_process_of_the_cluster(monkeypatch):
    """Through Ray's client, the searcher is the only object of searchlab in that process."""
    monkeypatch.setattr(class_cache, "ENV_VARS_TO_PROPAGATE", class_cache.ENV_VARS_TO_PROPAGATE)
    monkeypatch.setattr("searchlab.engine.tune_worker.ray.get", lambda device: "later")
    assert propagated_keys()
    actor = SimpleNamespace(start_worker=SimpleNamespace(remote=lambda worker: None))
    assert WorkerSearcher(actor).suggest("a") is None
    assert propagated_keys() == set()
