"""How important each hyperparameter was for the scores of a search, by PED-ANOVA as Optuna has it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil

from searchlab.metrics import Goal
from searchlab.runs.equal_epochs import common_epoch, folds_until
from searchlab.runs.trials import TrialRecord
from searchlab.space.domains import Choice, Domain, Float, Scalar
from searchlab.study.ped_anova import Observation, importance_of
from searchlab.study.samplers import to_distribution
from searchlab.wording import count

EVALUATOR = "PED-ANOVA"
MIN_TRIALS = 10  # with a score; fewer say nothing of seven parameters
BEST_SHARE = 0.1  # of the trials, which are set against all of them
MIN_BEST = 5  # of these, as Optuna's documentation recommends


@dataclass(frozen=True, kw_only=True)
class ParameterImportance:
    """How important each hyperparameter was for the scores of a search.

    Attributes:
        evaluator: Name of the evaluator, "PED-ANOVA", Optuna's default: it compares the values that the best trials
            have with those that all trials have, so it says which parameters a trial must get right to be one of the
            best.
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
    quarters of them reached. Else a trial that was stopped early would seem bad only because it had less time.

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
    scored = [(trial, score) for trial in ended if (score := _score_until(trial, epoch, goal)) is not None]
    if len(scored) < MIN_TRIALS:
        reason = f"it needs {count(MIN_TRIALS, 'trial')} with a score, and there are {len(scored)}"
        return ParameterImportance(epoch=epoch, trials=len(scored), reason=reason)
    wanted = max(MIN_BEST, ceil(BEST_SHARE * len(scored)))
    worst_of_best = sorted((score for _, score in scored), reverse=goal == "max")[wanted - 1]
    is_best = [score >= worst_of_best if goal == "max" else score <= worst_of_best for _, score in scored]
    shares = _evaluate([trial for trial, _ in scored], is_best)
    if not shares:
        reason = "the best trials have the same values as the others"
        return ParameterImportance(epoch=epoch, trials=len(scored), reason=reason)
    return ParameterImportance(shares=shares, epoch=epoch, trials=len(scored), best=sum(is_best))


def _score_until(trial: TrialRecord, epoch: int | None, goal: Goal) -> float | None:
    """Return the trial's best finite mean over folds until this epoch, None where it has none."""
    folds = folds_until(trial.curve.scores, epoch, goal) if epoch else None
    return None if folds is None else float(folds.mean())


def _evaluate(trials: Sequence[TrialRecord], is_best: Sequence[bool]) -> dict[str, float]:
    """Return the importances of what varies, which add up to 1, the largest first; none where all are 0."""
    importances = {
        path: importance_of(_observations(path, trials, is_best), len(trials), sum(is_best))
        for path in dict.fromkeys(path for trial in trials for path in trial.parameters)
    }
    total = sum(importances.values())
    ordered = sorted(importances.items(), key=lambda pair: (-pair[1], pair[0]))
    varying = [(path, value) for path, value in ordered if len(_values(path, trials)) > 1]
    return {path: value / total for path, value in varying} if total > 0 else {}


def _observations(path: str, trials: Sequence[TrialRecord], is_best: Sequence[bool]) -> list[Observation]:
    """Return the values of one parameter, for those of the trials that have it; none where they are all equal."""
    values = _values(path, trials)
    if len(values) < 2:
        return []
    observed = to_distribution(_observed_domain(values))
    return [
        Observation(t.parameters[path], to_distribution(t.domains[path]) if path in t.domains else observed, best)
        for t, best in zip(trials, is_best, strict=True)
        if path in t.parameters
    ]


def _values(path: str, trials: Sequence[TrialRecord]) -> set[Scalar]:
    return {trial.parameters[path] for trial in trials if path in trial.parameters}


def _observed_domain(values: Collection[Scalar]) -> Domain:
    """Return a domain with these values, for a trial whose own is not known: a range of numbers, or a choice."""
    if all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in values):
        numbers = [float(value) for value in values if isinstance(value, (int, float))]
        return Float(min(numbers), max(numbers))
    return Choice(*sorted(values, key=str))
