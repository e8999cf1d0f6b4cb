"""Five processes of a real sweep are killed, each of another kind, and every invariant holds in the end."""

from __future__ import annotations

import pytest

from tests.chaos.__main__ import run_chaos


@pytest.mark.slow
def test_a_sweep_ends_as_if_no_process_had_been_killed(home):
    violated = run_chaos(home, seed=27, kills=5, max_delay=1.5)  # raylet, recorder, driver, worker, study
    assert not violated
