"""Pictures of a sweep and of its winner, from plain values."""

from matplotlib.figure import Figure

from searchlab.tracking.answers import Answers
from searchlab.tracking.figures.boundary import decision_boundary
from searchlab.tracking.figures.boxes import fold_boxes, parameter_boxes
from searchlab.tracking.figures.confusion import confusion_matrix
from searchlab.tracking.figures.curves import learning_curves
from searchlab.tracking.figures.grouping import worth_boxes
from searchlab.tracking.figures.history import optimisation_history
from searchlab.tracking.figures.mistakes import worst_mistakes
from searchlab.tracking.figures.pareto import pareto_front
from searchlab.tracking.figures.saving import save_figures, save_recurrent_figures, save_winner_figures
from searchlab.tracking.figures.through_time import gradient_through_time
from searchlab.tracking.figures.trials import TrialCurve

__all__ = [
    "Answers",
    "Figure",
    "TrialCurve",
    "confusion_matrix",
    "decision_boundary",
    "fold_boxes",
    "gradient_through_time",
    "learning_curves",
    "optimisation_history",
    "parameter_boxes",
    "pareto_front",
    "save_figures",
    "save_recurrent_figures",
    "save_winner_figures",
    "worst_mistakes",
    "worth_boxes",
]
