"""What turns the rows of a data set into inputs of a network, with an estimate for each replica."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

from searchlab.backend import Array, Device
from searchlab.replicas import HasReplicaAxis


class InputEncoding(HasReplicaAxis):
    """What each of R replicas has learned of the inputs from its own training rows.

    `Scaling` is the mean and the scale of arrays; `searchlab.tables.encoding.TableEncoding` is what is known of the
    columns of a table.
    """

    @property
    @abstractmethod
    def dtype(self) -> Any:
        """The type of the rows that `standardize` takes, float32 or float64."""

    @abstractmethod
    def standardize(self, values: Array) -> Array:
        """Return the inputs (R, B, inputs) of a network, as float32.

        Args:
            values: Rows (R, B, columns), which may be overwritten.
        """

    @abstractmethod
    def to(self, device: Device) -> InputEncoding:
        """Return the same encoding on the device."""

    @abstractmethod
    def to_host(self) -> InputEncoding:
        """Return the same encoding on the host."""
