"""A CSV file as a data set."""

from __future__ import annotations

import os
from dataclasses import KW_ONLY, dataclass, field

from searchlab.data.data_folder import find_file
from searchlab.data.splits import LATER
from searchlab.errors import UserMistake
from searchlab.tables.loading import names_of
from searchlab.tables.options import TableOptions
from searchlab.tables.raw_table import RawTable
from searchlab.tables.reading import read_table


@dataclass(frozen=True, repr=False)
class Csv(TableOptions):
    """A data set in a CSV file with a header: one or more target columns, all others are features.

    Numbers, words, dates and booleans are recognized, with empty cells. A number is standardized, with the median in
    place of an empty cell; a word has an input of its own, unless it is rare; a date is its days, and the cycles of
    weekday and month; a flag says where a cell is empty. All of this is measured on the training rows of each fold
    alone, and the artifact carries it. `searchlab show` prints what was recognized.

    A target column of strings holds classes, and one of numbers is to be predicted; whole numbers, also written as 1.0,
    are classes while there are at most 100 distinct ones. `task` overrides this. The file is looked for in the current
    folder and then in the data folder. pandas reads it.

    Args:
        path: The file: .csv or .tsv, also compressed as .csv.gz or .tsv.gz.
        target: The column to predict, or several columns of numbers.
        positive: Which of two classes is the positive one, class 1; default None, classes in sorted order.
        groups: The column of each row's group, which is not a feature; default None for independent rows.
        drop: One or more columns that are not features either, default (). A column without a name, such as the index
            that pandas writes, must be dropped, by the name "".
        categorical: Columns of words, such as whole numbers that are codes; default (), recognized.
        numeric: Columns of numbers; default (), recognized.
        dates: Columns of dates, or their formats by name, such as {"day": "%m/%d/%Y"}; default (), recognized.
        delimiter: The character between two cells; default None recognizes "," ";" "|" and tabs.
        decimal: The decimal separator; default None recognizes it column by column.
        thousands: The thousands separator, such as "," in 1,234: one of "," "." " " "'", or "" for none; default None
            recognizes it column by column.
        encoding: The encoding; default None recognizes UTF-8, UTF-16 and cp1252.
        na_values: One or more cells that are empty, besides "", "NA", "NaN", "null" and their like; default ().
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
        UserMistake: When options exclude each other; on loading, when there is no such file or column, or cells are not
            what their columns need: the message lists all of them; also when the file is not CSV.
        WorldFault: On loading, when the system cannot read the file.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from searchlab import Csv
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = Path(folder, "iris.csv")
        ...     written = file.write_text("length,color,kind\\n" + "5.1,blue,setosa\\n,white,virginica\\n" * 5)
        ...     training = Csv(file, target="kind").training()
        >>> training.target_names
        ('setosa', 'virginica')
        >>> training.layout.input_names
        ('length', 'color = blue', 'color = white', 'color = (other)', 'length is empty')
    """

    path: str
    _: KW_ONLY
    delimiter: str | None = None
    decimal: str | None = None
    thousands: str | None = field(default=None, metadata=LATER)
    encoding: str | None = None
    na_values: str | tuple[str, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "path", os.fspath(self.path))
        if isinstance(self.na_values, list):
            object.__setattr__(self, "na_values", tuple(self.na_values))
        if self.delimiter is not None and (len(self.delimiter) != 1 or self.delimiter in '\r\n"'):
            raise UserMistake(f"delimiter is one character between two cells, got {self.delimiter!r}.")
        if self.decimal not in (None, ".", ","):
            raise UserMistake(f"decimal is '.' or ',', got {self.decimal!r}.")
        if self.thousands not in (None, "", ",", ".", " ", "'") or (self.thousands and self.thousands == self.decimal):
            raise UserMistake(
                f"thousands is one of ',' '.' ' ' and \"'\", or '' for none, and differs from decimal; "
                f"got {self.thousands!r}."
            )

    def __repr__(self) -> str:
        return f"Csv({', '.join([repr(self.path), *self._changed()])})"

    def _read(self) -> RawTable:
        return read_table(
            find_file(self.path),
            delimiter=self.delimiter,
            decimal=self.decimal,
            thousands=self.thousands,
            encoding=self.encoding,
            na_values=names_of(self.na_values),
            as_text={*names_of(self.categorical), *(() if self.groups is None else (self.groups,))},
            targets=self.targets,
        )
