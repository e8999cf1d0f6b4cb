"""The trainer: one training run of R replicas, which advances by one epoch at a time."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import islice
from typing import ClassVar, TypeAlias

import numpy as np

from searchlab.backend import Array, to_device, to_host
from searchlab.data.augmentation import Augmentation
from searchlab.data.batch import Batch
from searchlab.data.class_weight import ClassWeight, class_weights
from searchlab.data.image_shape import ImageShape
from searchlab.data.loaded import LoadedDataset
from searchlab.data.splits import Split
from searchlab.errors import UserMistake
from searchlab.metrics import Metric
from searchlab.nn.loss import Loss
from searchlab.nn.module import Carry, Model
from searchlab.nn.parameter import Parameters
from searchlab.optim import Optimizer, clip_gradients
from searchlab.optim.schedules import Schedule
from searchlab.replicas import HasReplicaAxis, PerReplica, Replicas
from searchlab.scoring import EpochScorer, EpochScores
from searchlab.training.class_weighted_losses import class_weighted_losses, set_class_weight
from searchlab.training.divergence import constant_prediction_loss, divergence_reasons
from searchlab.training.epoch_report import EpochReport
from searchlab.training.training_loss import TrainingLoss

BuildModel: TypeAlias = Callable[..., Model]
BuildOptimizer: TypeAlias = Callable[[Parameters, Replicas], Optimizer]
BuildSchedule: TypeAlias = Callable[[Replicas, int], Schedule]
BuildAugmentation: TypeAlias = Callable[[Replicas, ImageShape | None], Augmentation]

DEFAULT_EPOCHS = 20


class Trainer(HasReplicaAxis):
    """One training run of R replicas: `advance` trains an epoch, measures it, and returns an `EpochReport`.

    Replica r trains on row r of the split. In a sweep file, `Space(Trainer, ...)` sets the arguments after `optimizer`,
    and the sweep supplies the others.

    Args:
        replicas: The R replicas.
        data: Loaded training rows.
        split: Training rows and held-out rows of each replica.
        metric: The metric, or several of them. The first one is the primary metric: it gives the `score` of the report,
            and a schedule reacts to it.
        model: Callable of the replicas and the sizes of the data that builds the model.
        optimizer: Callable of the parameters and the replicas that builds the optimizer.
        batch_size: Rows in a batch, or parallel streams of tokens; default 32.
        epochs: Number of epochs that schedules count on; default 20.
        clip_norm: Largest norm of the gradient, over all parameters of a replica together; one per replica allowed.
            Default None: no clipping.
        l2: Strength of L2 regularization: l2 / 2 times the sum of squared weights is added to the loss that is
            minimized, not to the reported one, and biases are left out. One per replica allowed; default 0.
        schedule: Callable of the replicas and the number of epochs that builds a learning-rate schedule; default None.
        augmentation: Callable of the replicas and the image shape that builds an augmentation of the training inputs;
            default None.
        class_weight: Weights of the classes in the loss that is minimized. "balanced" weighs each class by
            n / (k * count) in each replica's own n training rows of k classes, as scikit-learn does, so that a rare
            class counts as much as a frequent one; a dict has a weight for some classes, by name or number, and a
            sequence has one for each class. Default None: every row counts alike. The reported training loss is
            weighted too; scores and the loss on held-out rows are not.

    Raises:
        UserMistake: When a number is out of its range, a schedule is given and the optimizer has no `lr`, or classes
            are weighed that there are not, or by a loss that takes no weights.

    Example:
        >>> from functools import partial
        >>> from searchlab import SGD, Accuracy, Digits, KFold, Trainer
        >>> from searchlab.replicas import Replicas
        >>> from searchlab.testing.linear_model import LinearModel
        >>> data = Digits().training()
        >>> split = KFold(3).split(data)
        >>> trainer = Trainer(Replicas([1, 2, 3]), data, split, Accuracy(), LinearModel, partial(SGD, lr=0.5))
        >>> report = trainer.advance()
        >>> report.epoch, (report.score > 0.8).tolist()
        (1, [True, True, True])
    """

    needs_optimizer: ClassVar[bool] = True

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
        epochs: int = DEFAULT_EPOCHS,
        clip_norm: PerReplica | None = None,
        l2: PerReplica = 0.0,
        schedule: BuildSchedule | None = None,
        augmentation: BuildAugmentation | None = None,
        class_weight: ClassWeight | None = None,
    ) -> None:
        if batch_size < 1 or epochs < 1:
            raise UserMistake(f"Trainer needs batch_size >= 1 and epochs >= 1, got {batch_size} and {epochs}.")
        if not np.all(np.asarray(1.0 if clip_norm is None else clip_norm) > 0.0) or not np.all(np.asarray(l2) >= 0.0):
            raise UserMistake(f"Trainer needs clip_norm > 0 and l2 >= 0, got {clip_norm} and {l2}.")
        for name, part in (("schedule", schedule), ("augmentation", augmentation)):
            if part is not None and not callable(part):
                raise UserMistake(f"Trainer({name}=...) takes a class, a Space or None, got {part!r}.")
        self.replicas, self.data, self.split = replicas, data.fitted(split), split
        self.metrics = tuple(metric) if isinstance(metric, Sequence) else (metric,)
        self.metric, self.scorer = self.metrics[0], EpochScorer(self.metrics)
        self.batch_size, self.epochs, self.epoch = batch_size, epochs, 0
        self.model = model(replicas, *data.sizes)
        self.parameters = Parameters(self.model.named_parameters())
        self.optimizer = optimizer(self.parameters, replicas)
        self.clip_norm = None if clip_norm is None else replicas.vector(clip_norm)
        self.l2 = replicas.vector(l2) if np.any(np.asarray(l2)) else None
        self.schedule = schedule(replicas, epochs) if schedule else None
        self.lr = self._base_learning_rate() if schedule else None  # (R,)
        self.augmentation = augmentation(replicas, data.image_shape) if augmentation else None
        self.class_weights: Array | None = None  # (R, C)
        self._weighted_losses: list[Loss] = []  # which have the weights while a step is made
        if class_weight is not None:
            weights = class_weights(class_weight, data, split).astype(replicas.dtype)
            self.class_weights = to_device(weights, replicas.device)
            self._weighted_losses = class_weighted_losses(self.model)
        # (R,) on the host: what an untrained network loses, by which divergence is judged from the second epoch on
        self.reference_loss: Array | None = None

    def advance(self) -> EpochReport:
        """Train one epoch and measure it on the held-out rows. A replica that diverges does not affect the others.

        Returns:
            The losses, the scores, and why replicas have diverged.
        """
        started = time.perf_counter()
        with np.errstate(all="ignore"):  # NaN and overflow appear in the report, replica by replica
            loss = self._train()
            measured = self._measure()
        self.epoch += 1
        losses, scores = to_host(loss).astype(np.float64), measured.scores[:, 0]
        if self.schedule:  # smaller is better
            minimized = -scores if self.metric.goal == "max" else scores
            self.schedule.record(minimized if self._has_held_out_rows else losses)
        failures = tuple(self._failures(losses, measured.scores))
        return EpochReport(
            self.epoch,
            losses,
            scores,
            failures,
            seconds=time.perf_counter() - started,
            time=time.time(),
            others=measured.scores[:, 1:],
            held_out_loss=measured.held_out_loss,
            training_score=measured.training_score,
        )

    def step(self, batch: Batch, carry: Carry = None) -> tuple[Array, Carry]:
        """Make one training step: forward and backward pass, regularization, clipping, and update.

        Args:
            batch: Training batch of R replicas.
            carry: Carry of the batch before; default None.

        Returns:
            The loss (R,) before the update, and the carry for the next batch.
        """
        if self.augmentation:
            batch = replace(batch, x=self.augmentation.apply(batch.x))
        set_class_weight(self._weighted_losses, self.class_weights)
        loss, carry = self.model.forward(batch, carry, train=True)
        self.parameters.reset_gradients()
        self.model.backward()
        set_class_weight(self._weighted_losses, None)
        if self.l2 is not None:
            self.parameters.add_l2_gradient(self.l2)
        if self.clip_norm is not None:
            clip_gradients(self.parameters, self.clip_norm)
        self.optimizer.update()
        return loss, carry

    @property
    def steps_per_epoch(self) -> int:
        """The number of training steps of an epoch."""
        return self.data.steps_per_epoch(self.split, self.batch_size)

    def train_briefly(self) -> None:
        """Train one step, on the first batch of an epoch: a check, or a measurement of memory."""
        for batch in islice(self.data.training_batches(self.split, self.replicas, self.batch_size), 1):
            self.step(batch)

    def _select_own(self, rows: Array) -> None:
        """Select the folds of these replicas too."""
        self.split = self.split[rows]
        self.scorer.select_replicas(rows)
        super()._select_own(rows)

    def state(self) -> dict[str, Array]:
        """Return all that a checkpoint needs, as host arrays (R, ...) by name."""
        state = {f"{part}/{name}": array for part, owner in self._parts() for name, array in owner.state().items()}
        if self.reference_loss is not None:
            state["reference_loss"] = self.reference_loss
        return state

    def restore(self, epoch: int, state: dict[str, Array]) -> None:
        """Continue from a state.

        Args:
            epoch: Number of epochs after which the state was taken.
            state: What `state` returned.

        Raises:
            ValueError: When the state belongs to another structure.
        """
        for part, owner in self._parts():
            prefix = f"{part}/"
            owner.restore({name.removeprefix(prefix): a for name, a in state.items() if name.startswith(prefix)})
        if "reference_loss" in state:
            self.reference_loss = state["reference_loss"]
        self.epoch = epoch

    @property
    def _has_held_out_rows(self) -> bool:
        """Whether rows are held out; the final fit on all rows holds none out."""
        return bool(self.split.held_out.counts.any())

    def _parts(self) -> list[tuple[str, Parameters | Optimizer | Replicas | Schedule]]:
        """Return the parts whose state a checkpoint keeps, by the prefix of their names in it."""
        schedule: list[tuple[str, Schedule]] = [("schedule", self.schedule)] if self.schedule else []
        return [("parameters", self.parameters), ("optimizer", self.optimizer), ("replicas", self.replicas), *schedule]

    def _base_learning_rate(self) -> Array:
        """Return the learning rate (R,) that the factors of the schedule multiply."""
        rate: Array | None = getattr(self.optimizer, "lr", None)
        if rate is None:
            raise UserMistake(f"a schedule needs an optimizer with `lr`, and {type(self.optimizer).__name__} has none.")
        return rate

    def _epoch_learning_rates(self) -> Array | None:
        """Return the learning rates (steps, R) of the next epoch; None without a schedule."""
        if self.schedule is None or self.lr is None:
            return None
        factors = self.schedule.epoch_factors(self.epoch, self.steps_per_epoch)
        rates: Array = to_device(factors.astype(self.replicas.dtype), self.replicas.device) * self.lr
        return rates

    def _train(self) -> Array:
        """Train one epoch, and return its mean loss (R,)."""
        losses, carry, rates = TrainingLoss(self.replicas), None, self._epoch_learning_rates()
        first_loss: Array | None = None
        batches = self.data.training_batches(self.split, self.replicas, self.batch_size)
        for step, batch in enumerate(batches):
            if rates is not None:
                self.optimizer.lr = rates[step]
            loss, carry = self.step(batch, carry)
            first_loss = loss if first_loss is None else first_loss
            losses.add(loss, batch)
        if self.reference_loss is None and first_loss is not None:  # the first batch's loss is from before any update
            constant = constant_prediction_loss(self.data, self.split)
            self.reference_loss = np.fmax(to_host(first_loss), constant).astype(np.float32)
        return losses.mean()

    def _measure(self) -> EpochScores:
        """Return the scores, the loss on the held-out rows and the score on training rows after the next epoch.

        All are NaN where no rows are held out.
        """
        if self._has_held_out_rows:
            return self.scorer.measure(self.model, self.data, self.split, self.epoch + 1, self.steps_per_epoch)
        nothing = np.full(self.replicas.count, np.nan)
        return EpochScores(np.full((self.replicas.count, len(self.metrics)), np.nan), nothing, nothing)

    def _failures(self, losses: Array, measured: Array) -> list[str | None]:
        """Return why each replica has diverged, from its losses (R,) and scores (R, M)."""
        reference = losses if self.reference_loss is None else self.reference_loss
        names = [metric.name for metric in self.metrics] if self._has_held_out_rows else []
        return divergence_reasons(self.epoch, losses, measured, names, reference)
