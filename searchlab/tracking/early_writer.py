"""A writer process that imports MLflow while a run is prepared, before the run has a home folder."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from types import TracebackType

from searchlab.tracking.writer_process import IMPORT_FIRST, LOCAL_STORE, environment

# -P: the current folder is the user's, whose modules are not to be imported in place of the library's
COMMAND = (sys.executable, "-P", "-m", "searchlab.tracking.writer", IMPORT_FIRST)


class EarlyWriter:
    """Starts the process that writes the record of a run, and ends it where the run does not get as far as a record.

    It is started for a store in a file alone: before MLflow is imported, a person is told whether a server answers. A
    process that cannot be started is not missed, because the record starts another one.

    Args:
        tracking: Whether the run keeps a record.
        uri: URL of its store; None for the one in the home folder.
    """

    def __init__(self, tracking: bool, uri: str | None) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        if tracking and (uri is None or uri.startswith(LOCAL_STORE)):
            with contextlib.suppress(OSError):
                self._process = subprocess.Popen(
                    COMMAND,
                    bufsize=0,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    env=environment(uri or LOCAL_STORE),
                    process_group=0,  # an interrupt from the keyboard is the driver's business
                )

    def take(self) -> subprocess.Popen[bytes] | None:
        """Return the process, which the caller is to end from now on; None where there is none, or it was taken."""
        process, self._process = self._process, None
        return process

    def __enter__(self) -> EarlyWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        process = self.take()
        if process is not None:
            process.kill()
            with process:  # which closes its pipes, and waits for it
                pass
