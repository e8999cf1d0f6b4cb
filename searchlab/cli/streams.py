"""Standard output and standard error that never raise: what cannot be printed is lost, and the command goes on."""

from __future__ import annotations

import errno
import io
import os
import select
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


class LenientFile(io.RawIOBase):
    """A file descriptor that takes everything: where it cannot be written, the data are dropped.

    Attributes:
        fault: The last reason for which data were dropped; None before.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.fault: OSError | None = None

    def writable(self) -> bool:
        """Return True."""
        return True

    def fileno(self) -> int:
        """Return the descriptor."""
        return self._descriptor

    def isatty(self) -> bool:
        """Return whether it is a terminal."""
        return os.isatty(self._descriptor)

    def write(self, data: ReadableBuffer, /) -> int:
        """Write what the system takes at once, or drop the data; return the number of bytes."""
        while True:
            try:
                return os.write(self._descriptor, data)
            except BlockingIOError:
                select.select([], [self._descriptor], [])
            except OSError as fault:
                self.fault = fault
                return memoryview(data).nbytes


def protect_streams() -> None:
    """Replace stdout and stderr of this process by streams that never raise.

    A character that the encoding does not have is printed as a question mark. The new stderr has a descriptor of its
    own, so that what libraries write to descriptor 2 can be withheld.
    """
    sys.stdout = _lenient(sys.stdout, lambda descriptor: descriptor)
    sys.stderr = _lenient(sys.stderr, os.dup)


def stdout_fault() -> OSError | None:
    """Return why output on stdout was lost; None where it was not, or its reader has closed it, as `head` does."""
    fault = _fault(sys.stdout)
    return None if fault is None or fault.errno == errno.EPIPE else fault


def is_reader_gone() -> bool:
    """Return whether the reader of stdout has closed it."""
    fault = _fault(sys.stdout)
    return fault is not None and fault.errno == errno.EPIPE


def _fault(stream: TextIO) -> OSError | None:
    raw = getattr(getattr(stream, "buffer", None), "raw", None)
    if not isinstance(raw, LenientFile):
        return None
    stream.flush()
    return raw.fault


def _lenient(stream: TextIO | None, descriptor_of: Callable[[int], int]) -> TextIO:
    if stream is None:  # closed by the shell
        return open(os.devnull, "w")  # open until the process ends
    raw = LenientFile(descriptor_of(stream.fileno()))
    by_line = stream.line_buffering or getattr(stream, "write_through", False)  # the second with PYTHONUNBUFFERED
    writer = io.BufferedWriter(raw)
    return io.TextIOWrapper(writer, encoding=stream.encoding, errors="replace", line_buffering=bool(by_line))
