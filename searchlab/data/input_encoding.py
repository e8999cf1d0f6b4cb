"""What turns the rows of a data set into inputs of a network, with an estimate for each replica."""

from __future__ import annotations

from typing import TypeAlias

from searchlab.data.scaling import Scaling
from searchlab.data.table.encoding import TableEncoding

InputEncoding: TypeAlias = Scaling | TableEncoding
"""Mean and scale of arrays, or what is known of the columns of a table: `standardize` takes rows (R, B, columns)."""
