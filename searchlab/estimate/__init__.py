"""Estimates behind `searchlab plan` and `searchlab show`: the time, the memory and the group sizes of a sweep."""
