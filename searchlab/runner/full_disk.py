"""A disk that cannot be written while a sweep runs: one sentence that says what is kept and how to continue."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from searchlab.errors import WorldFault
from searchlab.runs.workspace import SweepFolder

DISK_ERRNOS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS}


@contextmanager
def disk_faults_told(folder: SweepFolder) -> Iterator[None]:
    """Within the block, raise WorldFault where the sweep's folder cannot be written because of its disk."""
    try:
        yield
    except OSError as error:
        if error.errno not in DISK_ERRNOS:
            raise
        place = error.filename or folder.path
        raise WorldFault(
            f"{place} cannot be written ({error.strerror}); every trial that had ended is kept, "
            f"and `searchlab resume {folder.name}` continues."
        ) from error
