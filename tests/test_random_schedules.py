"""Searches whose processes act in a random order: whatever the order, each trial ends once, with all its scores.

tests/simulation has the processes, and `python -m tests.simulation` tries more seeds.
"""

from __future__ import annotations

import pytest

from tests.simulation.invariants import check_reproducible, search_with
from tests.simulation.settings import draw_settings


@pytest.mark.parametrize("first", range(0, 96, 12))
def test_every_trial_ends_once_with_all_its_scores(tmp_path, first):
    for seed in range(first, first + 12):
        search_with(draw_settings(seed), tmp_path / str(seed), seed)


@pytest.mark.parametrize("first", range(0, 12, 6))
def test_a_reproducible_search_does_not_depend_on_its_schedule(tmp_path, first):
    for seed in range(first, first + 6):
        check_reproducible(tmp_path / str(seed), seed)
