"""The contract of a pruner."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from searchlab.backend import Array
from searchlab.metrics import Goal
from searchlab.pruning.learning_curves import LearningCurves
from searchlab.pruning.pruner import Pruner

TRIALS, EPOCHS, FOLDS = 24, 12, 4
PARALLEL_TRIALS = 5


@dataclass(frozen=True)
class _PrunerDecision:
    """The decision about a trial after an epoch, and whether this trial had the best epoch of all so far."""

    trial: int
    epoch: int
    reason: str | None
    has_best_epoch: bool


def check_pruner(pruner: Pruner) -> None:
    """Check that a pruner decides from the learning curves alone, and never stops the best trial.

    The pruner decides about 24 trials of 12 epochs and 4 folds. Many are much alike, one overfits, and two diverge. It
    checks that:

    - a copy of the pruner is equal to it, as a frozen dataclass is;
    - no trial stops that is the only one, or that has the best epoch of all so far;
    - no trial stops after an epoch at which `is_due` is false;
    - a reason is one line of text;
    - the same curves give the same decision, whatever was decided before;
    - the order of the folds and the order of the trials do not matter;
    - scores of opposite sign with the opposite goal give the same decisions.

    Args:
        pruner: The pruner.

    Raises:
        AssertionError: When a rule is broken; the message names it.

    Example:
        >>> from searchlab import Halving
        >>> from searchlab.testing import check_pruner
        >>> check_pruner(Halving(reduction_factor=4))
    """
    assert copy.deepcopy(pruner) == pruner, "a copy of a pruner is equal to it: make it a frozen dataclass"
    scores = _scores()
    decisions = list(_search(pruner, scores, "max"))
    for decision in decisions:
        _check_decision(pruner, decision)
    _check_no_state(pruner, scores, decisions)
    _check_same_decisions(decisions, _search(pruner, scores[:, :, ::-1], "max"), "with its folds in another order")
    _check_same_decisions(decisions, _search(pruner, -scores, "min"), "with the opposite sign and goal")
    _check_trial_order(pruner, scores)
    for trial in range(TRIALS):
        alone = _search(pruner, scores[trial : trial + 1], "max")
        assert all(decision.reason is None for decision in alone), "it stops a trial that is the only one"


def _check_decision(pruner: Pruner, decision: _PrunerDecision) -> None:
    reason, trial = decision.reason, f"trial {decision.trial} after epoch {decision.epoch}"
    if reason is None:
        return
    assert not decision.has_best_epoch, f"it stops {trial}, which has the best epoch of all: {reason}"
    assert pruner.is_due(decision.epoch), f"it stops {trial}, and is_due({decision.epoch}) is false"
    is_one_line = bool(reason.strip()) and "\n" not in reason
    assert is_one_line, f"a reason is one line of text, not {reason!r}"


def _scores() -> Array:
    """Return scores (trials, epochs, folds) that rise at different rates to different heights; larger is better."""
    draws = np.random.default_rng(0)
    height, rate = draws.normal(0.8, 0.08, (TRIALS, 1, 1)), draws.uniform(0.2, 1.5, (TRIALS, 1, 1))
    folds = draws.normal(0.0, 0.02, (1, 1, FOLDS))
    means = height * (1.0 - np.exp(-rate * np.arange(1, EPOCHS + 1)[None, :, None]))
    noise = draws.normal(0.0, 0.01, (TRIALS, EPOCHS, FOLDS))
    scores: Array = np.round(means + folds + noise, 2)  # rounded, so that some are equal
    scores[7] = scores[6]
    scores[9, 3:] -= 0.1 * np.arange(EPOCHS - 3)[:, None]  # overfits
    scores[11, 4:] = np.nan
    scores[12] = np.nan
    return scores


def _search(pruner: Pruner, scores: Array, goal: Goal) -> Iterator[_PrunerDecision]:
    """Run trials in parallel with these scores, and yield the decision after each epoch, as in a search."""
    curves, running, begun = LearningCurves(goal), list[int](), 0
    while running or begun < len(scores):
        while len(running) < PARALLEL_TRIALS and begun < len(scores):
            running.append(begun)
            begun += 1
        for trial in tuple(running):
            epoch = curves.add_epoch(trial, scores[trial, curves.last_epoch(trial)].tolist())
            reason = _stop_reason(pruner, curves, trial)
            yield _PrunerDecision(trial, epoch, reason, curves.has_best_epoch(trial))
            if reason is not None or trial in curves.failed or epoch == scores.shape[1]:
                running.remove(trial)


def _stop_reason(pruner: Pruner, curves: LearningCurves, trial: int) -> str | None:
    """Return why the pruner stops a trial; None for a failed trial, about which a search does not ask."""
    return None if trial in curves.failed else pruner.stop_reason(curves, trial)


def _check_same_decisions(
    decisions: Sequence[_PrunerDecision], others: Iterable[_PrunerDecision], condition: str
) -> None:
    expected = [(decision.trial, decision.epoch, decision.reason is None) for decision in decisions]
    actual = [(decision.trial, decision.epoch, decision.reason is None) for decision in others]
    assert actual == expected, f"{condition}, it stops other trials"


def _check_no_state(pruner: Pruner, scores: Array, decisions: Sequence[_PrunerDecision]) -> None:
    """Repeat the decisions from the last to the first: a pruner that keeps state has seen later epochs by then."""
    for count in range(len(decisions), 0, -7):
        curves, last = LearningCurves("max"), decisions[count - 1]
        for decision in decisions[:count]:
            curves.add_epoch(decision.trial, scores[decision.trial, decision.epoch - 1].tolist())
        reason = _stop_reason(pruner, curves, last.trial)
        assert reason == last.reason, f"called again with the same curves, it gives {reason!r}, not {last.reason!r}"


def _check_trial_order(pruner: Pruner, scores: Array) -> None:
    """Add the same curves trial by trial in two orders."""
    lengths = np.random.default_rng(2).integers(1, EPOCHS + 1, TRIALS)
    continues = []
    for order in (range(TRIALS), range(TRIALS - 1, -1, -1)):
        curves = LearningCurves("max")
        for trial in order:
            for epoch in range(lengths[trial]):
                curves.add_epoch(trial, scores[trial, epoch].tolist())
        continues.append([_stop_reason(pruner, curves, trial) is None for trial in range(TRIALS)])
    assert continues[0] == continues[1], "with its trials in another order, it stops other trials"
