"""The columns of a sweep's table, as `searchlab show` prints them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from searchlab.cli.output import Output
from searchlab.reporting.formats import count

if TYPE_CHECKING:
    from searchlab.space import Sweep
    from searchlab.tables.loading import TableReport

MAX_ROWS = 100  # columns that are printed; the JSON has all


def show_columns(output: Output, sweep: Sweep) -> dict[str, Any]:
    """Print the columns of the sweep's table and what to consider about them, and return both as JSON values.

    Print nothing where the data is no table.
    """
    from searchlab.data.examples import Examples
    from searchlab.tables.leakage import disguised_columns
    from searchlab.tables.options import TableOptions

    if not isinstance(sweep.data, TableOptions):
        return {"columns": None, "warnings": []}
    report, rows = sweep.data.describe_columns(), sweep.data.training()
    warnings = disguised_columns(rows) if isinstance(rows, Examples) else []
    _print(output, report, warnings)
    return {"columns": [column.to_json() for column in report.columns], "warnings": [*report.notes, *warnings]}


def _print(output: Output, report: TableReport, warnings: list[str]) -> None:
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("column", "kind", "missing", "distinct", "becomes", "note"):
        is_number = heading in ("missing", "distinct")
        table.add_column(heading, justify="right" if is_number else "left", overflow="fold", no_wrap=is_number)
    for column in report.columns[:MAX_ROWS]:
        counts = (f"{number:,}" if number else "" for number in (column.missing, column.distinct))
        table.add_row(escape(column.name), column.kind, *counts, escape(column.becomes), escape(column.note))
    output.console.print(table)
    if len(report.columns) > MAX_ROWS:
        output.console.print(f"and {count(len(report.columns) - MAX_ROWS, 'more column')}; --json lists all")
    for sentence in report.notes:
        output.console.print(escape(sentence))
    output.warnings(warnings)
    output.console.print()
