"""Data that the driver read and sent: each node of a cluster fetches them once, and its workers share them."""

from __future__ import annotations

from dataclasses import dataclass

from searchlab.data.loaded import LoadedDataset
from searchlab.errors import UserMistake


@dataclass(frozen=True)
class ShippedData:
    """A data set of which the training rows alone travelled."""

    table: LoadedDataset

    def training(self) -> LoadedDataset:
        """The rows as they came out of the node's object store: shared by its workers, and not to be written to."""
        return self.table

    def testing(self) -> LoadedDataset:
        """None: the locked rows never leave the driver."""
        raise UserMistake("the test rows are not sent to workers.")
