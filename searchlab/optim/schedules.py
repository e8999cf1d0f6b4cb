"""Learning-rate schedules: the factor of each replica's learning rate, step by step; all arrays live on the host."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

from searchlab.backend import Array
from searchlab.replicas import HasReplicaAxis, PerReplica, Replicas


class Schedule(HasReplicaAxis, ABC):
    """The factor of the learning rate over the course of training: that of `factors`, times that of the warm-up.

    A constructor takes the replicas and the number of epochs by position and the rest by keyword. During warm-up the
    factor rises linearly, and multiplies that of the schedule, which is not delayed.

    Args:
        replicas: The replicas.
        epochs: Number of epochs of the whole training.
        warmup: Number of warm-up epochs, a fraction allowed; default 0.

    Raises:
        UserMistake: When an argument is out of range.

    Reference:
        For the warm-up, Goyal et al. (2017).

    Example:
        >>> from searchlab.optim.schedules import Schedule
        >>> import numpy as np
        >>> from searchlab.nn import Replicas
        >>> class LinearDecay(Schedule):
        ...     def factors(self, elapsed):
        ...         return 1.0 - elapsed[:, None] / self.epochs
        >>> [LinearDecay(Replicas([1]), 4).epoch_factors(epoch, 1).tolist() for epoch in range(4)]
        [[[1.0]], [[0.75]], [[0.5]], [[0.25]]]
    """

    def __init__(self, replicas: Replicas, epochs: int, *, warmup: PerReplica = 0.0) -> None:
        self.epochs = epochs
        self.warmup = replicas.validated(self, "warmup", warmup, "of at least 0", lambda epochs: epochs >= 0.0)

    @abstractmethod
    def factors(self, elapsed: Array) -> Array:
        """Return the factors without warm-up.

        Args:
            elapsed: Epochs since the start of training, fractions included (steps,).

        Returns:
            Factors (steps, R), or (1, R) where they are the same at all steps.
        """

    def epoch_factors(self, epoch: int, steps: int) -> Array:
        """Return the factors at each step of one epoch, warm-up included.

        Args:
            epoch: Number of epochs that are finished.
            steps: Number of steps of the epoch.

        Returns:
            Factors (steps, R), float64.
        """
        elapsed = epoch + np.arange(steps + 1) / steps  # before each step, and after the last
        # warm-up counts from the end of a step, so that even the first step changes the parameters
        warmup_progress = elapsed[1:, None] / np.maximum(self.warmup, 1e-9)
        factors: Array = self.factors(elapsed[:-1]) * np.minimum(warmup_progress, 1.0)
        return factors

    def record(self, value: Array) -> None:
        """Record the result of an epoch.

        Args:
            value: One value per replica (R,), where smaller is better, and NaN means that the replica diverged.
        """

    def state(self) -> dict[str, Array]:
        """Return what is kept from epoch to epoch, by attribute name: (R,) each."""
        return {}

    def restore(self, state: dict[str, Array]) -> None:
        """Take the arrays of `state`.

        Args:
            state: Arrays (R,) by name, as `state` returns them.

        Raises:
            ValueError: When a name or a shape differs from those of this schedule.
        """
        own = self.state()
        if set(state) != set(own):
            raise ValueError(f"{type(self).__name__} expected the state {sorted(own)}; got {sorted(state)}")
        for name, value in state.items():
            if value.shape != own[name].shape:
                raise ValueError(f"{name} has shape {own[name].shape} here and {value.shape} in the saved state")
            setattr(self, name, np.array(value, dtype=np.float64))

    def _validated_factor(self, replicas: Replicas, name: str, value: PerReplica) -> Array:
        """Return an argument in (0, 1] as a host vector (R,) of float64; raise UserMistake otherwise."""
        return replicas.validated(
            self, name, value, "above 0 and at most 1", lambda factors: (factors > 0.0) & (factors <= 1.0)
        )


class Constant(Schedule):
    """A constant learning rate, after the warm-up if there is one.

    Args:
        replicas: The replicas.
        epochs: Number of epochs of the whole training.
        warmup: Number of warm-up epochs; default 0.

    Raises:
        UserMistake: When an argument is out of range.

    Example:
        >>> from searchlab import Constant
        >>> from searchlab.nn import Replicas
        >>> Constant(Replicas([1, 2]), 10, warmup=[0, 1]).epoch_factors(0, 2).tolist()  # two steps, two replicas
        [[1.0, 0.5], [1.0, 1.0]]
    """

    def factors(self, elapsed: Array) -> Array:
        return np.ones((len(elapsed), len(self.warmup)))


class StepDecay(Schedule):
    """A learning rate that is multiplied by `factor` after each `every` epochs.

    Args:
        replicas: The replicas.
        epochs: Number of epochs of the whole training.
        every: Epochs between two decreases, above 0.
        factor: Factor of each decrease, in (0, 1]; default 0.5 (0.1 in the references).
        warmup: Number of warm-up epochs; default 0.

    Raises:
        UserMistake: When an argument is out of range.

    Reference:
        Krizhevsky et al. (2012); He et al. (2016).

    Example:
        >>> from searchlab import StepDecay
        >>> from searchlab.nn import Replicas
        >>> schedule = StepDecay(Replicas([1]), 10, every=2)
        >>> [schedule.epoch_factors(epoch, 1).item() for epoch in range(5)]
        [1.0, 1.0, 0.5, 0.5, 0.25]
    """

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
        self.every = replicas.validated(self, "every", every, "above 0", lambda every: every > 0.0)
        self.factor = self._validated_factor(replicas, "factor", factor)

    def factors(self, elapsed: Array) -> Array:
        # 0.3 / 0.1 is a little less than 3
        factors: Array = self.factor ** np.floor(elapsed[:, None] / self.every + 1e-9)
        return factors


class ExponentialDecay(Schedule):
    """A learning rate that is multiplied by `rate` per epoch, a little at every step: rate ** elapsed epochs.

    Args:
        replicas: The replicas.
        epochs: Number of epochs of the whole training.
        rate: Factor per epoch, in (0, 1]; default 0.95.
        warmup: Number of warm-up epochs; default 0.

    Raises:
        UserMistake: When an argument is out of range.

    Example:
        >>> from searchlab import ExponentialDecay
        >>> from searchlab.nn import Replicas
        >>> ExponentialDecay(Replicas([1]), 10, rate=0.25).epoch_factors(1, 2).tolist()  # after 1 and 1.5 epochs
        [[0.25], [0.125]]
    """

    def __init__(self, replicas: Replicas, epochs: int, *, rate: PerReplica = 0.95, warmup: PerReplica = 0.0) -> None:
        super().__init__(replicas, epochs, warmup=warmup)
        self.rate = self._validated_factor(replicas, "rate", rate)

    def factors(self, elapsed: Array) -> Array:
        factors: Array = self.rate ** elapsed[:, None]
        return factors


class CosineDecay(Schedule):
    """A learning rate that falls along half a cosine, to `floor` times itself after the last epoch.

    Args:
        replicas: The replicas.
        epochs: Number of epochs of the whole training.
        floor: Factor after the last epoch, in [0, 1]; default 0.
        warmup: Number of warm-up epochs; default 0.

    Raises:
        UserMistake: When an argument is out of range.

    Reference:
        Loshchilov and Hutter (2017), without their warm restarts.

    Example:
        >>> from searchlab import CosineDecay
        >>> from searchlab.nn import Replicas
        >>> schedule = CosineDecay(Replicas([1]), 4)
        >>> [round(schedule.epoch_factors(epoch, 1).item(), 3) for epoch in range(4)]
        [1.0, 0.854, 0.5, 0.146]
    """

    def __init__(self, replicas: Replicas, epochs: int, *, floor: PerReplica = 0.0, warmup: PerReplica = 0.0) -> None:
        super().__init__(replicas, epochs, warmup=warmup)
        self.floor = replicas.validated(self, "floor", floor, "from 0 to 1", lambda floor: (floor >= 0) & (floor <= 1))

    def factors(self, elapsed: Array) -> Array:
        progress = np.minimum(elapsed[:, None] / self.epochs, 1.0)
        factors: Array = self.floor + (1.0 - self.floor) * (1.0 + np.cos(np.pi * progress)) / 2.0
        return factors


class Plateau(Schedule):
    """A learning rate that is multiplied by `factor` when a replica's recorded values stop improving.

    A value improves when it is below the best one by more than `threshold`; NaN does not improve. The rate falls after
    more than `patience` epochs in a row without improvement. The refit of a winner, which holds no rows out, replays
    the factors of its folds.

    Args:
        replicas: The replicas.
        epochs: Number of epochs of the whole training.
        factor: Factor of each decrease, in (0, 1]; default 0.25.
        patience: Epochs without improvement that are tolerated, at least 0; default 0.
        threshold: Smallest decrease that counts as improvement, at least 0; default 0.
        warmup: Number of warm-up epochs; default 0.

    Raises:
        UserMistake: When an argument is out of range.

    Reference:
        Deep Learning from Scratch 2, chapter 6, with a factor of 0.25 and no patience; Keras' ReduceLROnPlateau.

    Example:
        >>> from searchlab import Plateau
        >>> import numpy as np
        >>> from searchlab.nn import Replicas
        >>> schedule = Plateau(Replicas([1, 2]), 10)
        >>> schedule.record(np.array([3.0, 3.0]))
        >>> schedule.record(np.array([2.0, 3.5]))  # the second replica got worse
        >>> schedule.epoch_factors(2, 1).tolist()
        [[1.0, 0.25]]
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
        self.factor = self._validated_factor(replicas, "factor", factor)
        self.patience = replicas.validated(self, "patience", patience, "of at least 0", lambda epochs: epochs >= 0.0)
        self.threshold = replicas.validated(
            self, "threshold", threshold, "of at least 0", lambda decrease: decrease >= 0.0
        )
        self.best = np.full(replicas.count, np.inf)
        self.waited = np.zeros(replicas.count)  # epochs since the best value, or since the last decrease of the rate
        self.level = np.ones(replicas.count)  # the current factor

    def factors(self, elapsed: Array) -> Array:
        return self.level[None]

    def record(self, value: Array) -> None:
        """Lower the rate of the replicas whose values (R,) have not improved for more than `patience` epochs."""
        improves = value < self.best - self.threshold
        self.best = np.where(improves, value, self.best)
        self.waited = np.where(improves, 0.0, self.waited + 1.0)
        falls = self.waited > self.patience
        self.level = np.where(falls, self.level * self.factor, self.level)
        self.waited = np.where(falls, 0.0, self.waited)

    def state(self) -> dict[str, Array]:
        """Return the best value, the epochs waited since, and the current factor."""
        return {"best": self.best.copy(), "waited": self.waited.copy(), "level": self.level.copy()}
