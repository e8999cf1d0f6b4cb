"""Learning-rate schedules: what each replica's rate is multiplied by, step by step; all arrays live on the host."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

import numpy as np

from searchlab.backend import Array
from searchlab.errors import UserMistake
from searchlab.replicas import Fused, PerReplica, Replicas


class Schedule(Fused, ABC):
    """What the learning rate is multiplied by as training goes on: `factors`, times a rise over the first epochs.

    A constructor takes the replicas and the number of epochs by position and the rest by keyword. The rate rises
    linearly over the first `warmup` epochs (Goyal et al. 2017), while the schedule itself goes on as it would without.
    """

    def __init__(self, replicas: Replicas, epochs: int, *, warmup: PerReplica = 0.0) -> None:
        self.epochs = epochs
        self.warmup = self._given(replicas, "warmup", warmup, "of at least 0", lambda epochs: epochs >= 0.0)

    @abstractmethod
    def factors(self, elapsed: Array) -> Array:
        """The factor when so many epochs (steps,) have gone by, fractions among them: (steps, R), or (1, R) for all."""

    def epoch(self, epoch: int, steps: int) -> Array:
        """The factors (steps, R), warm-up included, at each step of the epoch that follows `epoch` finished ones."""
        done = epoch + np.arange(steps + 1) / steps  # before each step, and after the last
        risen = done[1:, None] / np.maximum(self.warmup, 1e-9)  # after each step: even the first one moves
        factors: Array = self.factors(done[:-1]) * np.minimum(risen, 1.0)
        return factors

    def see(self, value: Array) -> None:
        """Learn how an epoch went: value (R,), smaller is better, NaN where it diverged."""

    def state(self) -> dict[str, Array]:
        """What it remembers from epoch to epoch, by the name of the attribute: (R,) each."""
        return {}

    def restore(self, state: dict[str, Array]) -> None:
        """Take what `state` gave; raises ValueError when it is another schedule's."""
        mine = self.state()
        if set(state) != set(mine):
            raise ValueError(f"{type(self).__name__} expected {sorted(mine)}, got {sorted(state)}")
        for name, value in state.items():
            if value.shape != mine[name].shape:
                raise ValueError(f"{name} is {mine[name].shape} here and {value.shape} in the saved state")
            setattr(self, name, np.array(value, dtype=np.float64))

    def _given(
        self, replicas: Replicas, name: str, value: PerReplica, needed: str, fine: Callable[[Array], Array]
    ) -> Array:
        """An argument as a host vector (R,) of float64; raises UserMistake where it is not `fine`."""
        values = Replicas(range(replicas.count), dtype=np.float64).vector(value)
        wrong = values[~(np.isfinite(values) & fine(values))]
        if wrong.size:
            raise UserMistake(f"{type(self).__name__} needs a finite {name} {needed}, got {wrong[0]:g}.")
        return values


class Constant(Schedule):
    """The rate stays as it is, after the warm-up if there is one."""

    def factors(self, elapsed: Array) -> Array:
        return np.ones((len(elapsed), len(self.warmup)))


class StepDecay(Schedule):
    """The rate is multiplied by `factor` after each `every` epochs (Krizhevsky et al. 2012 and He et al. 2016: 0.1)."""

    def __init__(
        self,
        replicas: Replicas,
        epochs: int,
        *,
        every: PerReplica,
        factor: PerReplica = 0.5,
        warmup: PerReplica = 0.0,
    ) -> None:
        super().__init__(replicas, epochs, warmup=warmup)
        self.every = self._given(replicas, "every", every, "above 0", lambda every: every > 0.0)
        self.factor = self._given(replicas, "factor", factor, "above 0 and at most 1", _is_share)

    def factors(self, elapsed: Array) -> Array:
        factors: Array = self.factor ** np.floor(elapsed[:, None] / self.every)
        return factors


class ExponentialDecay(Schedule):
    """The rate is multiplied by `rate` per epoch, a little at every step: rate ** epochs gone by."""

    def __init__(self, replicas: Replicas, epochs: int, *, rate: PerReplica = 0.95, warmup: PerReplica = 0.0) -> None:
        super().__init__(replicas, epochs, warmup=warmup)
        self.rate = self._given(replicas, "rate", rate, "above 0 and at most 1", _is_share)

    def factors(self, elapsed: Array) -> Array:
        factors: Array = self.rate ** elapsed[:, None]
        return factors


class CosineDecay(Schedule):
    """The rate falls along half a cosine, to `floor` times itself when all epochs are done.

    Loshchilov and Hutter (2017), without their warm restarts.
    """

    def __init__(self, replicas: Replicas, epochs: int, *, floor: PerReplica = 0.0, warmup: PerReplica = 0.0) -> None:
        super().__init__(replicas, epochs, warmup=warmup)
        self.floor = self._given(replicas, "floor", floor, "from 0 to 1", lambda floor: (floor >= 0) & (floor <= 1))

    def factors(self, elapsed: Array) -> Array:
        share = np.minimum(elapsed[:, None] / self.epochs, 1.0)
        factors: Array = self.floor + (1.0 - self.floor) * (1.0 + np.cos(np.pi * share)) / 2.0
        return factors


class Plateau(Schedule):
    """A replica's rate is multiplied by `factor` when what it sees gets better no more.

    Better is lower than the best so far by more than `threshold`; NaN is not. `patience` epochs in a row that are not
    better are borne before the rate falls. To a quarter, after the first: Deep Learning from Scratch 2, chapter 6.
    """

    def __init__(
        self,
        replicas: Replicas,
        epochs: int,
        *,
        factor: PerReplica = 0.25,
        patience: PerReplica = 0,
        threshold: PerReplica = 0.0,
        warmup: PerReplica = 0.0,
    ) -> None:
        super().__init__(replicas, epochs, warmup=warmup)
        self.factor = self._given(replicas, "factor", factor, "above 0 and at most 1", _is_share)
        self.patience = self._given(replicas, "patience", patience, "of at least 0", lambda epochs: epochs >= 0.0)
        self.threshold = self._given(replicas, "threshold", threshold, "of at least 0", lambda least: least >= 0.0)
        self.best = np.full(replicas.count, np.inf)
        self.waited = np.zeros(replicas.count)  # epochs since the best, or since the rate last fell
        self.level = np.ones(replicas.count)  # the factor now

    def factors(self, elapsed: Array) -> Array:
        return self.level[None]

    def see(self, value: Array) -> None:
        """Lower the rate of the replicas that have waited too long for a value (R,) below their best."""
        better = value < self.best - self.threshold
        self.best = np.where(better, value, self.best)
        self.waited = np.where(better, 0.0, self.waited + 1.0)
        falls = self.waited > self.patience
        self.level = np.where(falls, self.level * self.factor, self.level)
        self.waited = np.where(falls, 0.0, self.waited)

    def state(self) -> dict[str, Array]:
        """The best value, the epochs waited since, and the factor now."""
        return {"best": self.best.copy(), "waited": self.waited.copy(), "level": self.level.copy()}


def _is_share(values: Array) -> Array:
    fine: Array = (values > 0.0) & (values <= 1.0)
    return fine
