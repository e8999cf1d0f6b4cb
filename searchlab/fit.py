"""Fitting in one pass: the trainer of models that count and have no gradients."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import ClassVar

import numpy as np

from searchlab.backend import Array
from searchlab.data.batch import Batch
from searchlab.data.loaded import LoadedDataset
from searchlab.data.splits import Split
from searchlab.errors import UserMistake
from searchlab.metrics import Metric
from searchlab.nn.fitted_model import FittedModel
from searchlab.nn.module import Carry
from searchlab.nn.parameter import Parameters
from searchlab.optim import Optimizer
from searchlab.optim.schedules import Schedule
from searchlab.replicas import Replicas
from searchlab.scoring import EpochScorer
from searchlab.training import BuildModel, BuildOptimizer, Trainer

CHECKED_BATCHES = 10  # that a model is fitted on before a search, to see whether it can be fitted at all


class Fit(Trainer):
    """One run of R replicas that are fitted in a single pass: `advance` fits and measures them, in one epoch.

    The replicas are fitted one after the other, since sparse counts cannot be stacked on the replica axis. There is no
    optimizer, and the loss in reports is NaN. In a sweep file, use `training=Space(Fit)` and leave out `optimizer`.

    Args:
        replicas: The R replicas.
        data: Loaded training rows.
        split: Training rows and held-out rows of each replica.
        metric: The metric, or several of them, the primary one first.
        model: Callable of the replicas and the sizes of the data that builds a `FittedModel`, such as `Cooccurrence`.
        optimizer: Not used.

    Raises:
        UserMistake: When the model is not a `FittedModel`.

    Example:
        >>> import numpy as np
        >>> from functools import partial
        >>> from models.cooccurrence import Cooccurrence
        >>> from searchlab import Fit, Holdout, ParameterCount
        >>> from searchlab.data import TokenStream, Vocabulary, WordContexts
        >>> from searchlab.replicas import Replicas
        >>> words = Vocabulary.from_tokens("you say goodbye and i hello .".split())
        >>> text = TokenStream(words.encode("you say goodbye and i say hello . " * 3), words, window=1)
        >>> data, model = WordContexts(text, max_window=1), partial(Cooccurrence, window=1, dimensions=2)
        >>> fit = Fit(Replicas([1]), data, Holdout(0.2).split(data), ParameterCount(), model)
        >>> fit.advance().score.tolist()
        [14.0]
    """

    needs_optimizer: ClassVar[bool] = False

    def __init__(
        self,
        replicas: Replicas,
        data: LoadedDataset,
        split: Split,
        metric: Metric | Sequence[Metric],
        model: BuildModel,
        optimizer: BuildOptimizer | None = None,
    ) -> None:
        self.replicas, self.data, self.split = replicas, data.fitted(split), split
        self.metrics = tuple(metric) if isinstance(metric, Sequence) else (metric,)
        self.metric, self.scorer = self.metrics[0], EpochScorer(self.metrics)
        self.epochs, self.epoch = 1, 0
        self.model = self.fitted_model = _fitted(model(replicas, *data.sizes))
        self.parameters = Parameters(self.model.named_parameters())
        self.schedule: Schedule | None = None
        self.reference_loss: Array | None = None

    @property
    def steps_per_epoch(self) -> int:
        """1: fitting has no steps."""
        return 1

    def step(self, batch: Batch, carry: Carry = None) -> tuple[Array, Carry]:
        """Refuse: fitting has no steps."""
        raise UserMistake("Fit has no training steps: call advance.")

    def train_briefly(self) -> None:
        """Fit the first replica on a few batches."""
        self.fitted_model.fit(0, islice(self._training_rows(0), CHECKED_BATCHES))

    def fit_first(self) -> None:
        """Fit the first replica alone: what it takes in time and memory is what every other one takes."""
        self.fitted_model.fit(0, self._training_rows(0))

    def _train(self) -> Array:
        """Fit all replicas, and return their losses (R,): NaN, since there are none."""
        for replica in range(self.replicas.count):
            self.fitted_model.fit(replica, self._training_rows(replica))
        return self.replicas.full(value=np.nan)

    def _training_rows(self, replica: int) -> Iterator[Batch]:
        return self.data.scoring_batches(self.split.train[np.array([replica])])

    def _parts(self) -> list[tuple[str, Parameters | Optimizer | Replicas | Schedule]]:
        return [("parameters", self.parameters), ("replicas", self.replicas)]

    def _failures(self, losses: Array, measured: Array) -> list[str | None]:
        """Return why the scores of a replica are not finite; the losses (R,) always are NaN."""
        return super()._failures(np.zeros_like(losses), measured)


def _fitted(model: object) -> FittedModel:
    if not isinstance(model, FittedModel):
        raise UserMistake(
            f"Fit needs a model that is fitted in one pass, such as Cooccurrence; {type(model).__name__} is trained by "
            "gradients: use training=Space(Trainer) and an optimizer."
        )
    return model
