"""The trainer: owns one run of R replicas and moves it on by an epoch when asked."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import numpy as np

from searchlab.backend import Array, to_device, to_host
from searchlab.data.augmentation import Augmentation
from searchlab.data.batch import Batch
from searchlab.data.loaded import LoadedDataset
from searchlab.data.splits import Split
from searchlab.errors import UserMistake
from searchlab.metrics import Metric
from searchlab.nn.module import Carry, Model
from searchlab.nn.parameter import Parameters
from searchlab.optim import Optimizer, clip_joint_norm
from searchlab.optim.schedules import Schedule
from searchlab.replicas import Fused, PerReplica, Replicas

BuildModel: TypeAlias = Callable[..., Model]
BuildOptimizer: TypeAlias = Callable[[Parameters, Replicas], Optimizer]
BuildSchedule: TypeAlias = Callable[[Replicas, int], Schedule]
BuildAugmentation: TypeAlias = Callable[[Replicas, tuple[int, int] | None], Augmentation]

EXPLODED = 100.0  # times the loss of the very first batch: no run that learns has a whole epoch this bad


@dataclass(frozen=True)
class EpochReport:
    """What one epoch gave: training loss (nats per target) and held-out score of each replica (R,), on the host.

    `others` (R, M - 1) are the scores by the metrics after the first of M; (R, 0) where there is but one.
    """

    epoch: int
    loss: Array
    score: Array
    failures: tuple[str | None, ...]  # per replica, why it diverged; None while it is well
    seconds: float
    time: float  # seconds since 1970 when the epoch ended
    others: Array = field(default_factory=lambda: np.empty((0, 0)))

    def __post_init__(self) -> None:
        if not len(self.others):  # of one metric nobody has to say that there are no others
            object.__setattr__(self, "others", np.empty((len(self.score), 0)))


class Trainer(Fused):
    """One run of R replicas: `advance` trains an epoch, measures, and returns a Report.

    Replica r trains on row r of the split. `l2` adds l2 / 2 times the sum of all squared weights to the loss that is
    descended (not to the one reported), biases left out. Gradients are clipped per replica to `clip_norm` where it is
    given. A `schedule` moves the optimizer's `lr`; an `augmentation` changes the training inputs. Of several metrics
    the first is the primary one: its values are the report's `score` and what a schedule sees.
    """

    def __init__(
        self,
        replicas: Replicas,
        data: LoadedDataset,
        split: Split,
        metric: Metric | Sequence[Metric],
        model: BuildModel,
        optimizer: BuildOptimizer,
        *,
        batch_size: int = 32,
        epochs: int = 20,
        clip_norm: PerReplica | None = None,
        l2: PerReplica = 0.0,
        schedule: BuildSchedule | None = None,
        augmentation: BuildAugmentation | None = None,
    ) -> None:
        if batch_size < 1 or epochs < 1:
            raise UserMistake(f"Trainer needs batch_size >= 1 and epochs >= 1, got {batch_size} and {epochs}.")
        if not np.all(np.asarray(1.0 if clip_norm is None else clip_norm) > 0.0) or not np.all(np.asarray(l2) >= 0.0):
            raise UserMistake(f"Trainer needs clip_norm > 0 and l2 >= 0, got {clip_norm} and {l2}.")
        self.replicas, self.data, self.split = replicas, data.fitted(split), split
        self.metrics = tuple(metric) if isinstance(metric, Sequence) else (metric,)
        self.metric = self.metrics[0]
        self.batch_size, self.epochs, self.epoch = batch_size, epochs, 0
        self.model = model(replicas, *data.sizes)
        self.parameters = Parameters(self.model.parameters())
        self.optimizer = optimizer(self.parameters, replicas)
        self.clip_norm = None if clip_norm is None else replicas.vector(clip_norm)
        self.l2 = replicas.vector(l2) if np.any(np.asarray(l2)) else None
        self.schedule = schedule(replicas, epochs) if schedule else None
        self.lr = self._lr() if schedule else None  # (R,): the rate that the schedule multiplies
        self.augmentation = augmentation(replicas, data.image) if augmentation else None
        self.first_loss: Array | None = None  # (R,) of the first batch, before any update

    def advance(self) -> EpochReport:
        """Train one epoch and measure each replica on its held-out rows. A replica that diverges harms no other."""
        started = time.perf_counter()
        with np.errstate(all="ignore"):  # NaN and overflow are answered by the report, lane by lane
            loss = self._train()
            measured = self._measure()
        self.epoch += 1
        losses, scores = to_host(loss).astype(np.float64), measured[:, 0]
        if self.schedule:
            self.schedule.see(losses if not self._judged else -scores if self.metric.goal == "max" else scores)
        failures = tuple(self._failures(losses, measured))
        seconds = time.perf_counter() - started
        return EpochReport(self.epoch, losses, scores, failures, seconds, time.time(), measured[:, 1:])

    def step(self, batch: Batch, carry: Carry = None) -> tuple[Array, Carry]:
        """One step of every replica: forward, backward, clip, update. Returns the loss (R,) and the carry."""
        if self.augmentation:
            batch = replace(batch, x=self.augmentation.change(batch.x))
        loss, carry = self.model.forward(batch, carry, train=True)
        self.parameters.start_pass()
        self.model.backward()
        if self.l2 is not None:
            self.parameters.decay(self.l2)
        if self.clip_norm is not None:
            clip_joint_norm(self.parameters.grads, self.clip_norm)
        self.optimizer.update()
        return loss, carry

    def keep_own(self, rows: Array) -> None:
        """Go on with the folds of these replicas."""
        self.split = self.split[rows]
        super().keep_own(rows)

    def state(self) -> dict[str, Array]:
        """Everything that a checkpoint needs, as host arrays (R, ...) by name."""
        state = {f"{room}/{name}": array for room, owner in self._rooms() for name, array in owner.state().items()}
        if self.first_loss is not None:
            state["first_loss"] = to_host(self.first_loss)
        return state

    def restore(self, epoch: int, state: dict[str, Array]) -> None:
        """Go on from `state`, taken after `epoch` epochs; raises ValueError when it belongs to another structure."""
        for room, owner in self._rooms():
            prefix = f"{room}/"
            owner.restore({name.removeprefix(prefix): a for name, a in state.items() if name.startswith(prefix)})
        if "first_loss" in state:
            self.first_loss = to_device(state["first_loss"], self.replicas.device)
        self.epoch = epoch

    @property
    def _judged(self) -> bool:
        """Whether rows are held out: the refit on all rows holds nothing out."""
        return bool(self.split.held_out.counts.any())

    def _rooms(self) -> list[tuple[str, Parameters | Optimizer | Replicas | Schedule]]:
        schedule: list[tuple[str, Schedule]] = [("schedule", self.schedule)] if self.schedule else []
        return [("parameters", self.parameters), ("optimizer", self.optimizer), ("replicas", self.replicas), *schedule]

    def _lr(self) -> Array:
        rate: Array | None = getattr(self.optimizer, "lr", None)
        if rate is None:
            raise UserMistake(f"{type(self.optimizer).__name__} has no learning rate `lr` for a schedule to move.")
        return rate

    def _rates(self) -> Array | None:
        """The learning rate of each replica at each step of the epoch to come: (steps, R)."""
        if self.schedule is None or self.lr is None:
            return None
        factors = self.schedule.epoch(self.epoch, self.data.steps(self.split, self.batch_size))
        rates: Array = to_device(factors.astype(self.replicas.dtype), self.replicas.device) * self.lr
        return rates

    def _train(self) -> Array:
        total, steps, carry, rates = self.replicas.zeros(), 0, None, self._rates()
        for batch in self.data.epoch(self.split, self.replicas, self.batch_size):
            if rates is not None:
                self.optimizer.lr = rates[steps]
            loss, carry = self.step(batch, carry)
            if self.first_loss is None:
                self.first_loss = loss
            total += loss
            steps += 1
        return total / steps

    def _measure(self) -> Array:
        """Every metric of every replica on its held-out rows: (R, M) on the host, NaN where none are held out."""
        if not self._judged:
            return np.full((self.replicas.count, len(self.metrics)), np.nan)
        rows = self.split.held_out
        columns = [to_host(metric.measure(self.model, self.data.scoring(rows))) for metric in self.metrics]
        return np.stack(columns, axis=1).astype(np.float64)

    def _failures(self, losses: Array, measured: Array) -> list[str | None]:
        first = to_host(self.first_loss) if self.first_loss is not None else losses
        return [
            _failure(self.epoch, float(loss), self._scores(row), float(start))
            for loss, row, start in zip(losses, measured, first, strict=True)
        ]

    def _scores(self, row: Array) -> dict[str, float]:
        """What a replica scored, by metric; nothing where no rows are held out."""
        names = [metric.name for metric in self.metrics]
        return dict(zip(names, row.tolist(), strict=True)) if self._judged else {}


def _failure(epoch: int, loss: float, scores: Mapping[str, float], start: float) -> str | None:
    if not np.isfinite(loss):
        return f"diverged in epoch {epoch}: the training loss is {loss}"
    for metric, score in scores.items():
        if not np.isfinite(score):
            return f"diverged in epoch {epoch}: the {metric} is {score}"
    if loss > EXPLODED * max(start, 1e-3):
        return f"diverged in epoch {epoch}: the training loss rose from {start:.3g} to {loss:.3g}"
    return None
