"""The data set of a sweep: a small description that loads its rows when they are needed."""

from __future__ import annotations

from typing import Protocol

from searchlab.data.loaded import LoadedDataset


class Dataset(Protocol):
    """A lazy source of training rows and test rows.

    A data set is a frozen, cheap value that a sweep file builds: it holds paths and options and loads nothing until
    `training` or `testing` is called. Both return a `LoadedDataset`, which holds the arrays. Each call loads the same
    rows. Any class with these two methods is a data set; `searchlab.testing.check_dataset` checks a custom one.

    Raises:
        UserMistake: When the description does not fit the files, as for a column that does not exist.
        WorldFault: When a file is missing or broken.

    Example:
        >>> from searchlab.data import Digits
        >>> data = Digits()  # nothing is read yet
        >>> len(data.training()), len(data.testing())
        (1437, 360)
    """

    def training(self) -> LoadedDataset:
        """Return the rows that a sweep may see: folds are cut from these."""

    def testing(self) -> LoadedDataset:
        """Return the test rows. Only the final test of a winner reads them, and it records that it did."""
