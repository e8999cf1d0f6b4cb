"""Pruners: pure functions of the learning curves so far, which decide which trials stop before their last epoch."""

from searchlab.pruning.halving import Halving
from searchlab.pruning.median import Median
from searchlab.pruning.optuna_pruner import OptunaPruner
from searchlab.pruning.pruner import NoPruning, Pruner
from searchlab.pruning.race import Race

__all__ = ["Halving", "Median", "NoPruning", "OptunaPruner", "Pruner", "Race"]
