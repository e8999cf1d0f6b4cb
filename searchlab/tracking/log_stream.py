"""The standard output and error of the process that writes a record."""

from __future__ import annotations

import contextlib
import io
import os

from searchlab.runs.secrets import mask


class LogStream(io.TextIOBase):
    """Standard output and error: unbuffered, without secrets; what a full disk does not take is lost, not an error."""

    def write(self, text: str) -> int:
        """Write the text to the log."""
        with contextlib.suppress(OSError):
            os.write(2, mask(text).encode(errors="backslashreplace"))
        return len(text)

    def fileno(self) -> int:
        """Return the descriptor of the log."""
        return 2
