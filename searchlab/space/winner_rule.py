"""The rules by which the winner of a sweep is chosen and trained."""

from __future__ import annotations

from dataclasses import dataclass

from searchlab.errors import UserMistake
from searchlab.numeric_types import is_number, is_whole_number


@dataclass(frozen=True)
class WinnerRule:
    """How many of the best trials are run again, with how many seeds: the part that all rules share.

    A search favors trials that were lucky: the best score of many overstates how good its configuration is. After the
    search, the best trials (and the first enqueued point, where the sweep has one) are trained again on the same folds
    with fresh seeds, each for the epochs that were its best in the search. The best mean over all seeds, that of the
    search included, wins. Trials whose paired interval of the difference to it includes 0 are tied with it, and of tied
    trials the one with the fewest weights wins. Two scores of a trial, as of one fold and one fresh seed, make no tie.

    Args:
        finalists: Number of trials that are run again, at most; default 3. With 1 the best trial of the search wins,
            and nothing is run again.
        seeds: Number of fresh seeds, at most; default 3.
        max_cost: Epochs of all finalists and seeds together, as a share of those of the search; default 0.1. Where they
            would be more, there are fewer seeds, and then fewer finalists: at least two with one seed.

    Raises:
        UserMistake: When a number is not a whole number of at least 1, or `max_cost` is negative.

    Reference:
        Bouckaert and Frank (2004) for the variance of repeated cross-validation; Schneider et al. (2025),
        arXiv 2506.19540, for searches that overfit their validation folds.

    Example:
        >>> from searchlab.space.winner_rule import Refit, WinnerRule
        >>> isinstance(Refit(), WinnerRule)
        True
    """

    finalists: int = 3
    seeds: int = 3
    max_cost: float = 0.1

    def __post_init__(self) -> None:
        rule = type(self).__name__
        for name in ("finalists", "seeds"):
            value = getattr(self, name)
            if not is_whole_number(value) or value < 1:
                raise UserMistake(f"{rule}({name}=...) takes a whole number of at least 1, got {value!r}.")
        if not is_number(self.max_cost) or not self.max_cost >= 0.0:
            raise UserMistake(f"{rule}(max_cost=...) takes a share of the epochs of the search, got {self.max_cost!r}.")


@dataclass(frozen=True)
class Refit(WinnerRule):
    """The winner is one network that is trained on all training rows, chosen among the best trials run again.

    It is trained for as many epochs as were best in cross-validation. `WinnerRule` says how it is chosen.

    Args:
        finalists: Number of trials that are run again, at most; default 3.
        seeds: Number of fresh seeds, at most; default 3.
        max_cost: Epochs of all finalists and seeds together, as a share of those of the search; default 0.1.

    Raises:
        UserMistake: When a number is not a whole number of at least 1, or `max_cost` is negative.

    Example:
        >>> from searchlab import Refit
        >>> Refit(finalists=5)
        Refit(finalists=5, seeds=3, max_cost=0.1)
    """


@dataclass(frozen=True)
class FoldEnsemble(WinnerRule):
    """The winner is the ensemble of the K networks of its folds, which answer as one.

    Each network is trained as in the search, on the rows of its fold. Classes are predicted by the mean of their
    probabilities, numbers by their mean, and tokens by the mean of log probabilities. The artifact holds all K networks
    fused, and loads and predicts like any other; it is K times as large. `WinnerRule` says how the winner is chosen.

    Args:
        finalists: Number of trials that are run again, at most; default 3.
        seeds: Number of fresh seeds, at most; default 3.
        max_cost: Epochs of all finalists and seeds together, as a share of those of the search; default 0.1.

    Raises:
        UserMistake: When a number is not a whole number of at least 1, or `max_cost` is negative.

    Reference:
        Krogh and Vedelsby (1995), "Neural network ensembles, cross validation, and active learning".

    Example:
        >>> from searchlab import FoldEnsemble
        >>> FoldEnsemble()
        FoldEnsemble(finalists=3, seeds=3, max_cost=0.1)
    """
