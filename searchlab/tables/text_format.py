"""How a text file writes a table: its encoding and its delimiter, recognized from its first lines."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from searchlab.errors import unreadable

DELIMITERS = (",", ";", "\t", "|")
ENDINGS = {".csv": ",", ".tsv": "\t", ".csv.gz": ",", ".tsv.gz": "\t"}
MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
FALLBACK = "cp1252"  # of files that are not UTF-8: that of Windows in western Europe, a superset of Latin-1's letters
HEAD = 1 << 20  # bytes in which a delimiter is looked for
HEAD_LINES = 50
CHUNK = 1 << 22


@dataclass(frozen=True)
class TextFormat:
    """The encoding and the delimiter of a file, and what was guessed of them.

    Attributes:
        encoding: Name of the encoding.
        delimiter: The character between two cells.
        notes: What was recognized and how to say otherwise, each a sentence.
    """

    encoding: str
    delimiter: str
    notes: tuple[str, ...] = ()

    def open(self, path: Path) -> IO[str]:
        """Open the file as text."""
        return io.TextIOWrapper(open_bytes(path), encoding=self.encoding, newline="")


def ending_of(path: Path) -> str | None:
    """Return the ending of a table's file, such as ".csv.gz"; None where it is another one."""
    return next((ending for ending in sorted(ENDINGS, key=len, reverse=True) if path.name.endswith(ending)), None)


def open_bytes(path: Path) -> IO[bytes]:
    """Open a file, or what a .gz has compressed, as bytes."""
    if path.suffix == ".gz":
        return cast("IO[bytes]", gzip.open(path, "rb"))
    return path.open("rb")


def recognize_text(path: Path, delimiter: str | None, encoding: str | None) -> TextFormat:
    """Return how a file writes its table; what is given is not looked for.

    Raises:
        UserMistake: When the file is not a text that can be read.
        WorldFault: When the system cannot read the file.
    """
    try:
        with open_bytes(path) as file:
            head = file.read(HEAD)
        notes = []
        if encoding is None:
            encoding = _recognize_encoding(path, head)
            if encoding == FALLBACK:
                notes.append(f"read as {FALLBACK}, as it is not UTF-8; encoding= says otherwise")
        if delimiter is None:
            delimiter = _recognize_delimiter(path, head.decode(encoding, errors="replace"))
            if delimiter != ENDINGS[ending_of(path) or ".csv"]:
                notes.append(f"cells are separated by {delimiter!r}; delimiter= says otherwise")
        return TextFormat(encoding, delimiter, tuple(notes))
    except (OSError, EOFError, LookupError) as error:
        raise unreadable(error, f"{path} cannot be read as CSV ({error}).") from error


def _recognize_encoding(path: Path, head: bytes) -> str:
    for mark, name in MARKS:
        if head.startswith(mark):
            return name
    for name, zeros in (("utf-16-le", head[1:200:2]), ("utf-16-be", head[:200:2])):
        if zeros and zeros.count(0) > len(zeros) // 2:
            return name
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        with open_bytes(path) as file:
            while chunk := file.read(CHUNK):
                decoder.decode(chunk)
            decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return FALLBACK
    return "utf-8"


def _recognize_delimiter(path: Path, head: str) -> str:
    """Return the character that cuts all first lines into as many cells, more than one; else that of the ending."""
    usual = ENDINGS[ending_of(path) or ".csv"]
    widths = {each: _width(head, each) for each in (usual, *DELIMITERS)}
    best = max(widths, key=lambda each: widths[each])  # of equals, the usual one, which comes first
    return best if widths[best] > 1 and widths[usual] <= 1 else usual


def _width(head: str, delimiter: str) -> int:
    """Return the number of cells of every first line; 0 where lines have different numbers."""
    lines = csv.reader(io.StringIO(head, newline=""), delimiter=delimiter)
    try:
        widths = {len(row) for row, _ in zip(lines, range(HEAD_LINES), strict=False) if row}
    except csv.Error:
        return 0
    return widths.pop() if len(widths) == 1 else 0
