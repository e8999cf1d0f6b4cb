"""The contract of a pruner."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from searchlab.backend import Array
from searchlab.metrics import Goal
from searchlab.pruning.learning_curves import LearningCurves
from searchlab.pruning.pruner import Pruner

TRIALS, EPOCHS, FOLDS = 24, 12, 4
ABREAST = 5  # trials that train side by side


@dataclass(frozen=True)
class Answer:
    """What the pruner said of a trial after an epoch, and whether that trial had the best epoch of all by then."""

    trial: int
    epoch: int
    why: str | None
    leads: bool


def check_pruner(pruner: Pruner) -> None:
    """The pruner decides from what is recorded, the same way every time, and never stops the best trial.

    It is asked about 24 trials of 12 epochs and 4 folds: many much alike, one that overfits, one that diverges. The
    same curves give the same answers, whatever it was asked before; neither the order of the folds nor that of the
    trials matters; scores with their sign and goal both turned round are judged alike. A trial alone is never stopped,
    nor one with the best epoch of all. It stops no trial after an epoch that is not `due`, and its reason is one line.
    Raises AssertionError saying which rule broke.
    """
    assert copy.deepcopy(pruner) == pruner, "a copy of a pruner is equal to it: a frozen dataclass is"
    scores = _scores()
    asked = list(_search(pruner, scores, "max"))
    for answer in asked:
        told = f"trial {answer.trial} after epoch {answer.epoch}"
        assert answer.why is None or not answer.leads, f"it stops {told}, which has the best epoch of all: {answer.why}"
        assert answer.why is None or pruner.due(answer.epoch), f"it stops {told}, when it was not due"
        assert answer.why is None or (answer.why.strip() and "\n" not in answer.why), "a reason is one line of words"
    _remembers_nothing(pruner, scores, asked)
    _same(asked, _search(pruner, scores[:, :, ::-1], "max"), "its folds in another order")
    _same(asked, _search(pruner, -scores, "min"), "sign and goal both turned round")
    _knows_no_order(pruner, scores)
    for trial in range(TRIALS):
        alone = _search(pruner, scores[trial : trial + 1], "max")
        assert all(answer.why is None for answer in alone), "it stops a trial when there is no other"


def _scores() -> Array:
    """Scores (trials, epochs, folds) that climb at different rates to different heights; larger is better."""
    draws = np.random.default_rng(0)
    height, rate = draws.normal(0.8, 0.08, (TRIALS, 1, 1)), draws.uniform(0.2, 1.5, (TRIALS, 1, 1))
    folds = draws.normal(0.0, 0.02, (1, 1, FOLDS))
    climb = height * (1.0 - np.exp(-rate * np.arange(1, EPOCHS + 1)[None, :, None]))
    scores: Array = np.round(climb + folds + draws.normal(0.0, 0.01, (TRIALS, EPOCHS, FOLDS)), 2)  # so there are ties
    scores[7] = scores[6]
    scores[9, 3:] -= 0.1 * np.arange(EPOCHS - 3)[:, None]  # overfits
    scores[11, 4:] = np.nan
    scores[12] = np.nan
    return scores


def _search(pruner: Pruner, scores: Array, goal: Goal) -> Iterator[Answer]:
    """Tell the epochs of trials side by side, and ask after each, as a search does."""
    curves, going, begun = LearningCurves(goal), list[int](), 0
    while going or begun < len(scores):
        while len(going) < ABREAST and begun < len(scores):
            going.append(begun)
            begun += 1
        for trial in tuple(going):
            epoch = curves.add(trial, scores[trial, curves.length(trial)].tolist())
            answer = Answer(trial, epoch, pruner.why_stop(curves, trial), curves.leads(trial))
            yield answer
            if answer.why is not None or epoch == scores.shape[1]:
                going.remove(trial)


def _same(asked: Sequence[Answer], again: Iterator[Answer], what: str) -> None:
    found = [(answer.trial, answer.epoch, answer.why is None) for answer in again]
    assert found == [(answer.trial, answer.epoch, answer.why is None) for answer in asked], f"{what}, it stops others"


def _remembers_nothing(pruner: Pruner, scores: Array, asked: Sequence[Answer]) -> None:
    """The same questions from the last to the first: whoever had kept notes would know the future by then."""
    for count in range(len(asked), 0, -7):
        curves, last = LearningCurves("max"), asked[count - 1]
        for answer in asked[:count]:
            curves.add(answer.trial, scores[answer.trial, answer.epoch - 1].tolist())
        why = pruner.why_stop(curves, last.trial)
        assert why == last.why, f"asked again about the same curves, it says {why!r} instead of {last.why!r}"


def _knows_no_order(pruner: Pruner, scores: Array) -> None:
    """The same curves, told trial by trial in another order."""
    lengths = np.random.default_rng(2).integers(1, EPOCHS + 1, TRIALS)
    stops = []
    for order in (range(TRIALS), range(TRIALS - 1, -1, -1)):
        curves = LearningCurves("max")
        for trial in order:
            for epoch in range(lengths[trial]):
                curves.add(trial, scores[trial, epoch].tolist())
        stops.append([pruner.why_stop(curves, trial) is None for trial in range(TRIALS)])
    assert stops[0] == stops[1], "with its trials told in another order, it stops others"
