"""Rows of a table of mixed columns in memory, with their targets."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import numpy as np

from searchlab.backend import Array, to_host, xp_of
from searchlab.data.examples import Examples
from searchlab.data.loaded import LoadedDataset
from searchlab.data.scaling import Scaling
from searchlab.data.splits import Split
from searchlab.data.standardize import Standardized
from searchlab.tables.columns import Layout
from searchlab.tables.encoding import TableEncoding
from searchlab.tables.fitting import FittedRows, fit_rows


class TableExamples(Examples):
    """Independent rows of a table with their targets: numbers, codes of words, days of dates, and NaN for empty cells.

    A network is given them as `fitted` returns them: encoded by what each replica's training rows say.

    Args:
        x: Rows (N, C) of float32 or float64.
        y: Targets, as of `Examples`.
        outputs: Number of classes, or of numbers to predict for each row.
        layout: What the columns are, and which inputs of a network they become.
        min_frequency: In how many training rows a word has an input of its own: a number, or a share as a float;
            default None, in 10 of them, and in 1 % of fewer than 1,000.
        left_out: The names of further columns, which are no inputs; default ().
        **options: The other arguments of `Examples`.

    Example:
        >>> import numpy as np
        >>> from searchlab.data import EveryRow
        >>> from searchlab.tables.columns import Column, Layout
        >>> from searchlab.tables.examples import TableExamples
        >>> x = np.array([[1.0, 0.0], [np.nan, 1.0], [3.0, 0.0]], np.float32)
        >>> layout = Layout([Column("size", "number"), Column("color", "word", ("red", "blue"))])
        >>> data = TableExamples(x, np.array([0, 1, 0]), 2, layout)
        >>> split = EveryRow().split(data)
        >>> next(data.fitted(split).scoring_batches(split.train)).x.tolist()  # size, red, blue, other color
        [[[1.0, 1.0, 0.0, 0.0], [2.0, 0.0, 1.0, 0.0], [3.0, 1.0, 0.0, 0.0]]]
    """

    def __init__(
        self,
        x: Array,
        y: Array,
        outputs: int,
        layout: Layout,
        *,
        min_frequency: int | float | None = None,
        left_out: tuple[str, ...] = (),
        **options: Any,
    ) -> None:
        names = tuple(column.name for column in layout.columns)
        super().__init__(x, y, outputs, **{**options, "feature_names": names})
        self.layout, self.min_frequency, self.left_out = layout, min_frequency, left_out
        self._fitted: dict[bytes, FittedRows] = {}  # by the training rows: all trials of a sweep share folds

    @property
    def sizes(self) -> tuple[int, ...]:
        """(inputs, outputs): the number of inputs of a network, not of columns."""
        return self.layout.width, self.outputs

    def fitted(self, split: Split) -> LoadedDataset:
        """Return these rows as each replica sees them, by what its own training rows say."""
        targets = self._scaling_of("y", split) if self.standardize_targets else None
        return Standardized(self, self._encoding_of(split), targets)

    def checksum(self) -> str:
        """Return the SHA-256 of the rows, their targets, and what the columns are."""
        columns = json.dumps([column.to_json() for column in self.layout.columns])
        return hashlib.sha256(f"{super().checksum()} {columns}".encode()).hexdigest()

    def _encoding_of(self, split: Split) -> TableEncoding:
        train = zip(split.train.index, split.train.counts, strict=True)
        fitted = [self._fitted_to(rows[:count]) for rows, count in train]
        fill, known, mean, scale = (
            np.stack([getattr(each, name) for each in fitted]) for name in ("fill", "known", "mean", "scale")
        )
        scaling = Scaling(mean, scale) if self.standardize else None
        encoding = TableEncoding(Layout(self.layout.columns), fill, known, scaling)
        return encoding.to("cpu" if xp_of(self.x) is np else "cuda")

    def _fitted_to(self, rows: Array) -> FittedRows:
        key = hashlib.sha256(np.ascontiguousarray(rows).tobytes()).digest()
        if key not in self._fitted:
            self._fitted[key] = fit_rows(to_host(self.x), rows, Layout(self.layout.columns), self.min_frequency)
        return self._fitted[key]

    def _with(self, x: Array, y: Array, groups: Array | None) -> TableExamples:
        return TableExamples(
            x,
            y,
            self.outputs,
            self.layout,
            min_frequency=self.min_frequency,
            left_out=self.left_out,
            target_names=self.target_names,
            groups=groups,
            standardize=self.standardize,
            standardize_targets=self.standardize_targets,
        )
