"""Figures, charts and the HTML report of a sweep."""
