"""What is guessed from a table: the column to predict, and the metric."""

from __future__ import annotations

from collections.abc import Container, Sequence
from pathlib import Path

from searchlab.errors import UserMistake
from searchlab.tables.cell_text import parse_number

TARGET_NAMES = {"target", "label", "class", "y", "outcome", "response"}  # of columns, in letters of either case
RARE_SHARE = 0.4  # a class is rare below this share of what it would have if all classes were equally frequent
RARE_CLASS_METRIC = "BalancedAccuracy"
ERROR_METRIC = "RootMeanSquaredError"
BY_NAME, BY_PLACE = "by its name", "the last column"  # why a column is taken for the target


def guess_target(path: Path, names: Sequence[str]) -> tuple[str, str]:
    """Return the column that is probably to be predicted, and why: by its name, else the last column.

    Raises:
        UserMistake: When several columns may be the target.
    """
    named = [name for name in names if name.lower() in TARGET_NAMES]
    if len(named) > 1:
        raise UserMistake(
            f"{path} has several columns that may be the target, {', '.join(named)}; name it by --target."
        )
    return (named[0], BY_NAME) if named else (names[-1], BY_PLACE)


def validate_guess(path: Path, name: str, cells: Sequence[str]) -> None:
    """Raise UserMistake where the last column of a table is probably not to be predicted.

    Args:
        path: The file.
        name: The name of its last column.
        cells: The cells of this column.
    """
    distinct = {cell for cell in cells if cell}
    is_text = 2 * len(distinct) > len(cells) and all(parse_number(cell) is None for cell in distinct)
    if len(distinct) < 2 or is_text:
        raise UserMistake(
            f"no column of {path} is called {', '.join(sorted(TARGET_NAMES))}, and its last one, {name!r}, is "
            "probably not the target; name the column to predict by --target."
        )


def guess_metric(class_counts: Sequence[int], available: Container[str]) -> tuple[str, str]:
    """Return the name of a metric, and why it is taken.

    Args:
        class_counts: Rows of each class; empty for numbers to predict.
        available: Names of metrics that exist.
    """
    if not class_counts:
        return ERROR_METRIC, "the target holds numbers"
    share, even_share = min(class_counts) / sum(class_counts), 1 / len(class_counts)
    reason = f"the rarest of {len(class_counts)} classes has {share:.1%} of the rows"
    if share >= RARE_SHARE * even_share:
        return "Accuracy", reason
    if RARE_CLASS_METRIC in available:
        return RARE_CLASS_METRIC, reason
    return "Accuracy", f"{reason}, so compare the winner with the baseline"
