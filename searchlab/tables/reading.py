"""Reading a CSV file by pandas; messages name the line and the column."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from searchlab.backend import Array
from searchlab.errors import UserMistake, unreadable
from searchlab.tables.cell_text import MISSING, listed
from searchlab.tables.number_format import NumberFormat, parse_cells, possible_formats, recognize_number_format
from searchlab.tables.raw_table import RawTable, series_values
from searchlab.tables.text_format import TextFormat, recognize_text

MAX_CELL = 1 << 27  # characters of a cell


def read_table(
    path: Path,
    *,
    delimiter: str | None = None,
    decimal: str | None = None,
    thousands: str | None = None,
    encoding: str | None = None,
    na_values: Collection[str] = (),
    as_text: Collection[str] = (),
    targets: Collection[str] = (),
) -> RawTable:
    """Return the whole file, without blank lines.

    Args:
        path: A .csv or .tsv file, or one compressed as .gz.
        delimiter: The character between two cells; default None recognizes it.
        decimal: The decimal separator; default None recognizes it column by column.
        thousands: The thousands separator, "" for none; default None recognizes it column by column.
        encoding: The encoding; default None recognizes it.
        na_values: Cells that are empty besides "", "NA" and their like.
        as_text: Columns whose cells are kept as they are written, such as "007".
        targets: Columns whose cells are kept as they are written, unless they are numbers with separators.

    Raises:
        UserMistake: When there are no rows, two columns have one name, or a row has more or fewer cells than the
            header; also when the file cannot be read as CSV.
        WorldFault: When the system cannot read the file.
    """
    written = recognize_text(path, delimiter, encoding)
    header = _read_header(path, written)
    texts = {index: str for index, name in enumerate(header) if name in {*as_text, *targets}}
    decimal = "," if decimal is None and thousands == "." else decimal
    frame = _read_frame(path, written, len(header), texts, decimal, [*MISSING, *na_values])
    if not len(frame):
        raise UserMistake(f"{path} has no rows under a header.")
    if len(header) > 1 and frame.iloc[:, -1].isna().any():
        _require_equal_rows(path, written, len(header))  # pandas takes a short row as one with empty cells
    columns = {name: series_values(frame[index]) for index, name in enumerate(header)}
    notes, formats = list(written.notes), possible_formats(decimal, thousands, written.delimiter)
    found = {name: _number_format(values, formats) for name, values in columns.items() if name not in as_text}
    converted = {name: each for name, each in found.items() if each}
    columns |= {name: parse_cells(columns[name], each) for name, each in converted.items()}
    if decimal is None and (commas := [name for name, each in converted.items() if each.decimal == ","]):
        notes.append(f"decimal commas in {listed(commas)}; decimal='.' says otherwise")
    grouped = [name for name, each in converted.items() if each.decimal == "."]
    if thousands is None and grouped:
        notes.append(f"thousands separators in {listed(grouped)}; thousands='' or decimal=',' says otherwise")
    return RawTable(str(path), columns, partial(_line, path, written), tuple(notes))


def _read_header(path: Path, written: TextFormat) -> list[str]:
    header = [name.strip() for name in next(_rows(path, written), (0, []))[1]]
    double = sorted(name for name, count in Counter(header).items() if count > 1 and name)
    if double:
        raise UserMistake(f"{path} has more than one column named {double[0]!r}.")
    if not header:
        raise UserMistake(f"{path} has no rows under a header.")
    nameless = iter(range(len(header)))
    if header.count("") > 1:  # the index of pandas, written twice: pandas itself would name them so
        return [name or f"Unnamed: {index}" for index, name in zip(nameless, header, strict=True)]
    return header


def _read_frame(
    path: Path, written: TextFormat, width: int, texts: dict[int, Any], decimal: str | None, missing: list[str]
) -> Any:
    import pandas as pd

    try:
        with written.open(path) as file:
            return pd.read_csv(
                file, sep=written.delimiter, header=0, names=range(width), index_col=False, dtype=texts,
                decimal=decimal or ".", na_values=missing, keep_default_na=False, low_memory=False,
                on_bad_lines="error", skipinitialspace=True,
            )  # fmt: skip
    except pd.errors.EmptyDataError:
        raise UserMistake(f"{path} has no rows under a header.") from None
    except (pd.errors.ParserError, pd.errors.ParserWarning) as error:
        _require_equal_rows(path, written, width)
        raise UserMistake(f"{path} cannot be read as CSV ({error}).") from error
    except (OSError, EOFError, UnicodeError, ValueError) as error:
        raise unreadable(
            error, f"{path} cannot be read as CSV in {written.encoding} ({error}); encoding= sets another."
        ) from error


def _rows(path: Path, written: TextFormat) -> Iterator[tuple[int, list[str]]]:
    """Yield the cells of each line that is not blank, with the number of the line that they end on."""
    limit = csv.field_size_limit(MAX_CELL)
    try:
        with written.open(path) as file:
            reader = csv.reader(file, delimiter=written.delimiter, strict=True)
            yield from ((reader.line_num, row) for row in reader if row)
    except (OSError, EOFError, UnicodeError, csv.Error) as error:
        raise unreadable(
            error, f"{path} cannot be read as CSV in {written.encoding} ({error}); encoding= sets another."
        ) from error
    finally:
        csv.field_size_limit(limit)


def _require_equal_rows(path: Path, written: TextFormat, width: int) -> None:
    wrong = [(line, len(row)) for line, row in _rows(path, written) if len(row) != width]
    if wrong:
        line, cells = wrong[0]
        more = f", and {len(wrong) - 1:,} more lines have another number" if len(wrong) > 1 else ""
        raise UserMistake(f"{path} line {line} has {cells} cells, and the header has {width}{more}.")


def _line(path: Path, written: TextFormat, row: int) -> str:
    """Return the line that a row, from 0, ends on."""
    for index, (line, _) in enumerate(_rows(path, written)):
        if index == row + 1:
            return f"line {line}"
    return f"row {row}"


def _number_format(values: Array, formats: Sequence[NumberFormat]) -> NumberFormat | None:
    """Return how the texts of a column are written as numbers; None where they are words, or no texts."""
    texts = [cell for cell in values.tolist() if cell is not None] if values.dtype.kind == "O" else []
    return recognize_number_format(texts, formats) if all(isinstance(cell, str) for cell in texts) else None
