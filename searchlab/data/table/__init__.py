"""Tables of mixed columns: numbers, words, dates and booleans with empty cells, as what a network takes.

A table is kept as one number per cell: a number, the code of a word, or the days of a date, and NaN where it is empty.
A `TableEncoding` turns these into the inputs of a network, with what it has learned from each replica's training rows.
"""
