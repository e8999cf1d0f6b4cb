"""Tables of mixed columns: numbers, words, dates and booleans with empty cells, as what a network takes.

`Csv` and `Frame` describe a table in a file and in a pandas frame. It is kept as one number per cell: a number, the
code of a word, or the days of a date, and NaN where it is empty. A `TableEncoding` turns these into the inputs of a
network, with what it has learned from each replica's training rows.
"""

from searchlab.tables.csv_file import Csv
from searchlab.tables.frame import Frame

__all__ = ["Csv", "Frame"]
