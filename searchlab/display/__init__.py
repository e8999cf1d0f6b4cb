"""The live display of a run: a board in a terminal, one line in a notebook."""
