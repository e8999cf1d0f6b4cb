"""Data that the driver read and sent to a cluster: each node fetches them once, and its workers share them."""

from __future__ import annotations

from dataclasses import dataclass

from searchlab.data.loaded import LoadedDataset
from searchlab.errors import UserMistake


@dataclass(frozen=True)
class ShippedData:
    """A data set of which only the training rows were sent.

    Attributes:
        table: The training rows.
    """

    table: LoadedDataset

    def training(self) -> LoadedDataset:
        """Return the rows as they are in the node's object store: read-only, and shared by its workers."""
        return self.table

    def testing(self) -> LoadedDataset:
        """Raise UserMistake: the test rows never leave the driver."""
        raise UserMistake("the test rows are not sent to workers.")
