"""PED-ANOVA in whole arrays: Optuna's comes with the import of scikit-learn's forests, which takes two seconds.

The values are those of Optuna's evaluator, up to rounding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from searchlab.backend import Array
from searchlab.space.domains import Scalar
from searchlab.study.parzen_estimator import Categories, Normals

MAX_CELLS = 50  # into which the range of a number is divided
MIN_TRIALS = 2  # with one domain of a parameter; fewer say nothing
MIN_WIDTH = 0.5 / 1.64  # of a kernel, in cells: 90 % of it lie in its own cell
MIN_DENSITY = 1e-12


@dataclass(frozen=True)
class Observation:
    """The value of one parameter in one trial.

    Attributes:
        value: The value.
        distribution: The domain that it was drawn from.
        is_best: Whether the trial is one of the best.
    """

    value: Scalar
    distribution: BaseDistribution
    is_best: bool


def importance_of(observations: Sequence[Observation], trials: int, best: int) -> float:
    """Return how much the values of one parameter in the best trials differ from those in all trials; 0 is not at all.

    Args:
        observations: One for each trial that has the parameter.
        trials: Number of all trials, of which some may lack the parameter.
        best: Number of those among them that count as the best.

    Reference:
        Watanabe, Bansal and Hutter (2023), PED-ANOVA: Efficiently Quantifying Hyperparameter Importance in Arbitrary
        Subspaces; for parameters that only some trials have, its conditional form, Theorem 4.2 of
        https://arxiv.org/abs/2601.20800, which adds up over the domains that the parameter has.

    Example:
        >>> from optuna.distributions import FloatDistribution
        >>> from searchlab.study.ped_anova import Observation, importance_of
        >>> unit = FloatDistribution(0.0, 1.0)
        >>> best_are_low = [Observation(n / 20, unit, n < 5) for n in range(20)]
        >>> best_are_anywhere = [Observation(n / 20, unit, n % 4 == 0) for n in range(20)]
        >>> importance_of(best_are_low, 20, 5) > 10 * importance_of(best_are_anywhere, 20, 5)
        True
    """
    by_domain: dict[BaseDistribution, list[Observation]] = {}
    for observation in observations:
        by_domain.setdefault(observation.distribution, []).append(observation)
    total = 0.0
    for distribution, found in by_domain.items():
        among_best = [observation for observation in found if observation.is_best]
        if len(found) >= MIN_TRIALS and among_best and not distribution.single():
            weight = (len(among_best) / best) ** 2 / (len(found) / trials)
            total += weight * _divergence(distribution, among_best, found)
    return total * (best / trials) ** 2


def _divergence(distribution: BaseDistribution, best: Sequence[Observation], every: Sequence[Observation]) -> float:
    """Return Pearson's divergence of the density of the best trials' values from that of all trials' values."""
    density_of_best = _density(distribution, [observation.value for observation in best])
    density = _density(distribution, [observation.value for observation in every])
    return float(density @ (density_of_best / density - 1.0) ** 2)


def _density(distribution: BaseDistribution, values: Sequence[Scalar]) -> Array:
    """Return the estimated probability of each cell of a parameter's range, (cells,)."""
    if isinstance(distribution, CategoricalDistribution):
        choices = [int(distribution.to_internal_repr(value)) for value in values]
        counts: Array = np.bincount(choices, minlength=len(distribution.choices))
    else:
        counts = _count_by_cell(distribution, np.array(values, dtype=np.float64))
    cells, occupied = np.arange(len(counts)), np.flatnonzero(counts)
    weights = np.append(counts[occupied], 1.0)  # the last kernel is the prior's
    kernels: Categories | Normals
    if isinstance(distribution, CategoricalDistribution):
        kernels = Categories.around(occupied, distribution)
    else:
        kernels = _normals(counts, occupied)
    with np.errstate(under="ignore"):  # far from a kernel, its density is 0
        found: Array = np.exp(kernels.log_density(cells)) @ (weights / weights.sum()) + MIN_DENSITY
    return found


def _count_by_cell(distribution: BaseDistribution, values: Array) -> Array:
    """Return how many of the values lie in each cell of the range, (cells,)."""
    if not isinstance(distribution, (FloatDistribution, IntDistribution)):
        raise TypeError(f"{distribution!r} is not a distribution of Optuna")
    low, high, cells = distribution.low, distribution.high, MAX_CELLS
    if isinstance(distribution, IntDistribution) and distribution.log:
        cells = min(MAX_CELLS, int(np.ceil(np.log2(high - low + 1))) + 1)
    elif distribution.step is not None:
        cells = min(MAX_CELLS, round((high - low) / distribution.step) + 1)
    if distribution.log:
        low, high, values = np.log(low), np.log(high), np.log(values)
    nearest = np.ceil((values - low) / ((high - low) / (cells - 1)) - 0.5).astype(np.intp)
    found: Array = np.bincount(np.clip(nearest, 0, cells - 1), minlength=cells)
    return found


def _normals(counts: Array, occupied: Array) -> Normals:
    """Return a kernel at each cell that has a value, as wide as Scott's rule has it, and that of the prior."""
    values, last = np.repeat(np.arange(len(counts)), counts), float(len(counts) - 1)
    n = len(values)
    deviation = float(np.sqrt(((values - values.mean()) ** 2).sum() / max(1, n - 1)))
    quartiles = float(values[3 * n // 4] - values[max(n // 4 - 1, 0)])
    width = max(1.059 * min(quartiles / 1.34, deviation) * n**-0.2, MIN_WIDTH)
    mu = np.append(occupied, last / 2.0)
    sigma = np.append(np.full(len(occupied), width), last + 1.0)
    return Normals(mu, sigma, -0.5, last + 0.5, IntDistribution(0, len(counts) - 1))
