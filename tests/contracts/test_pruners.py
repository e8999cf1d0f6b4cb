"""Every pruner keeps its contract, and the contract finds each broken rule."""

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
        Halving(reduction_factor=2, first_rung=1, min_survivors=1, window=1, race=None),
        Halving(reduction_factor=4, first_rung=3, race=Race(alpha=0.2)),
        Median(),
        Median(first_epoch=1, min_trials=1),
        Race(),
        Race(alpha=0.3, first_epoch=1),
    ],
    ids=repr,
)
def test_the_pruner_keeps_the_contract(pruner):
    check_pruner(pruner)


@dataclass(frozen=True)
class CorrectPruner(Pruner):
    """Stops trials below the median of their epoch; the pruners below break one rule each."""

    first_epoch: int = 1
    calls: list = field(default_factory=list, compare=False)

    def is_due(self, epoch):
        return epoch >= self.first_epoch

    def is_behind(self, curves, trial):
        epoch = curves.last_epoch(trial)
        means = curves.fold_means[curves.rows_with_epoch(epoch), epoch - 1]
        return curves.fold_means[curves.row_of(trial), epoch - 1] < np.median(means)

    def stop_reason(self, curves, trial):
        return "behind" if self.is_behind(curves, trial) and not curves.has_best_epoch(trial) else None


class StopsTheBest(CorrectPruner):
    def stop_reason(self, curves, trial):
        return "enough" if curves.last_epoch(trial) > 5 else super().stop_reason(curves, trial)


class StopsWhenNotDue(CorrectPruner):
    def is_due(self, epoch):
        return epoch % 2 == 0


class KeepsState(CorrectPruner):
    """Continues a trial at the first call for an epoch, and may stop it at the second one."""

    def stop_reason(self, curves, trial):
        self.calls.append((trial, curves.last_epoch(trial)))
        return super().stop_reason(curves, trial) if self.calls.count(self.calls[-1]) > 1 else None


class UsesFoldOrder(CorrectPruner):
    def stop_reason(self, curves, trial):
        folds = curves.scores_of(trial)[-1]
        return "behind" if folds[0] < folds[-1] and not curves.has_best_epoch(trial) else None


class UsesSign(CorrectPruner):
    def stop_reason(self, curves, trial):
        sign = 1.0 if curves.goal == "max" else -1.0
        is_behind = (sign * curves.scores_of(trial)[-1]).mean() < 0.6
        return "behind" if is_behind and not curves.has_best_epoch(trial) else None


class UsesTrialOrder(CorrectPruner):
    def stop_reason(self, curves, trial):
        is_late = curves.row_of(trial) > 12
        return super().stop_reason(curves, trial) if is_late else None


class GivesEmptyReason(CorrectPruner):
    def stop_reason(self, curves, trial):
        return "" if super().stop_reason(curves, trial) else None


class ComparesByIdentity(CorrectPruner):
    __eq__ = object.__eq__
    __hash__ = object.__hash__


class StopsTheOnlyTrial(CorrectPruner):
    def stop_reason(self, curves, trial):
        is_alone = len(curves.trials) == 1 and curves.last_epoch(trial) > 1
        return "alone" if is_alone else super().stop_reason(curves, trial)


def test_a_correct_pruner_keeps_the_contract():
    check_pruner(CorrectPruner())


@pytest.mark.parametrize(
    ("pruner", "message"),
    [
        (StopsTheBest, "the best epoch of all"),
        (StopsWhenNotDue, r"is_due\(\d+\) is false"),
        (KeepsState, "called again"),
        (UsesFoldOrder, "folds in another order"),
        (UsesSign, "opposite sign and goal"),
        (UsesTrialOrder, "trials in another order"),
        (GivesEmptyReason, "one line of text"),
        (ComparesByIdentity, "equal to it"),
        (StopsTheOnlyTrial, "the only one"),
    ],
)
def test_the_contract_finds_a_broken_rule(pruner, message):
    with pytest.raises(AssertionError, match=message):
        check_pruner(pruner())
