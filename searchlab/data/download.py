"""Files that data sets are read from: found in a folder or fetched once from their public home, checked and cached."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import http.client
import os
import urllib.request
import zlib
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from searchlab.errors import WorldFault

TIMEOUT = 60.0  # seconds a silent download is waited for

_fetching = ContextVar("_fetching", default=True)  # whether files may be asked for over the network


@dataclass(frozen=True)
class Source:
    """A public file: its path inside the data folder, its home, and the MD5 that its publisher names.

    One whose name ends in .gz is unpacked. The sum is of the bytes `unpacked`, which stand whatever packed them, or of
    the file as it lies there, `packed`.
    """

    path: str
    url: str
    md5: str
    summed: Literal["unpacked", "packed"] = "unpacked"

    def read(self, folder: Path) -> bytes:
        """The unpacked bytes, their sum verified; raises WorldFault when they cannot be had."""
        path = self.locate(folder)
        try:
            packed = path.read_bytes()
            if self.summed == "packed":  # asked first: of a torn file the sum says more than the unpacking would
                self._verify(packed, path)
            unpacked = gzip.decompress(packed) if path.suffix == ".gz" else packed
        except (OSError, EOFError, zlib.error) as error:
            raise WorldFault(f"{path} cannot be unpacked ({error}); delete it and it is fetched anew.") from error
        if self.summed == "unpacked":
            self._verify(unpacked, path)
        return unpacked

    def locate(self, folder: Path) -> Path:
        """Where the file lies, fetched into the folder if it is not there; raises WorldFault when it cannot be had."""
        target = folder / self.path
        if not target.exists():
            self._fetch(target)
        return target

    def _verify(self, content: bytes, path: Path) -> None:
        found = hashlib.md5(content, usedforsecurity=False).hexdigest()
        if found != self.md5:
            raise WorldFault(
                f"{path} is not the published file (MD5 {found}, expected {self.md5}); delete it to fetch it anew."
            )

    def _fetch(self, target: Path) -> None:
        if not _fetching.get():
            raise WorldFault(f"{target} is not there yet; a run fetches it.")
        partial = target.with_name(f"{target.name}.{os.getpid()}.part")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with urllib.request.urlopen(self.url, timeout=TIMEOUT) as answer:
                partial.write_bytes(answer.read())
            partial.replace(target)  # atomic: two processes that fetch at once leave one whole file
        except (OSError, http.client.HTTPException) as error:
            with contextlib.suppress(OSError):
                partial.unlink()
            raise WorldFault(
                f"{target} is missing and could not be fetched from {self.url} ({error}); "
                "put the file there, or set SEARCHLAB_DATA to the folder that holds it."
            ) from error


@contextlib.contextmanager
def nothing_fetched() -> Iterator[None]:
    """Within the block a file that is not there is missing: WorldFault at once, and no network is asked."""
    before = _fetching.set(False)
    try:
        yield
    finally:
        _fetching.reset(before)


def data_folder() -> Path:
    """Where data sets lie: the folder of the environment's SEARCHLAB_DATA, else the user's cache."""
    named = os.environ.get("SEARCHLAB_DATA")
    if named:
        return Path(named).resolve()
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "searchlab"
