"""What is measured after an epoch: scores and loss on the held-out rows, and the score on a sample of training rows."""

from searchlab.scoring.epoch_scorer import EpochScorer, EpochScores
from searchlab.scoring.sample_plan import SamplePlan, sample_rows

__all__ = ["EpochScorer", "EpochScores", "SamplePlan", "sample_rows"]
