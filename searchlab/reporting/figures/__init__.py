"""Figures of a search and of its winner, plotted from plain values with matplotlib."""

from matplotlib.figure import Figure

from searchlab.reporting.figures.attention_maps import plot_attention_maps
from searchlab.reporting.figures.box_plots import plot_fold_scores, plot_parameter_scores
from searchlab.reporting.figures.confusion_matrix import plot_confusion_matrix
from searchlab.reporting.figures.decision_boundary import plot_decision_boundary
from searchlab.reporting.figures.gradient_through_time import plot_gradient_through_time
from searchlab.reporting.figures.importance_bars import ShownImportance, plot_importance
from searchlab.reporting.figures.layer_statistics import plot_layer_statistics
from searchlab.reporting.figures.learning_curves import plot_learning_curves
from searchlab.reporting.figures.misclassified_images import plot_misclassified_images
from searchlab.reporting.figures.optimization_history import plot_optimization_history
from searchlab.reporting.figures.parallel_coordinates import plot_parallel_coordinates
from searchlab.reporting.figures.parameter_groups import parameters_to_plot
from searchlab.reporting.figures.parameter_heat_map import plot_parameter_heat_map
from searchlab.reporting.figures.parameter_scatter import plot_parameter_scatter
from searchlab.reporting.figures.pareto_front import plot_pareto_front
from searchlab.reporting.figures.plotted_trial import PlottedTrial
from searchlab.reporting.figures.predicted_numbers import plot_predicted_numbers
from searchlab.reporting.figures.ranking import plot_ranking
from searchlab.reporting.figures.save import (
    save_attention_figure,
    save_gradient_figure,
    save_layer_figure,
    save_number_figures,
    save_prediction_figures,
    save_trial_figures,
    save_word_map,
)
from searchlab.reporting.figures.word_map import plot_word_map

__all__ = [
    "Figure",
    "PlottedTrial",
    "ShownImportance",
    "parameters_to_plot",
    "plot_attention_maps",
    "plot_confusion_matrix",
    "plot_decision_boundary",
    "plot_fold_scores",
    "plot_gradient_through_time",
    "plot_importance",
    "plot_layer_statistics",
    "plot_learning_curves",
    "plot_misclassified_images",
    "plot_optimization_history",
    "plot_parallel_coordinates",
    "plot_parameter_heat_map",
    "plot_parameter_scatter",
    "plot_parameter_scores",
    "plot_pareto_front",
    "plot_predicted_numbers",
    "plot_ranking",
    "plot_word_map",
    "save_attention_figure",
    "save_gradient_figure",
    "save_layer_figure",
    "save_number_figures",
    "save_prediction_figures",
    "save_trial_figures",
    "save_word_map",
]
