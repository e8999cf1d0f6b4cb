"""The text of a file, or of all text files in a folder."""

from __future__ import annotations

from pathlib import Path

from searchlab.errors import UserMistake, unreadable

TEXT_SUFFIX = ".txt"


def read_text(path: Path) -> str:
    """Return the text of a UTF-8 file, or of the .txt files in a folder and below it, one after the other.

    Files are sorted by their paths, and each of them ends with a line's end: no line runs on into the next file.

    Raises:
        UserMistake: When a folder has no .txt files.
        UserMistake: When a file is not UTF-8.
        WorldFault: When the system cannot read a file.
    """
    if not path.is_dir():
        return _read_file(path)
    found = path.rglob(f"*{TEXT_SUFFIX}")
    files = sorted(file for file in found if file.is_file() and not file.name.startswith("."))
    if not files:
        raise UserMistake(f"{path} has no {TEXT_SUFFIX} files.")
    texts = [_read_file(file) for file in files]
    return "".join(text if text.endswith("\n") else f"{text}\n" for text in texts if text)


def _read_file(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise unreadable(error, f"{path} cannot be read as UTF-8 text ({error}).") from error
