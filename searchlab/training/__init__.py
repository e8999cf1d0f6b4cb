"""The trainer of R replicas, and what it reports of an epoch."""

from searchlab.training.epoch_report import EpochReport
from searchlab.training.trainer import DEFAULT_EPOCHS, BuildModel, BuildOptimizer, Trainer

__all__ = ["DEFAULT_EPOCHS", "BuildModel", "BuildOptimizer", "EpochReport", "Trainer"]
