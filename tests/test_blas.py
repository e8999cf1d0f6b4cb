"""How many threads a process that trains multiplies its matrices with."""

import pytest

from searchlab.blas import VARIABLES, worker_environment


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch):
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


def test_one_thread_unless_said_otherwise():
    assert worker_environment() == {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


@pytest.mark.parametrize("name", VARIABLES)
def test_what_the_user_has_set_stays(name, monkeypatch):
    monkeypatch.setenv(name, "4")
    environment = worker_environment()
    assert environment.pop(name) == "4"
    assert set(environment.values()) == {"1"}
