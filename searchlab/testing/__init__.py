"""Contracts for layers, models, optimizers, data sets and other parts: call them from the tests of your own parts.

Each contract is a function that returns nothing where a part keeps all rules, and raises AssertionError with a sentence
that names the first broken rule. Where a constructor takes `PerReplica` arguments, `per_replica` gives three values of
each, and the contract calls `build` with them for three replicas, or with one of them for one replica.
"""

from searchlab.testing.augmentation import check_augmentation
from searchlab.testing.dataset import check_dataset
from searchlab.testing.gradients import check_gradients
from searchlab.testing.layer import check_layer
from searchlab.testing.loss import check_loss
from searchlab.testing.metric import check_metric
from searchlab.testing.model import check_model
from searchlab.testing.optimizer import check_optimizer
from searchlab.testing.pruner import check_pruner
from searchlab.testing.recurrent_layer import check_recurrent
from searchlab.testing.schedule import check_schedule

__all__ = [
    "check_augmentation",
    "check_dataset",
    "check_gradients",
    "check_layer",
    "check_loss",
    "check_metric",
    "check_model",
    "check_optimizer",
    "check_pruner",
    "check_recurrent",
    "check_schedule",
]
