"""Pruners: pure functions from recorded learning curves to the trials that stop."""

from searchlab.pruning.halving import Halving
from searchlab.pruning.median import Median
from searchlab.pruning.optuna import OptunaPruner
from searchlab.pruning.pruner import NoPruning, Pruner
from searchlab.pruning.race import Race

__all__ = ["Halving", "Median", "NoPruning", "OptunaPruner", "Pruner", "Race"]
