"""How many training rows are measured after an epoch, and which: a small part of the cost of training."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from searchlab.data.splits import Rows

TRAINING_SHARE = 0.05  # of the training, which the measurements besides the scores on the held-out rows may cost
MIN_SAMPLE_ROWS = 100  # fewer say little: the standard error of an accuracy of 0.9 on 100 rows is 0.03
# Costs as measured on one core for multilayer perceptrons of the digits, MNIST and the spiral, in rows of a training
# step: a step has a forward pass, and up to two products of the same size backward.
FORWARD_COST = 0.5  # of a row that is passed forward for a metric
SCORES_LOSS_COST = 0.2  # of a row whose scores are there already, for its loss
DECODING_COST = 4.0  # of a row whose target sequence is written token by token; times the beam
STEP_COST = 16.0  # of a step besides its rows: of its calls, which take longer than the rows of a small network
BATCH_COST = 16.0  # of a batch besides its rows, for a metric or for the loss of scores


@dataclass(frozen=True)
class SamplePlan:
    """How many training rows are measured besides the held-out rows, and how often.

    What this costs is limited by counting rows and batches and not by a clock, so that a run that is repeated or
    resumed measures the same rows after the same epochs.

    Attributes:
        rows: Number of training rows in the sample of each replica, and of held-out rows where their loss needs a
            forward pass of its own.
        interval: Number n: they are measured after every n-th epoch.
    """

    rows: int
    interval: int

    @classmethod
    def within_share(
        cls, trained: int, held_out: int, steps: int, rows_per_batch: int, *, row_cost: float, loss_cost: float
    ) -> SamplePlan:
        """Return the most frequent plan whose sample is large enough, at a twentieth of the cost of training at most.

        The sample is as large as this allows, at most as the held-out part. It is large enough with 100 rows, or as
        many as there are held-out rows.

        Args:
            trained: Number of training rows of an epoch.
            held_out: Number of held-out rows.
            steps: Number of training steps of an epoch.
            rows_per_batch: Number of rows in a batch that is scored.
            row_cost: Cost of a row of the sample, in rows of a training step.
            loss_cost: Cost of a held-out row for its loss, where the metric gives the scores.

        Example:
            >>> from searchlab.scoring import SamplePlan
            >>> SamplePlan.within_share(1149, 287, 35, 96, row_cost=0.5, loss_cost=0.2)
            SamplePlan(rows=226, interval=3)
        """
        largest = min(held_out, trained)
        enough, share = min(MIN_SAMPLE_ROWS, largest), TRAINING_SHARE * (trained + steps * STEP_COST)
        batch_cost = BATCH_COST / rows_per_batch  # for each row
        loss = held_out * (loss_cost + batch_cost) if loss_cost else 0.0
        row = row_cost * (1.0 + batch_cost / FORWARD_COST)
        interval = math.ceil(max(1.0, (enough * row + loss) / share))
        affordable = int((interval * share - loss) / row) if row else 0
        return cls(max(enough, min(largest, affordable)), interval)


def sample_rows(train: Rows, count: int, *, is_ordered: bool) -> Rows:
    """Return a sample of the training rows of each fold, the same for all folds with as many rows.

    Args:
        train: Training rows, at least `count` of each fold.
        count: Number of rows in the sample of a fold.
        is_ordered: Whether rows depend on the rows before them: the sample then is the first rows.

    Example:
        >>> import numpy as np
        >>> from searchlab.data import Rows
        >>> from searchlab.scoring import sample_rows
        >>> sample_rows(Rows.from_folds([np.arange(10, 20)]), 3, is_ordered=True).index.tolist()
        [[10, 11, 12]]
    """
    if is_ordered:
        return Rows(train.index[:, :count], np.full_like(train.counts, count))
    drawn = {size: np.sort(np.random.default_rng(0).permutation(size)[:count]) for size in set(train.counts.tolist())}
    chosen = [rows[drawn[size]] for rows, size in zip(train.index, train.counts.tolist(), strict=True)]
    return Rows(np.stack(chosen), np.full_like(train.counts, count))
