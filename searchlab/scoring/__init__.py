"""What is measured after an epoch: scores and loss on held-out rows, the score on training rows, gradients by layer."""

from searchlab.scoring.epoch_scorer import EpochScorer, EpochScores
from searchlab.scoring.layer_statistics import LayerProbe, LayerStatistics
from searchlab.scoring.sample_plan import SamplePlan, sample_rows

__all__ = ["EpochScorer", "EpochScores", "LayerProbe", "LayerStatistics", "SamplePlan", "sample_rows"]
