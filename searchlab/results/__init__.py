"""The outcome of a search: the winner, the `Result`, and pruners replayed on recorded curves."""
