"""What Ray Tune is kept from."""

from __future__ import annotations

from ray.tune.execution import class_cache

from searchlab.service.engine.tune import _keys_stay


def passed_on():
    return {name for name in class_cache.ENV_VARS_TO_PROPAGATE if "SECRET" in name or "KEY" in name}


def test_the_keys_of_a_store_are_not_handed_to_processes_whose_environment_is_logged():
    before = passed_on()
    assert before >= {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}, "Tune does it in another way by now"
    with _keys_stay():
        assert passed_on() == set()
        assert class_cache.ENV_VARS_TO_PROPAGATE
    assert passed_on() == before
