"""Groups of trials that train fused, and how many trials of a group fit in memory and speed up the search."""
