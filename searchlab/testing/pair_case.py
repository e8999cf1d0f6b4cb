"""Pairs of sequences and a model that writes known target sequences: the contract of a metric that decodes."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from searchlab.backend import Array
from searchlab.data.batch import IGNORED, Batch
from searchlab.data.sequence_pairs import END_ID
from searchlab.testing.fixed_models import EchoDecoder
from searchlab.testing.metric_cases import BATCH_SIZE, OUTPUTS, TARGETS, MetricCase
from searchlab.testing.replica_rows import ALL_REPLICAS

STEPS = 5  # tokens of the longest target, and of the longest written one


@dataclass(frozen=True)
class PairCase(MetricCase):
    """Pairs whose sources are what the model writes (R, T, B), and whose targets are what is right."""

    @classmethod
    def random(cls) -> PairCase:
        """Return random sequences with end marks, of which some that are written are right."""
        generator = np.random.default_rng(0)
        y = _ended(generator.integers(2, 2 + OUTPUTS, size=(len(ALL_REPLICAS), STEPS, TARGETS)), generator)
        written = _ended(generator.integers(2, 2 + OUTPUTS, size=y.shape), generator)
        x = np.where(generator.random((len(ALL_REPLICAS), 1, TARGETS)) < 0.5, y, written)
        return cls(Batch(x, y, decoder_inputs=np.ones_like(y), max_length=STEPS))

    def model(self) -> EchoDecoder:
        return EchoDecoder()

    def improved(self) -> MetricCase:
        x = self.batch.x.copy()
        x[..., 1:] = self.batch.y[..., 1:]
        return replace(self, batch=replace(self.batch, x=x))

    def padded(self, count: int) -> MetricCase:
        y = self.batch.y.copy()
        y[0, :, count:] = IGNORED
        return replace(self, batch=replace(self.batch, y=y))

    def with_nan(self, replica: int) -> MetricCase:
        x = self.batch.x.copy()
        x[replica, 2, 3] = EchoDecoder.NAN_ID
        return replace(self, batch=replace(self.batch, x=x))

    def batches(self, size: int = BATCH_SIZE, end: int = TARGETS) -> list[Batch]:
        """Return the rows up to `end` in batches of this size."""
        cuts = [slice(start, min(start + size, end)) for start in range(0, end, size)]
        x, y, inputs = self.batch.x, self.batch.y, self.batch.decoder_inputs
        assert inputs is not None, "pairs have decoder inputs"
        return [replace(self.batch, x=x[..., cut], y=y[..., cut], decoder_inputs=inputs[..., cut]) for cut in cuts]


def _ended(ids: Array, generator: np.random.Generator) -> Array:
    """Return ids (R, T, B) with an end mark at a random place of each sequence, and `IGNORED` after it."""
    ends = generator.integers(1, ids.shape[1], size=(len(ids), 1, ids.shape[2]))
    steps = np.arange(ids.shape[1])[:, None]
    return np.where(steps < ends, ids, np.where(steps == ends, END_ID, IGNORED))
