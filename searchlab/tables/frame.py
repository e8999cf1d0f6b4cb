"""A pandas frame as a data set."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from searchlab.backend import Array
from searchlab.errors import UserMistake
from searchlab.tables.options import TableOptions
from searchlab.tables.raw_table import RawTable, frame_columns, frame_table


@dataclass(frozen=True)
class FrameCells:
    """The cells of a pandas frame, which travel to workers without pandas.

    Attributes:
        rows: Number of rows.
        names: The names of the columns.
        sha256: The hash of all cells, by which two frames are compared.
        arrays: The cells of each column.
    """

    rows: int
    names: tuple[str, ...]
    sha256: str
    arrays: tuple[Array, ...] = field(compare=False, repr=False)

    @classmethod
    def of(cls, frame: Any) -> FrameCells:
        """Return the cells of a frame, copied."""
        names, arrays = frame_columns(frame)
        copies = tuple(array.copy() for array in arrays)
        return cls(len(frame), tuple(names), _digest(names, copies), copies)


@dataclass(frozen=True, repr=False)
class Frame(TableOptions):
    """A data set in a pandas frame: one or more target columns, all others are features.

    It takes what pandas has read, from any format, and does with it what `Csv` does with a file. The cells are copied,
    and travel with the sweep.

    Args:
        frame: The frame.
        target: The column to predict, or several columns of numbers.
        positive: Which of two classes is the positive one, class 1; default None, classes in sorted order.
        groups: The column of each row's group, which is not a feature; default None for independent rows.
        drop: One or more columns that are not features either, default (). A column without a name, such as the index
            that pandas writes, must be dropped, by the name "".
        categorical: Columns of words, such as whole numbers that are codes; default (), recognized.
        numeric: Columns of numbers; default (), recognized.
        dates: Columns of dates, or their formats by name, such as {"day": "%m/%d/%Y"}; default (), recognized.
        min_frequency: In how many training rows a word has an input of its own: a number, or a share as a float;
            default None, in 10 of them, and in 1 % of fewer than 1,000.
        max_categories: How many words of a column have inputs of their own at most, the most frequent ones; default
            5,000; all others share one.
        drop_missing_target: Whether to leave out rows whose target is empty; default False, which refuses them.
        task: "classify" or "regress"; default None decides by the target column.
        test_size: Share of the rows to draw as test rows, default 0.2.
        target_names: The name of each class or target; default None.
        standardize: Whether each replica sees numbers with mean 0 and scale 1 on its own training rows; default True.
        standardize_targets: Whether each replica trains on numbers to predict with mean 0 and scale 1 on its own
            training rows; scores and predictions stay in the unit of the targets. Default None: unless all numbers
            are 0 or 1, or each row of several numbers is a distribution, as the cross-entropy losses need.
        image_shape: (height, width) or (height, width, channels) where rows are images; default None.
        seed: Seed of the draw of test rows, default 0.

    Raises:
        UserMistake: When it is no frame with rows, options exclude each other, or, on loading, cells are not what their
            columns need.

    Example:
        >>> import pandas as pd
        >>> from searchlab import Frame
        >>> iris = pd.DataFrame({"length": [5.1, None] * 5, "color": ["blue", "white"] * 5, "kind": ["a", "b"] * 5})
        >>> data = Frame(iris, target="kind")
        >>> data
        Frame(10 rows, 3 columns, target='kind')
        >>> data.training().layout.input_names
        ('length', 'color = blue', 'color = white', 'color = (other)', 'length is empty')
    """

    frame: Any

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.frame, FrameCells):
            return
        if not (hasattr(self.frame, "columns") and hasattr(self.frame, "iloc")) or not len(self.frame):
            raise UserMistake(f"Frame takes a pandas frame with rows, got {type(self.frame).__name__}.")
        object.__setattr__(self, "frame", FrameCells.of(self.frame))

    def __repr__(self) -> str:
        size = f"{self.frame.rows:,} rows, {len(self.frame.names):,} columns"
        return f"Frame({', '.join([size, *self._changed()])})"

    def _read(self) -> RawTable:
        return frame_table(self.frame.names, self.frame.arrays)


def _digest(names: Sequence[str], arrays: Sequence[Array]) -> str:
    digest = hashlib.sha256()
    for name, array in zip(names, arrays, strict=True):
        digest.update(f"{name}\0{array.dtype}\0".encode())
        is_object = array.dtype.kind == "O"
        digest.update(repr(array.tolist()).encode() if is_object else np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
