"""The environment of a process that trains."""

import pytest

from searchlab.environment import KEEP_MEMORY, ONE_THREAD, worker_environment


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch):
    for name in {**ONE_THREAD, **KEEP_MEMORY}:
        monkeypatch.delenv(name, raising=False)


def test_one_thread_and_kept_memory_unless_said_otherwise():
    assert worker_environment() == {**ONE_THREAD, **KEEP_MEMORY}
    assert set(ONE_THREAD.values()) == {"1"}


@pytest.mark.parametrize("name", [*ONE_THREAD, *KEEP_MEMORY])
def test_what_the_user_has_set_stays(name, monkeypatch):
    monkeypatch.setenv(name, "4")
    environment = worker_environment()
    assert environment.pop(name) == "4"
    assert environment == {other: value for other, value in {**ONE_THREAD, **KEEP_MEMORY}.items() if other != name}
