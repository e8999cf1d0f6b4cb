"""Storage for checkpoints: a folder, or a bucket of a service that speaks S3. Each blob is replaced as a whole."""

from __future__ import annotations

import errno
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_fixed

from searchlab.engine.s3_store import S3Store
from searchlab.errors import UserMistake, WorldFault
from searchlab.runs.retry import Unavailable
from searchlab.runs.workspace import write_atomically

PROBE = b"searchlab"
PROBE_ATTEMPTS, PROBE_PAUSE = 2, 0.5  # of the check whether a store can be used; the pause in seconds
TRANSIENT_ERRNOS = {  # of a network file system
    errno.ESTALE,
    errno.EIO,
    errno.ETIMEDOUT,
    errno.EHOSTDOWN,
    errno.EHOSTUNREACH,
}


class BlobStore(Protocol):
    """A store of bytes by name. It raises Unavailable when it does not answer, and WorldFault when it refuses."""

    def write(self, name: str, content: bytes) -> None:
        """Store a blob under this name; a kill at any moment leaves the old content or the new, never a part of it."""
        ...

    def read(self, name: str) -> bytes | None:
        """Return the blob of this name, None if there is none."""
        ...

    def delete(self, name: str) -> None:
        """Delete the blob of this name, if there is one."""
        ...


def open_blob_store(location: Path | str) -> BlobStore:
    """Return the store at a path, which is created, or at the URL of a bucket; raise UserMistake for another URL."""
    return S3Store(location) if isinstance(location, str) and "://" in location else LocalStore(Path(location))


def validate_url(location: str) -> None:
    """Raise UserMistake when the location is a URL, and not that of a bucket. Nothing is connected to."""
    if "://" in location:
        S3Store(location)


def validate_location(location: str) -> None:
    """Raise UserMistake when this machine cannot use the location: see `validate_url`, or boto3 is not installed."""
    if "://" in location:
        S3Store(location).validate_client()


def validate_folder(location: str) -> None:
    """Create the folder of checkpoints; raise UserMistake where it cannot be created or written, leaving nothing new.

    The URL of a bucket is not looked at.
    """
    if "://" in location:
        return
    folder = Path(location).absolute()
    missing = [path for path in (folder, *folder.parents) if not os.path.lexists(path)]
    probe = folder / f".probe-{uuid.uuid4().hex}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()
    except OSError as error:
        with suppress(OSError):
            for path in missing:
                path.rmdir()
        reason = error.strerror or str(error)
        raise UserMistake(
            f"the checkpoints cannot be written to {folder} ({reason}); give a folder that can be written."
        ) from error


def unavailable_reason(store: BlobStore) -> str | None:
    """Return why the store cannot be used; None when a small blob can be written, read and deleted."""
    attempts = Retrying(
        retry=retry_if_exception_type(Unavailable),
        stop=stop_after_attempt(PROBE_ATTEMPTS),
        wait=wait_fixed(PROBE_PAUSE),
        reraise=True,
    )
    try:
        content = attempts(_write_and_read, store, f"probe-{uuid.uuid4().hex}")
    except (WorldFault, Unavailable, OSError) as error:
        return str(error)
    return None if content == PROBE else "it does not return what was written to it"


def _write_and_read(store: BlobStore, name: str) -> bytes | None:
    """Write a small blob, and return it as it is read back; it is deleted again."""
    store.write(name, PROBE)
    content = store.read(name)
    store.delete(name)
    return content


class LocalStore:
    """A folder with one file for each blob."""

    def __init__(self, path: Path) -> None:
        path.mkdir(parents=True, exist_ok=True)
        self.path = path

    def __str__(self) -> str:
        return str(self.path)

    def write(self, name: str, content: bytes) -> None:
        with self._translated_errors(name, "written"):
            write_atomically(self.path / name, content)

    def read(self, name: str) -> bytes | None:
        with self._translated_errors(name, "read"):
            return (self.path / name).read_bytes()
        return None

    def delete(self, name: str) -> None:
        with self._translated_errors(name, "deleted"):
            (self.path / name).unlink(missing_ok=True)

    @contextmanager
    def _translated_errors(self, name: str, action: str) -> Iterator[None]:
        """Raise the library's exceptions for the system's; a missing file is no error unless it is written."""
        try:
            yield
        except OSError as error:
            if isinstance(error, FileNotFoundError) and action != "written":
                return
            if error.errno in TRANSIENT_ERRNOS:
                raise Unavailable(f"{self.path}: {error.strerror}") from error
            kept = "; the one before it is kept" if action == "written" else ""
            raise WorldFault(
                f"the checkpoint {self.path / name} cannot be {action} ({error.strerror}){kept}."
            ) from error
