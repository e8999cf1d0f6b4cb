"""The sweep file's words: what is searched, by which sampler, and how trials of equal structure are grouped."""

from searchlab.sweep.domains import Choice, Float, Int
from searchlab.sweep.samplers import TPE, Grid, Random
from searchlab.sweep.space import Space
from searchlab.sweep.stopping import EarlyStopping
from searchlab.sweep.sweep import Sweep

__all__ = ["TPE", "Choice", "EarlyStopping", "Float", "Grid", "Int", "Random", "Space", "Sweep"]
