"""Metrics: one number per replica that says how good a model is, and which way is better."""

from searchlab.metrics.decoded import ExactMatch, TokenAccuracy
from searchlab.metrics.language import BitsPerCharacter, Perplexity
from searchlab.metrics.loss_per_target import LossPerTarget
from searchlab.metrics.metric import Goal, Metric
from searchlab.metrics.parameter_count import ParameterCount
from searchlab.metrics.rows import Accuracy, RootMeanSquaredError

__all__ = [
    "Accuracy",
    "BitsPerCharacter",
    "ExactMatch",
    "Goal",
    "LossPerTarget",
    "Metric",
    "ParameterCount",
    "Perplexity",
    "RootMeanSquaredError",
    "TokenAccuracy",
]
