"""Simulations of a search in one process: the order in which its processes act is drawn from a seed."""
