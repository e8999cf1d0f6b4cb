"""How important each hyperparameter was for the scores of a search, by Optuna's PED-ANOVA."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil

import numpy as np
import optuna
from optuna.trial import FrozenTrial, create_trial

from searchlab.metrics import Goal
from searchlab.runs.equal_epochs import common_epoch, folds_until
from searchlab.runs.trials import TrialRecord
from searchlab.space.domains import Choice, Domain, Float, Scalar
from searchlab.study.optuna_study import DIRECTIONS
from searchlab.study.samplers import to_distribution
from searchlab.wording import count

EVALUATOR = "PED-ANOVA"
MIN_TRIALS = 10  # with a score; fewer say nothing of seven parameters
BEST_SHARE = 0.1  # of the trials, which are set against all of them
MIN_BEST = 5  # of these, as Optuna's documentation recommends
MAX_TRIALS = 2000  # the latest ones, which take a second: Optuna copies each


@dataclass(frozen=True, kw_only=True)
class ParameterImportance:
    """How important each hyperparameter was for the scores of a search.

    Attributes:
        evaluator: Name of Optuna's evaluator, "PED-ANOVA": it compares the values that the best trials have with those
            that all trials have, so it says which parameters a trial must get right to be one of the best.
        shares: Importance of each parameter by its path, the most important first; they add up to 1. A parameter that
            only some trials have counts in those. Empty where there is a reason.
        epoch: The epoch at which the trials are compared: the last one that three quarters of them reached, complete
            trials whatever their number of epochs. None where no trial has a score.
        trials: Number of complete and pruned trials that were compared.
        best: Number of those that count as the best: a tenth, at least 5, and those that are equal to the last of them.
        reason: Why there is no importance; None where there is one.
    """

    evaluator: str = EVALUATOR
    shares: Mapping[str, float] = field(default_factory=dict)
    epoch: int | None = None
    trials: int = 0
    best: int = 0
    reason: str | None = None


def parameter_importance(trials: Sequence[TrialRecord], goal: Goal) -> ParameterImportance:
    """Return how important each hyperparameter was for the score of the complete and pruned trials.

    All trials are judged at equal epochs: by their best mean over folds until the last epoch that at least three
    quarters of them reached. Else a trial that was stopped early would seem bad only because it had less time. Of more
    than 2,000 trials the latest count.

    Args:
        trials: Trials of one search.
        goal: Direction of the primary metric, "max" or "min".

    Reference:
        Watanabe, Bansal and Hutter (2023), PED-ANOVA: Efficiently Quantifying Hyperparameter Importance in Arbitrary
        Subspaces; for parameters that only some trials have, its conditional form, as Optuna implements it.

    Example:
        >>> from searchlab.runs.trials import LearningCurve, TrialRecord
        >>> from searchlab.study.importance import parameter_importance
        >>> def trial(number):
        ...     rate, curve = number / 20, LearningCurve(scores=[[number / 20]])
        ...     return TrialRecord(number, "COMPLETE", {"lr": rate, "seed": number % 3}, rate, 1, None, curve, 0.0, 1.0)
        >>> importance = parameter_importance([trial(number) for number in range(20)], "max")
        >>> list(importance.shares), importance.evaluator, importance.epoch, importance.best
        (['lr', 'seed'], 'PED-ANOVA', 1, 5)
        >>> parameter_importance([], "max").reason
        'it needs 10 trials with a score, and there are 0'
    """
    ended = [trial for trial in trials if trial.state in ("COMPLETE", "PRUNED")]
    lengths = [[len(t.curve.scores) for t in ended if t.state == state] for state in ("COMPLETE", "PRUNED")]
    epoch = common_epoch(*lengths)
    scored = [(trial, score) for trial in ended if (score := _score_until(trial, epoch, goal)) is not None][
        -MAX_TRIALS:
    ]
    if len(scored) < MIN_TRIALS:
        reason = f"it needs {count(MIN_TRIALS, 'trial')} with a score, and there are {len(scored)}"
        return ParameterImportance(epoch=epoch, trials=len(scored), reason=reason)
    wanted = max(MIN_BEST, ceil(BEST_SHARE * len(scored)))
    worst_of_best = sorted((score for _, score in scored), reverse=goal == "max")[wanted - 1]
    best = sum(score >= worst_of_best if goal == "max" else score <= worst_of_best for _, score in scored)
    shares = _evaluate(_frozen_trials(scored), goal, wanted / len(scored))
    if not shares:
        reason = "the best trials have the same values as the others"
        return ParameterImportance(epoch=epoch, trials=len(scored), reason=reason)
    return ParameterImportance(shares=shares, epoch=epoch, trials=len(scored), best=best)


def _score_until(trial: TrialRecord, epoch: int | None, goal: Goal) -> float | None:
    """Return the trial's best finite mean over folds until this epoch, None where it has none."""
    folds = folds_until(trial.curve.scores, epoch, goal) if epoch else None
    return None if folds is None else float(folds.mean())


def _frozen_trials(scored: Sequence[tuple[TrialRecord, float]]) -> list[FrozenTrial]:
    """Return complete trials of Optuna with these scores, and with the parameters whose values vary."""
    varying = [path for path, values in _values_by_path(scored).items() if len(set(values)) > 1]
    domains = {path: _observed_domain(_values_by_path(scored)[path]) for path in varying}
    frozen = []
    for trial, score in scored:
        present = {path: value for path, value in trial.parameters.items() if path in domains}
        distributions = {path: to_distribution(trial.domains.get(path, domains[path])) for path in present}
        frozen.append(create_trial(params=present, distributions=distributions, value=score))
    return frozen


def _values_by_path(scored: Sequence[tuple[TrialRecord, float]]) -> dict[str, list[Scalar]]:
    """Return the values of each parameter, for those of the trials that have it."""
    values: dict[str, list[Scalar]] = {}
    for trial, _ in scored:
        for path, value in trial.parameters.items():
            values.setdefault(path, []).append(value)
    return values


def _observed_domain(values: Sequence[Scalar]) -> Domain:
    """Return a domain with these values, for a trial whose own is not known: a range of numbers, or a choice."""
    if all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in values):
        numbers = [float(value) for value in values if isinstance(value, (int, float))]
        return Float(min(numbers), max(numbers))
    return Choice(*sorted(set(values), key=str))


def _evaluate(trials: Sequence[FrozenTrial], goal: Goal, quantile: float) -> dict[str, float]:
    """Return the importances, which add up to 1, the largest first; none where all are 0."""
    from optuna.importance import PedAnovaImportanceEvaluator  # not at the top: it takes a second, for scikit-learn

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction=DIRECTIONS[goal])
    study.add_trials(trials)
    # Optuna warns of a parameter that a single trial has, and means densities that underflow to be 0
    with warnings.catch_warnings(action="ignore", category=UserWarning), np.errstate(under="ignore"):
        importances = PedAnovaImportanceEvaluator(target_quantile=quantile).evaluate(study)
    total = sum(importances.values())
    ordered = sorted(importances.items(), key=lambda pair: (-pair[1], pair[0]))
    return {path: value / total for path, value in ordered} if total > 0 else {}
