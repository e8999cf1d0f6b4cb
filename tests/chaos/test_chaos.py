"""A real sweep in which five processes of different kinds are killed; every invariant holds at its end."""

from __future__ import annotations

import pytest

from tests.chaos.__main__ import run_chaos


@pytest.mark.slow
def test_a_sweep_ends_as_if_no_process_had_been_killed(home):
    violated = run_chaos(home, seed=864, kills=5, max_delay=1.5)  # group, study, raylet, worker, recorder
    assert not violated
