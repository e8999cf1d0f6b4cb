"""Sentences about why the winner was chosen: they are true whichever finalist wins."""

from __future__ import annotations

import pytest

from searchlab.reporting.winner_choice import optimism_text, search_choice, tie_text


@pytest.mark.parametrize(
    ("own", "finalists", "goal", "is_best"),
    [
        (0.9, [], "max", True),
        (0.9, [0.9, 0.8], "max", True),
        (0.8, [0.9, 0.8], "max", False),
        (0.8, [0.9, 0.8], "min", True),
        (0.9, [0.9, 0.8], "min", False),
    ],
)
def test_the_search_chose_the_winner_only_where_it_was_the_best_there(own, finalists, goal, is_best):
    assert search_choice(own, finalists, goal).startswith("which chose it") == is_best


def test_a_negative_optimism_is_worse():
    texts = [optimism_text(value) for value in (0.0033, -0.0033, -247.6788, 0.0)]
    assert [text.partition(" than")[0] for text in texts[:3]] == ["0.0033 better", "0.0033 worse", "247.68 worse"]
    assert "better" not in texts[3]
    assert "worse" not in texts[3]


def finalist(trial, weights, is_tied=True):
    return {"trial": trial, "weights": weights, "is_tied": is_tied}


def test_the_winner_of_a_tie_is_the_smallest_or_of_equal_sizes_the_best():
    ahead = [finalist(3, 10), finalist(1, 20), finalist(2, 5, is_tied=False)]
    assert tie_text(3, ahead).startswith("2 finalists are tied")
    assert "trial 3 is the smallest" in tie_text(3, ahead)
    assert "best mean of the 2 smallest" in tie_text(3, [finalist(3, 10), finalist(1, 10), finalist(2, 11)])


def test_without_a_tie_nothing_is_said():
    assert tie_text(3, [finalist(3, 10), finalist(1, 20, is_tied=False)]) == ""
    assert tie_text(1, [finalist(3, 10), finalist(1, 20)]) == "", "the refit of the smallest one has diverged"
    assert tie_text(3, []) == ""
