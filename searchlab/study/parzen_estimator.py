"""Parzen estimators as Optuna's TPE has them, in whole arrays: Optuna's own loop over single numbers in Python."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from scipy.special import log_ndtr, ndtr, ndtri_exp

from searchlab.backend import Array

FULL_WEIGHT_TRIALS = 25  # the latest trials, which weigh as much as the prior; earlier ones weigh less
MAX_KERNELS_OF_WIDTH = 100.0  # a kernel is at least as wide as the range divided by this
LOG_ROOT_2PI = 0.5 * np.log(2.0 * np.pi)


class ParzenEstimator:
    """The density of some trials' parameters: a mixture with a kernel for each trial, and one for the prior.

    A kernel is a product of independent distributions. Samples and densities are those of Optuna's TPE, from the same
    random numbers, up to rounding.

    Args:
        observations: The values of each parameter in the order of the trials, (n,) by name, as `to_internal_repr`
            gives them.
        space: The distributions of the parameters by name.

    Reference:
        Bergstra et al. (2011), Algorithms for hyper-parameter optimization; Watanabe (2023), Tree-structured Parzen
        estimator: understanding its algorithm components and their roles for better empirical performance.

    Example:
        >>> import numpy as np
        >>> from optuna.distributions import FloatDistribution
        >>> from searchlab.study.parzen_estimator import ParzenEstimator
        >>> estimator = ParzenEstimator({"x": np.full(20, 0.3)}, {"x": FloatDistribution(0.0, 1.0)})
        >>> near, far = estimator.log_density({"x": np.array([0.3, 0.9])})
        >>> bool(near > far)
        True
    """

    def __init__(self, observations: Mapping[str, Array], space: Mapping[str, BaseDistribution]) -> None:
        count = len(next(iter(observations.values())))
        weights = np.append(trial_weights(count), 1.0)
        self._weights: Array = weights / weights.sum()  # (n + 1,), the last one is the prior's
        self._kernels: dict[str, Categories | Normals] = {
            name: Categories.around(observations[name], distribution)
            if isinstance(distribution, CategoricalDistribution)
            else Normals.around(observations[name], distribution)
            for name, distribution in space.items()
        }

    def sample(self, generator: np.random.RandomState, size: int) -> dict[str, Array]:
        """Return values of each parameter, (size,) by name."""
        chosen = generator.choice(len(self._weights), p=self._weights, size=size)
        normals = {name: each for name, each in self._kernels.items() if isinstance(each, Normals)}
        categories = {name: each for name, each in self._kernels.items() if isinstance(each, Categories)}
        found = {name: each.at(chosen, generator.rand(size)) for name, each in categories.items()}
        quantiles = generator.uniform(size=(len(normals), size))
        found |= {name: each.at(chosen, q) for (name, each), q in zip(normals.items(), quantiles, strict=True)}
        return {name: found[name] for name in self._kernels}

    def log_density(self, values: Mapping[str, Array]) -> Array:
        """Return the logarithm of the density (m,) at values of each parameter, (m,) by name, within their ranges."""
        logs = np.log(self._weights) + sum(each.log_density(values[name]) for name, each in self._kernels.items())
        largest = logs.max(axis=1)  # of (m, n + 1)
        largest[np.isneginf(largest)] = 0.0
        logs -= largest[:, None]
        with np.errstate(divide="ignore", under="ignore"):  # far from all kernels the density is 0
            found: Array = np.log(np.exp(logs).sum(axis=1)) + largest
        return found


def trial_weights(count: int) -> Array:
    """Return the weights of trials in their order, (count,): 1 for the latest ones, and less for each earlier one."""
    early = max(0, count - FULL_WEIGHT_TRIALS)
    return np.append(np.linspace(1.0 / max(count, 1), 1.0, num=early), np.ones(count - early))


@dataclass(frozen=True)
class Categories:
    """The probability of each choice of a parameter in each kernel, (n, choices)."""

    probabilities: Array

    @staticmethod
    def around(observed: Array, distribution: CategoricalDistribution) -> Categories:
        """Return kernels around the numbers of observed choices (n - 1,), and that of the prior."""
        counts = np.full((len(observed) + 1, len(distribution.choices)), 1.0 / (len(observed) + 1))
        counts[np.arange(len(observed)), observed.astype(np.intp)] += 1.0
        return Categories(counts / counts.sum(axis=1, keepdims=True))

    def at(self, kernels: Array, quantiles: Array) -> Array:
        """Return the choice at each quantile (m,) of these kernels (m,)."""
        bounds = np.cumsum(self.probabilities[kernels], axis=1)
        bounds[:, -1] = 1.0  # rounding
        found: Array = (bounds < quantiles[:, None]).sum(axis=1).astype(np.float64)
        return found

    def log_density(self, values: Array) -> Array:
        """Return the logarithm of the probability of each value (m,) in each kernel, (m, n)."""
        found: Array = np.log(self.probabilities.T[values.astype(np.intp)])
        return found


@dataclass(frozen=True)
class Normals:
    """The normal distribution of a number in each kernel, truncated to its range, on a logarithmic scale if it has one.

    Attributes:
        mu: Mean of each kernel (n,).
        sigma: Standard deviation of each kernel (n,).
        low: Lower end of the range, on the scale of `mu`; half a step below the smallest value if there are steps.
        high: Upper end.
        distribution: The range.
    """

    mu: Array
    sigma: Array
    low: float
    high: float
    distribution: FloatDistribution | IntDistribution

    @staticmethod
    def around(observed: Array, distribution: BaseDistribution) -> Normals:
        """Return kernels around observed numbers (n - 1,), and that of the prior, which covers the range."""
        if not isinstance(distribution, (FloatDistribution, IntDistribution)):
            raise TypeError(f"{distribution!r} is not a distribution of Optuna")
        half_step = (distribution.step or 0.0) / 2.0
        low, high = distribution.low - half_step, distribution.high + half_step
        if distribution.log:
            observed, low, high = np.log(observed), np.log(low), np.log(high)
        mu, sigma = np.append(observed, 0.5 * (low + high)), np.append(_widths(observed, low, high), high - low)
        return Normals(mu, sigma, float(low), float(high), distribution)

    def at(self, kernels: Array, quantiles: Array) -> Array:
        """Return the number at each quantile (m,) of these kernels (m,)."""
        mu, sigma, it = self.mu[kernels], self.sigma[kernels], self.distribution
        found: Array = _truncated_quantiles(quantiles, (self.low - mu) / sigma, (self.high - mu) / sigma) * sigma + mu
        if it.log:
            found = np.exp(found)
        if it.step:
            found = np.clip(it.low + np.round((found - it.low) / it.step) * it.step, it.low, it.high)
        return found

    def log_density(self, values: Array) -> Array:
        """Return the logarithm of the density of each value (m,) in each kernel, (m, n); of steps, the probability."""
        if self.distribution.step:
            return self._log_step_probability(values)
        found: Array = (np.log(values) if self.distribution.log else values)[:, None] - self.mu
        found /= self.sigma
        found *= found
        found *= -0.5
        found -= self._log_mass_within(self.mu, self.sigma) + np.log(self.sigma) + LOG_ROOT_2PI
        return found

    def _log_step_probability(self, values: Array) -> Array:
        steps, number = np.unique(values, return_inverse=True)
        half = (self.distribution.step or 0.0) / 2.0
        left, right = steps - half, steps + half
        if self.distribution.log:
            left, right = np.log(left), np.log(right)
        # few kernels are distinct, and each is computed once
        kernels, number_of_kernel = np.unique(self.mu + 1j * self.sigma, return_inverse=True)
        mu, sigma = kernels.real, kernels.imag
        logs = _log_mass((left[:, None] - mu) / sigma, (right[:, None] - mu) / sigma)
        logs -= self._log_mass_within(mu, sigma)
        found: Array = logs[np.ix_(number, number_of_kernel)]
        return found

    def _log_mass_within(self, mu: Array, sigma: Array) -> Array:
        """Return the logarithm of the probability of the range under normal distributions that are not truncated."""
        return _log_mass_around_0((self.low - mu) / sigma, (self.high - mu) / sigma)


def _widths(observed: Array, low: float, high: float) -> Array:
    """Return the standard deviation of the kernel around each number (n,): the distance to the farther neighbor."""
    order = np.argsort(observed)
    gaps = np.diff(np.concatenate([[low], observed[order], [high]]))
    widths = np.maximum(gaps[:-1], gaps[1:])
    if len(observed) > 1:  # the ends of the range are no neighbors
        widths[0], widths[-1] = gaps[1], gaps[-2]
    found = np.empty_like(widths)
    found[order] = widths
    smallest = (high - low) / min(MAX_KERNELS_OF_WIDTH, 2.0 + len(observed))
    return np.clip(found, smallest, high - low)


def _log_mass(a: Array, b: Array) -> Array:
    """Return the logarithm of the standard normal probability of each interval from a to b."""
    is_right = a > 0.0  # mirrored, since the left tail is the accurate one
    low, high = np.where(is_right, -b, a), np.where(is_right, -a, b)
    with np.errstate(divide="ignore", invalid="ignore", under="ignore"):
        log_high = log_ndtr(high)
        tail = log_high + np.log1p(-np.exp(log_ndtr(low) - log_high))
        found: Array = np.where(high <= 0.0, tail, _log_mass_around_0(low, high))
    return found


def _log_mass_around_0(a: Array, b: Array) -> Array:
    """Return the logarithm of the standard normal probability of each interval from a <= 0 to b >= 0."""
    with np.errstate(divide="ignore", invalid="ignore", under="ignore"):
        found: Array = np.log1p(-ndtr(a) - ndtr(-b))
    return found


def _truncated_quantiles(q: Array, a: Array, b: Array) -> Array:
    """Return the quantiles q of the standard normal distribution between a <= 0 and b >= 0."""
    mass = _log_mass_around_0(a, b)
    with np.errstate(divide="ignore", under="ignore"):
        from_left = ndtri_exp(np.logaddexp(log_ndtr(a), np.log(q) + mass))
        from_right = -ndtri_exp(np.logaddexp(log_ndtr(-b), np.log1p(-q) + mass))
    found: Array = np.clip(np.where(a < 0.0, from_left, from_right), a, b)  # each where it is the accurate one
    return found
