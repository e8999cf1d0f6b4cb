"""The report of an epoch: losses, scores and failures of R replicas."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from searchlab.backend import Array


@dataclass(frozen=True)
class EpochReport:
    """The results of one epoch of R replicas, as arrays on the host.

    Args:
        epoch: Number of the epoch, from 1.
        loss: Mean training loss (R,), in nats per target.
        score: Score (R,) of the primary metric on the held-out rows; NaN where no rows are held out.
        failures: Why each replica has diverged, (R,); None for a replica that has not.
        seconds: Duration of the epoch with its measuring.
        time: End of the epoch in seconds since 1970.
        others: Scores (R, M - 1) of the metrics after the first of M; default (R, 0).
        held_out_loss: Mean loss (R,) on the held-out rows, in nats per target; default NaN, where it was not measured.
        training_score: Score (R,) of the primary metric on a fixed sample of the training rows; default NaN, where it
            was not measured.

    Example:
        >>> import numpy as np
        >>> from searchlab.training import EpochReport
        >>> report = EpochReport(1, np.array([0.5, 0.4]), np.array([0.8, 0.9]), (None, None), seconds=0.1, time=0.0)
        >>> report.others.shape
        (2, 0)
    """

    epoch: int
    loss: Array
    score: Array
    failures: tuple[str | None, ...]
    seconds: float
    time: float
    others: Array = field(default_factory=lambda: np.empty((0, 0)))
    held_out_loss: Array = field(default_factory=lambda: np.empty(0))
    training_score: Array = field(default_factory=lambda: np.empty(0))

    def __post_init__(self) -> None:
        if not len(self.others):  # a single metric may leave them out
            object.__setattr__(self, "others", np.empty((len(self.score), 0)))
        for name in ("held_out_loss", "training_score"):
            if not len(getattr(self, name)):
                object.__setattr__(self, name, np.full(len(self.score), np.nan))
