"""Reading an .npz file of unknown origin: what its arrays take is known before memory is taken for them."""

from __future__ import annotations

import math
import zipfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np

from searchlab.backend import Array
from searchlab.errors import UserMistake, unreadable
from searchlab.machine import available_memory

MAX_HEADER = 1 << 16  # bytes of a member that are read to find its header; NumPy itself takes at most 10,000
NPY_MAGIC = b"\x93NUMPY"
FLOAT32 = 4  # bytes that a number takes once more, as the training takes it
DAMAGE = (OSError, EOFError, ValueError, TypeError, SyntaxError, RuntimeError, zipfile.BadZipFile, zlib.error)


@dataclass(frozen=True)
class _Header:
    """What the header of an array in a file declares."""

    shape: tuple[int, ...]
    dtype: np.dtype[np.generic]
    length: int  # bytes of the header itself

    @property
    def stored_bytes(self) -> int:
        """The bytes of the array, as an exact number of any size."""
        return math.prod(self.shape) * self.dtype.itemsize

    @property
    def loaded_bytes(self) -> int:
        """The bytes that the array takes in memory, with its numbers as float32."""
        return self.stored_bytes + math.prod(self.shape) * FLOAT32


def load_npz(path: Path, wanted: Iterable[str]) -> tuple[dict[str, Array], list[str]]:
    """Return the wanted arrays that an .npz has, by key, and all its keys; none for an .npy, whose array has no key.

    Raises:
        UserMistake: When the file is not an .npz of plain arrays or is damaged, when an array declares a shape that
            cannot be, or the arrays take more memory than is free.
        WorldFault: When the system cannot read the file.
    """
    try:
        with path.open("rb") as file:
            if file.read(len(NPY_MAGIC)) == NPY_MAGIC:
                return {}, []
            with zipfile.ZipFile(file) as archive:
                members = {name.removesuffix(".npy"): archive.getinfo(name) for name in archive.namelist()}
                found = {key: members[key] for key in wanted if key in members}
                _require_memory(path, {key: _check_header(path, archive, key, found[key]) for key in found})
                return {key: _read_array(path, archive, key, member) for key, member in found.items()}, list(members)
    except DAMAGE as error:
        if isinstance(error, UserMistake):
            raise
        raise unreadable(error, f"{path} cannot be read as an .npz of plain arrays ({error}).") from error


def _check_header(path: Path, archive: zipfile.ZipFile, key: str, member: zipfile.ZipInfo) -> _Header:
    """Return what the header of an array declares; raise UserMistake where that cannot be in this file."""
    with archive.open(member) as file:
        header = _parse_header(file.read(MAX_HEADER))
    declared = f"{path}: the array {key} declares the shape {header.shape} of {header.dtype}"
    if not all(type(size) is int and size >= 0 for size in header.shape) or not header.dtype.itemsize:
        raise UserMistake(f"{declared}, which no array has; write the file again with np.savez.")
    if header.stored_bytes != member.file_size - header.length:
        content = member.file_size - header.length
        raise UserMistake(
            f"{declared}, which takes {_size(header.stored_bytes)}, and the file holds {_size(content)} of it; write "
            "the file again with np.savez."
        )
    return header


def _parse_header(start: bytes) -> _Header:
    """Return the header at the start of an array's bytes; NumPy reads no header that is longer than them."""
    stream = BytesIO(start)
    version = np.lib.format.read_magic(stream)
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    if version not in readers:
        raise ValueError(f"version {version} of the format is none of plain arrays")
    try:
        shape, _, dtype = readers[version](stream)
    except MemoryError as error:  # Python's parser, for brackets that are nested too deep
        raise ValueError("the header of an array cannot be read") from error
    if dtype.hasobject:
        raise ValueError("an array holds Python objects, which are read by running code")
    return _Header(shape, dtype, stream.tell())


def _require_memory(path: Path, headers: dict[str, _Header]) -> None:
    """Raise UserMistake when the arrays do not fit into the memory that is free."""
    needed, available = sum(header.loaded_bytes for header in headers.values()), available_memory()
    if available is not None and needed > available:
        largest = max(headers, key=lambda key: headers[key].loaded_bytes)
        header = headers[largest]
        raise UserMistake(
            f"{path} would take {_size(needed)} of memory and {_size(available)} are free: its array {largest} has the "
            f"shape {header.shape} of {header.dtype}; use fewer rows or columns, or a machine with more memory."
        )


def _read_array(path: Path, archive: zipfile.ZipFile, key: str, member: zipfile.ZipInfo) -> Array:
    try:
        with archive.open(member) as file:
            array: Array = np.lib.format.read_array(file, allow_pickle=False)
            return array
    except MemoryError as error:  # where the free memory is not known, or limited for this process
        raise UserMistake(f"{path}: there is not enough memory for the array {key} ({error}).") from error


def _size(count: int) -> str:
    """Return a number of bytes for people: "1,234 bytes", "5.0 MB", "4.2 GB"."""
    if count < 10**6:
        return f"{count:,} bytes"
    unit, name = (10**6, "MB") if count < 10**9 else (10**9, "GB")
    return f"{count // unit:,}.{count % unit * 10 // unit} {name}"
