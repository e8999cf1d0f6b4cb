"""Every pruner passes the contract, and the contract finds what breaks its rules."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest

from searchlab import Halving, Median, NoPruning, Race
from searchlab.pruning.pruner import Pruner
from searchlab.testing import check_pruner


@pytest.mark.parametrize(
    "pruner",
    [
        NoPruning(),
        Halving(),
        Halving(reduction=2, first=1, least=1, window=1, race=None),
        Halving(reduction=4, first=3, race=Race(level=0.2)),
        Median(),
        Median(first=1, least=1),
        Race(),
        Race(level=0.3, grace=1),
    ],
    ids=repr,
)
def test_it_keeps_the_contract(pruner):
    check_pruner(pruner)


@dataclass(frozen=True)
class Wrong(Pruner):
    """Stops what is behind the mean of all at its epoch, but for one fault."""

    due_at: int = 1
    seen: list = field(default_factory=list, compare=False)

    def due(self, epoch):
        return epoch >= self.due_at

    def behind(self, curves, trial):
        epoch = curves.length(trial)
        others = curves.means[curves.rows_at(epoch), epoch - 1]
        return curves.means[curves.row(trial), epoch - 1] < np.median(others)

    def why_stop(self, curves, trial):
        return "behind" if self.behind(curves, trial) and not curves.leads(trial) else None


class StopsTheBest(Wrong):
    def why_stop(self, curves, trial):
        return "enough" if curves.length(trial) > 5 else super().why_stop(curves, trial)


class IsNotDue(Wrong):
    def due(self, epoch):
        return epoch % 2 == 0


class Remembers(Wrong):
    """Lets a trial go on the first time it is asked about, and knows it the second time."""

    def why_stop(self, curves, trial):
        self.seen.append((trial, curves.length(trial)))
        return super().why_stop(curves, trial) if self.seen.count(self.seen[-1]) > 1 else None


class LooksAtOneFold(Wrong):
    def why_stop(self, curves, trial):
        folds = curves.of(trial)[-1]
        return "behind" if folds[0] < folds[-1] and not curves.leads(trial) else None


class KnowsOneGoal(Wrong):
    def why_stop(self, curves, trial):
        sign = 1.0 if curves.goal == "max" else -1.0
        behind = (sign * curves.of(trial)[-1]).mean() < 0.6
        return "behind" if behind and not curves.leads(trial) else None


class KnowsTheOrder(Wrong):
    def why_stop(self, curves, trial):
        late = curves.row(trial) > 12
        return "behind" if late and not curves.leads(trial) and self.behind(curves, trial) else None


class SaysNothing(Wrong):
    def why_stop(self, curves, trial):
        return "" if super().why_stop(curves, trial) else None


def test_what_breaks_no_rule_passes():
    check_pruner(Wrong())


@pytest.mark.parametrize(
    ("pruner", "told"),
    [
        (StopsTheBest(), "the best epoch of all"),
        (IsNotDue(), "not due"),
        (Remembers(), "asked again"),
        (LooksAtOneFold(), "folds in another order"),
        (KnowsOneGoal(), "turned round"),
        (KnowsTheOrder(), "trials told in another order"),
        (SaysNothing(), "one line of words"),
    ],
    ids=lambda given: type(given).__name__,
)
def test_a_broken_rule_is_found(pruner, told):
    with pytest.raises(AssertionError, match=told):
        check_pruner(pruner)
