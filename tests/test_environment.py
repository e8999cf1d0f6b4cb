"""The environment of a process that trains."""

import pytest

from searchlab.environment import KEEP_MEMORY, THREADS, worker_environment

ONE_THREAD = dict.fromkeys(THREADS, "1")


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch):
    for name in {**ONE_THREAD, **KEEP_MEMORY}:
        monkeypatch.delenv(name, raising=False)


def test_one_thread_and_kept_memory_unless_said_otherwise():
    assert worker_environment() == {**ONE_THREAD, **KEEP_MEMORY}
    assert len(ONE_THREAD) == 3


def test_a_worker_with_several_cores_has_as_many_threads_unless_the_user_said_otherwise(monkeypatch):
    assert worker_environment(4)["OPENBLAS_NUM_THREADS"] == "4"
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "1")  # the command line's own
    assert worker_environment(4)["OPENBLAS_NUM_THREADS"] == "4"
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "2")
    assert worker_environment(4)["OPENBLAS_NUM_THREADS"] == "2"


@pytest.mark.parametrize("name", [*ONE_THREAD, *KEEP_MEMORY])
def test_what_the_user_has_set_stays(name, monkeypatch):
    monkeypatch.setenv(name, "4")
    environment = worker_environment()
    assert environment.pop(name) == "4"
    assert environment == {other: value for other, value in {**ONE_THREAD, **KEEP_MEMORY}.items() if other != name}
