"""The sweep file's words: what is searched, and how trials of equal structure are grouped."""

from searchlab.sweep.domains import Choice, Float, Int
from searchlab.sweep.space import Space
from searchlab.sweep.sweep import Sweep

__all__ = ["Choice", "Float", "Int", "Space", "Sweep"]
