"""Published files that data sets read: found in the data folder, or downloaded into it once, and verified."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import logging
import zlib
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from searchlab.errors import WorldFault

DOWNLOAD_TIMEOUT = 60.0  # seconds that a server may stay silent before the download fails

_downloads_allowed = ContextVar("_downloads_allowed", default=True)


@dataclass(frozen=True)
class RemoteFile:
    """A published file, whose MD5 is verified each time it is read.

    A file whose name ends in .gz is decompressed when it is read.

    Args:
        path: Path inside the data folder, as "mnist/train-images-idx3-ubyte.gz".
        url: Address that it is downloaded from.
        md5: The MD5 that its publisher gives, in hexadecimal.
        md5_of: The bytes that the MD5 is of: "decompressed" (default), which are the same however they are compressed,
            or "file", the bytes as published.
    """

    path: str
    url: str
    md5: str
    md5_of: Literal["decompressed", "file"] = "decompressed"

    def read(self, folder: Path) -> bytes:
        """Return the decompressed content, after its MD5 is verified.

        Raises:
            WorldFault: When the file is missing and cannot be downloaded, is broken, or has another MD5.
        """
        path = self.locate(folder)
        try:
            content = path.read_bytes()
            if self.md5_of == "file":  # first: for a truncated file the MD5 says more than an error of gzip
                self._verify(content, path)
            if path.suffix == ".gz":
                content = gzip.decompress(content)
        except (OSError, EOFError, zlib.error) as error:
            raise WorldFault(f"{path} cannot be decompressed ({error}); delete it to download it again.") from error
        if self.md5_of == "decompressed":
            self._verify(content, path)
        return content

    def locate(self, folder: Path) -> Path:
        """Return the path of the file in this folder, after downloading it if it is not there.

        Raises:
            WorldFault: When the file is missing and cannot be downloaded.
        """
        target = folder / self.path
        if not target.exists():
            self._download(target)
        return target

    def _verify(self, content: bytes, path: Path) -> None:
        found = hashlib.md5(content, usedforsecurity=False).hexdigest()
        if found != self.md5:
            raise WorldFault(
                f"{path} is not the published file (MD5 {found}, expected {self.md5}); delete it to download it again."
            )

    def _download(self, target: Path) -> None:
        """Download the file with pooch, which leaves a whole file or none, also where two processes download it."""
        if not _downloads_allowed.get():
            raise WorldFault(f"{target} does not exist yet; a run downloads it.")
        try:
            import pooch  # here: whoever finds the file does not need pooch
        except ImportError as error:
            raise WorldFault(
                f"{target} is missing, and pooch, which downloads it, is not installed (pip install pooch)."
            ) from error
        compressed_otherwise = self.md5_of == "decompressed" and target.suffix == ".gz"  # verified after decompression
        try:
            with _only_warnings(pooch.get_logger()):
                pooch.retrieve(
                    self.url,
                    known_hash=None if compressed_otherwise else f"md5:{self.md5}",
                    fname=target.name,
                    path=target.parent,
                    downloader=pooch.HTTPDownloader(timeout=DOWNLOAD_TIMEOUT),
                )
        except (OSError, ValueError) as error:  # ValueError: the MD5 differs
            raise WorldFault(
                f"{target} is missing and could not be downloaded from {self.url} ({str(error).rstrip('.')}); "
                "put the file there, or set SEARCHLAB_DATA to the folder that has it."
            ) from error


@contextlib.contextmanager
def no_downloads() -> Iterator[None]:
    """Forbid downloads within the block: a missing file raises WorldFault at once, and the network is not used."""
    token = _downloads_allowed.set(False)
    try:
        yield
    finally:
        _downloads_allowed.reset(token)


@contextlib.contextmanager
def _only_warnings(logger: logging.Logger) -> Iterator[None]:
    """Silence a logger's progress messages within the block."""
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)
