"""Pictures of a sweep and of its winner, from plain values."""

from matplotlib.figure import Figure

from searchlab.reporting.figures.boundary import decision_boundary
from searchlab.reporting.figures.boxes import fold_boxes, parameter_boxes
from searchlab.reporting.figures.confusion import confusion_matrix
from searchlab.reporting.figures.curves import learning_curves
from searchlab.reporting.figures.grouping import worth_boxes
from searchlab.reporting.figures.history import optimization_history
from searchlab.reporting.figures.mistakes import worst_mistakes
from searchlab.reporting.figures.pareto import pareto_front
from searchlab.reporting.figures.saving import save_figures, save_recurrent_figures, save_winner_figures
from searchlab.reporting.figures.through_time import gradient_through_time
from searchlab.reporting.figures.trials import TrialCurve
from searchlab.reporting.predictions import Predictions

__all__ = [
    "Figure",
    "Predictions",
    "TrialCurve",
    "confusion_matrix",
    "decision_boundary",
    "fold_boxes",
    "gradient_through_time",
    "learning_curves",
    "optimization_history",
    "parameter_boxes",
    "pareto_front",
    "save_figures",
    "save_recurrent_figures",
    "save_winner_figures",
    "worst_mistakes",
    "worth_boxes",
]
