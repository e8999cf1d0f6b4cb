"""What a trainer reads batches from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from searchlab.backend import Array, Device
from searchlab.data.batch import Batch
from searchlab.data.splits import Divisible, Rows, Split
from searchlab.data.vocabulary import Vocabulary
from searchlab.replicas import Replicas


class LoadedDataset(Divisible, Protocol):
    """Loaded rows: validations cut them into folds, and replicas read their batches."""

    @property
    def sizes(self) -> tuple[int, ...]:
        """The sizes a model's constructor takes after the replicas."""

    @property
    def image(self) -> tuple[int, int] | None:
        """Height and width of a row that is an image; None where rows are none."""

    @property
    def scaling(self) -> tuple[Array, Array] | None:
        """Mean and scale (R, F) that each replica sees its inputs by; None where it sees them as they are."""

    @property
    def vocabulary(self) -> Vocabulary | None:
        """The words that ids stand for, where rows are tokens; else None."""

    def on(self, device: Device) -> LoadedDataset:
        """The same rows on the device."""

    def fitted(self, split: Split) -> LoadedDataset:
        """The table as the replicas of this split see it: what it learns from rows, it learns from their own."""

    def steps(self, split: Split, batch_size: int) -> int:
        """How many batches an epoch has."""

    def epoch(self, split: Split, replicas: Replicas, batch_size: int) -> Iterator[Batch]:
        """One epoch of training batches: in an order of each replica's own, or in the rows' where they are ordered."""

    def scoring(self, rows: Rows) -> Iterator[Batch]:
        """All these rows once, in order."""

    def checksum(self) -> str:
        """SHA-256 of the numbers."""
