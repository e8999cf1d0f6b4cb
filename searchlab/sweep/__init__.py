"""The sweep file's words: what is searched, by which sampler, and how trials of equal structure are grouped."""

from searchlab.sweep.budget import Budget
from searchlab.sweep.constraint import Candidate, SizeLimit
from searchlab.sweep.domains import Choice, Float, Int
from searchlab.sweep.pruning import Halving, Median, NoPruning, OptunaPruner, Race
from searchlab.sweep.resources import Resources
from searchlab.sweep.samplers import TPE, BruteForce, CmaEs, Grid, OptunaSampler, QuasiRandom, Random
from searchlab.sweep.space import Space
from searchlab.sweep.stopping import EarlyStopping
from searchlab.sweep.sweep import Sweep

__all__ = [
    "TPE",
    "BruteForce",
    "Budget",
    "Candidate",
    "Choice",
    "CmaEs",
    "EarlyStopping",
    "Float",
    "Grid",
    "Halving",
    "Int",
    "Median",
    "NoPruning",
    "OptunaPruner",
    "OptunaSampler",
    "QuasiRandom",
    "Race",
    "Random",
    "Resources",
    "SizeLimit",
    "Space",
    "Sweep",
]
