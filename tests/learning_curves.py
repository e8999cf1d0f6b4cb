"""Learning curves that the tests of pruning share."""

import numpy as np

from searchlab.pruning.learning_curves import LearningCurves


def curves_of(*trials, goal="max"):
    """Return the curves of trials 0, 1, ..., each given as a list of epochs, each a list of scores by fold."""
    curves = LearningCurves(goal)
    for number, epochs in enumerate(trials):
        for scores in epochs:
            curves.add_epoch(number, scores)
    return curves


def noisy_scores(draws, levels, epochs, folds=5, noise=0.01):
    """Return scores (trials, epochs, folds) around the level of each trial; folds differ in difficulty."""
    means = np.asarray(levels)[:, None, None] + draws.normal(0.0, 0.05, (1, 1, folds))
    return means + draws.normal(0.0, noise, (len(levels), epochs, folds))
