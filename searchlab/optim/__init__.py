"""Optimizers over all parameters of R networks at once: learning rates and slots have the replica as axis 0."""

from searchlab.optim.adagrad import AdaGrad
from searchlab.optim.adam import Adam, AdamW
from searchlab.optim.no_optimizer import NoOptimizer
from searchlab.optim.optimizer import Optimizer, clip_gradients, clip_joint_norm
from searchlab.optim.rmsprop import RMSprop
from searchlab.optim.sgd import SGD, Momentum, Nesterov

__all__ = [
    "SGD",
    "AdaGrad",
    "Adam",
    "AdamW",
    "Momentum",
    "Nesterov",
    "NoOptimizer",
    "Optimizer",
    "RMSprop",
    "clip_gradients",
    "clip_joint_norm",
]
