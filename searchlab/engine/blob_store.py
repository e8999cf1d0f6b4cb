"""Where checkpoints lie: in a folder, or in a bucket of a store that speaks S3. Each piece is replaced whole."""

from __future__ import annotations

import errno
import os
import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from searchlab.errors import UserMistake, WorldFault
from searchlab.runs.retry import Unavailable
from searchlab.runs.workspace import write_atomically

S3 = "s3://"
PASSING = {errno.ESTALE, errno.EIO, errno.ETIMEDOUT, errno.EHOSTDOWN, errno.EHOSTUNREACH}  # of a network's file system
PROBE = b"searchlab"
LASTING = re.compile(r"AWS Error (ACCESS|NO_SUCH|RESOURCE_NOT|INVALID|SIGNATURE|MISSING|\w+ \(HTTP status [34])")
TOLD = re.compile(r"AWS Error (.*?) during .*? operation: (?:.*Details: )?(.*?)(?: \(Request ID.*)?$", re.DOTALL)


class BlobStore(Protocol):
    """Keeps pieces of bytes by name. Raises Away where its store does not answer, WorldFault where it says no."""

    def write(self, name: str, content: bytes) -> None:
        """Keep this under the name; a kill at any moment leaves the old content or the new, never a part."""
        ...

    def read(self, name: str) -> bytes | None:
        """What is kept under the name; None if nothing."""
        ...

    def drop(self, name: str) -> None:
        """Keep nothing under the name any more."""
        ...


def blob_store_at(place: Path | str) -> BlobStore:
    """The shelf at a path, made if need be, or at the URL of a bucket; raises UserMistake when the URL is no such."""
    return S3Store(place) if isinstance(place, str) and "://" in place else LocalStore(Path(place))


def validate_location(place: str) -> None:
    """Raises UserMistake for a URL that is no bucket's, without asking for one."""
    if "://" in place:
        S3Store(place)


def unavailable_reason(shelf: BlobStore) -> str | None:
    """Why this shelf cannot be used; None where a small piece can be written, read back and dropped."""
    name = f"probe-{uuid.uuid4().hex}"
    try:
        shelf.write(name, PROBE)
        back = shelf.read(name)
        shelf.drop(name)
    except (WorldFault, Unavailable, OSError) as error:
        return str(error)
    return None if back == PROBE else "what is written there does not come back"


class LocalStore:
    """A folder with one file for each piece."""

    def __init__(self, path: Path) -> None:
        path.mkdir(parents=True, exist_ok=True)
        self.path = path

    def __str__(self) -> str:
        return str(self.path)

    def write(self, name: str, content: bytes) -> None:
        with self._answering(name, "written"):
            write_atomically(self.path / name, content)

    def read(self, name: str) -> bytes | None:
        with self._answering(name, "read"):
            return (self.path / name).read_bytes()
        return None

    def drop(self, name: str) -> None:
        with self._answering(name, "dropped"):
            (self.path / name).unlink(missing_ok=True)

    @contextmanager
    def _answering(self, name: str, done: str) -> Iterator[None]:
        """What a network's file system has for a moment is waited for; a piece that is not there is none."""
        try:
            yield
        except OSError as error:
            if isinstance(error, FileNotFoundError) and done != "written":
                return
            if error.errno in PASSING:
                raise Unavailable(f"{self.path}: {error.strerror}") from error
            kept = "; the one before it is kept" if done == "written" else ""
            raise WorldFault(f"the checkpoint {self.path / name} cannot be {done} ({error.strerror}){kept}.") from error


class S3Store:
    """A place in a bucket, by its URL s3://BUCKET/PREFIX, with one object for each piece: a store replaces those whole.

    The environment says where the store is (AWS_ENDPOINT_URL, AWS_REGION) and who asks (AWS_ACCESS_KEY_ID and
    AWS_SECRET_ACCESS_KEY, or what else Amazon's own programs look for).
    """

    def __init__(self, url: str) -> None:
        path = url.removeprefix(S3).rstrip("/")
        if not url.startswith(S3) or not re.fullmatch(r"[a-z0-9][a-z0-9.-]+(/[^?#@]+)?", path):
            raise UserMistake(
                "checkpoints lie in a folder or in a bucket, whose URL reads s3://BUCKET/PREFIX and has no keys in it: "
                "those are read from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
            )
        self._path = path

    def __str__(self) -> str:
        return f"{S3}{self._path}"

    def write(self, name: str, content: bytes) -> None:
        with self._answering(name, "written"), self._store.open_output_stream(f"{self._path}/{name}") as stream:
            stream.write(content)

    def read(self, name: str) -> bytes | None:
        try:
            with self._answering(name, "read"), self._store.open_input_stream(f"{self._path}/{name}") as stream:
                content: bytes = stream.read()
        except FileNotFoundError:
            return None
        return content

    def drop(self, name: str) -> None:
        try:
            with self._answering(name, "removed"):
                self._store.delete_file(f"{self._path}/{name}")
        except FileNotFoundError:
            pass

    @cached_property
    def _store(self) -> Any:
        fs = import_module("pyarrow.fs")  # here alone: a sweep that keeps its states in a folder needs none of it
        named = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or ""
        endpoint = urlsplit(named if "://" in named else f"https://{named}")
        region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
        return fs.S3FileSystem(
            endpoint_override=endpoint.netloc or None,
            scheme=endpoint.scheme,
            region=region or ("us-east-1" if endpoint.netloc else None),  # else it is asked of Amazon's machines
            connect_timeout=3,
            request_timeout=5,  # of a store that has fallen silent, not of the whole request
            retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=2),
            allow_delayed_open=True,  # a small piece is one request
            background_writes=False,
        )

    @contextmanager
    def _answering(self, name: str, done: str) -> Iterator[None]:
        """What goes wrong within is told as what it is: a store that is away, or one that says no."""
        try:
            yield
        except OSError as error:
            if isinstance(error, FileNotFoundError) and done != "written":
                raise
            found = TOLD.search(str(error))
            reason = ": ".join(part.strip().rstrip(".") for part in found.groups()) if found else str(error)
            if not LASTING.search(str(error)):
                raise Unavailable(reason) from error
            raise WorldFault(
                f"the checkpoint {self}/{name} cannot be {done} ({reason}); what was kept before is untouched, and "
                "`searchlab resume` goes on when that is mended."
            ) from error
