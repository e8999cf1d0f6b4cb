"""What a sweep file declares: the space, the sampler, the budget and the constraints of a search."""

from searchlab.space.budget import Budget
from searchlab.space.constraints import Candidate, SizeLimit
from searchlab.space.domains import Choice, Float, Int
from searchlab.space.early_stopping import EarlyStopping
from searchlab.space.resources import Resources
from searchlab.space.samplers import TPE, BruteForce, CmaEs, Grid, OptunaSampler, QuasiRandom, Random
from searchlab.space.space import Space
from searchlab.space.sweep import Sweep
from searchlab.space.winner_rule import FoldEnsemble, Refit, WinnerRule

__all__ = [
    "TPE",
    "BruteForce",
    "Budget",
    "Candidate",
    "Choice",
    "CmaEs",
    "EarlyStopping",
    "Float",
    "FoldEnsemble",
    "Grid",
    "Int",
    "OptunaSampler",
    "QuasiRandom",
    "Random",
    "Refit",
    "Resources",
    "SizeLimit",
    "Space",
    "Sweep",
    "WinnerRule",
]
