"""What a sweep is told about data: where it comes from, and a test part that no sweep may see."""

from __future__ import annotations

from typing import Protocol

from searchlab.data.loaded import LoadedDataset


class Dataset(Protocol):
    """A frozen description that reads its rows when asked; WorldFault when a file is missing or broken."""

    def training(self) -> LoadedDataset:
        """The rows that a sweep may see: folds are cut from these."""

    def testing(self) -> LoadedDataset:
        """The locked rows. Only the final test of a winner reads them, and it writes down that it did."""
