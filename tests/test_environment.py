"""The environment variables of a training process."""

import pytest

from searchlab.environment import KERNELS_VARIABLE, MALLOC_VARIABLES, THREAD_VARIABLES, worker_environment

SINGLE_THREAD = dict.fromkeys(THREAD_VARIABLES, "1")
KERNELS = {KERNELS_VARIABLE: "auto"}
DEFAULTS = {**SINGLE_THREAD, **MALLOC_VARIABLES, **KERNELS}


@pytest.fixture(autouse=True)
def _clear_variables(monkeypatch):
    for name in DEFAULTS:
        monkeypatch.delenv(name, raising=False)


def test_defaults_are_one_thread_large_malloc_thresholds_and_kernels_by_network():
    assert worker_environment() == DEFAULTS
    assert len(SINGLE_THREAD) == 3


def test_a_worker_with_several_cores_has_as_many_threads_unless_the_user_set_a_number(monkeypatch):
    assert worker_environment(4)["OPENBLAS_NUM_THREADS"] == "4"
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "1")  # set by the command line for itself
    assert worker_environment(4)["OPENBLAS_NUM_THREADS"] == "4"
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "2")
    assert worker_environment(4)["OPENBLAS_NUM_THREADS"] == "2"


@pytest.mark.parametrize("name", DEFAULTS)
def test_variables_that_the_user_set_take_precedence(name, monkeypatch):
    monkeypatch.setenv(name, "4")
    environment = worker_environment()
    assert environment.pop(name) == "4"
    assert environment == {other: value for other, value in DEFAULTS.items() if other != name}
