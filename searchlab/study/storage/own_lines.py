"""The lines that a study's owner has written and Optuna has not read yet; they are not read from the storage."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from searchlab.study.storage.journal_format import decode


class OwnLines:
    """Lines of a journal from a number on, which Optuna reads once and in order.

    Args:
        first: The number of the first line, which is how many were in the journal when it was opened.
    """

    def __init__(self, first: int) -> None:
        self.first = first
        self._lines: list[str] = []

    def add(self, lines: Sequence[str]) -> None:
        """Add lines that follow the last one."""
        self._lines += lines

    def read(self, start: int) -> Iterator[dict[str, Any]]:
        """Return the operations from this line on, which is not before `first`, and forget those before it."""
        self._lines, self.first = self._lines[start - self.first :], start
        return map(decode, self._lines)
