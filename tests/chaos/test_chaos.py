"""Five processes of a real sweep are killed, each of another kind, and every sentence holds in the end."""

from __future__ import annotations

import pytest

from tests.chaos.__main__ import chaos


@pytest.mark.slow
def test_whoever_is_killed_resume_ends_as_if_nothing_had_happened(home):
    broken = chaos(home, seed=27, kills=5, within=1.5)  # raylet, recording process, driver, trial, study
    assert not broken
