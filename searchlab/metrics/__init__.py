"""Metrics: one number per replica that says how good a model is, and which way is better."""

from searchlab.metrics.accuracy import Accuracy
from searchlab.metrics.decisions import F1, BalancedAccuracy, DecisionMetric
from searchlab.metrics.decoded import ExactMatch, TokenAccuracy
from searchlab.metrics.language import BitsPerCharacter, Perplexity
from searchlab.metrics.loss_per_target import LossPerTarget
from searchlab.metrics.metric import Goal, Metric
from searchlab.metrics.parameter_count import ParameterCount
from searchlab.metrics.probabilities import AveragePrecision, LogLoss, RocAuc
from searchlab.metrics.regression import R2, MeanAbsoluteError, RootMeanSquaredError

__all__ = [
    "F1",
    "R2",
    "Accuracy",
    "AveragePrecision",
    "BalancedAccuracy",
    "BitsPerCharacter",
    "DecisionMetric",
    "ExactMatch",
    "Goal",
    "LogLoss",
    "LossPerTarget",
    "MeanAbsoluteError",
    "Metric",
    "ParameterCount",
    "Perplexity",
    "RocAuc",
    "RootMeanSquaredError",
    "TokenAccuracy",
]
