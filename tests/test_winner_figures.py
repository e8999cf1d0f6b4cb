"""The figures of a winner: confusion matrix, misclassified images and decision boundary."""

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.image import imread

from searchlab.nn.class_probabilities import softmax
from searchlab.reporting.figures import (
    plot_confusion_matrix,
    plot_decision_boundary,
    plot_misclassified_images,
    save_prediction_figures,
)
from searchlab.reporting.figures.misclassified_images import most_confident_errors
from searchlab.reporting.predictions import Predictions
from searchlab.reporting.style import COLORS

CLOTHES = ("T-shirt/top", "trouser", "ankle boot")


def texts(figure):
    return [text.get_text() for text in figure.axes[0].texts]


def scores_for(predicted, shares, classes=3):
    """Scores whose softmax gives the predicted classes these probabilities."""
    scores = np.zeros((len(predicted), classes))
    scores[np.arange(len(predicted)), predicted] = np.log(np.array(shares) * (classes - 1) / (1 - np.array(shares)))
    return scores


def test_probabilities_are_the_softmax_and_nan_without_finite_scores():
    shares = softmax(np.array([[0.0, np.log(3)], [1e9, 0.0], [np.nan, 1.0], [np.inf, 0.0]]))
    assert shares[:2] == pytest.approx(np.array([[0.25, 0.75], [1.0, 0.0]]))
    assert np.isnan(shares[2:]).all()
    assert softmax(np.empty((0, 3))).shape == (0, 3)


def test_cells_have_the_numbers_of_rows():
    figure = plot_confusion_matrix(np.array([0, 0, 0, 2, 2]), np.array([0, 0, 1, 2, 0]), 3, CLOTHES)
    cells = {t.get_position(): t.get_text() for t in figure.axes[0].texts if t.get_text().isdigit()}
    assert cells == {(0, 0): "2", (1, 0): "1", (2, 2): "1", (0, 2): "1"}  # (predicted, true)
    assert {"66.7%", "50.0%", "no rows", "recall"} <= set(texts(figure))
    above = [text.get_text() for text in figure.axes[0].texts if text.get_verticalalignment() == "bottom"]
    assert above[:4] == ["66.7%", "0.0%", "100.0%", "precision"], "the share of each column that is right"
    assert any("accuracy 0.6000: 3 of 5 rows" in text for text in texts(figure))
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == list(CLOTHES)


def test_correct_cells_are_blue_and_errors_orange_on_their_own_scale():
    labels, predicted = np.repeat([0, 1], 1000), np.repeat([0, 1, 1], [990, 10, 1000])
    image = plot_confusion_matrix(labels, predicted, 2).axes[0].get_images()[0].get_array()
    correct, wrong, empty = image[0, 0], image[0, 1], image[1, 0]
    assert correct[2] > correct[0] + 0.2  # blue
    assert wrong[0] > wrong[2] + 0.1  # orange, although it is one row in a hundred
    assert empty[:3].tolist() == [1.0, 1.0, 1.0]


@pytest.mark.parametrize("classes", [1, 2, 10, 26, 47])
def test_confusion_matrix_of_any_number_of_classes(classes):
    labels = np.arange(3 * classes) % classes
    figure = plot_confusion_matrix(labels, np.roll(labels, 1), classes)
    figure.canvas.draw()
    assert ("3" in texts(figure)) == (classes <= 30)


def test_confusion_matrix_without_errors_and_without_rows():
    right = plot_confusion_matrix(np.arange(3), np.arange(3), 3)
    assert [text.get_text() for text in right.axes[0].get_legend().get_texts()] == ["correct"]
    assert "no rows" in texts(plot_confusion_matrix(np.empty(0), np.empty(0), 3))


def test_most_confident_errors_come_first():
    labels, scores = np.array([0, 1, 2, 0, 1]), scores_for([0, 2, 1, 1, 0], [0.99, 0.6, 0.9, 0.7, 0.9])
    assert most_confident_errors(labels, softmax(scores), scores.argmax(axis=1)).tolist() == [2, 4, 3, 1]
    x = np.random.default_rng(0).random((5, 12))
    figure = plot_misclassified_images(Predictions(x, labels, scores, (3, 4)), limit=3)
    assert texts(figure)[:3] == ["2 → 1  0.90", "1 → 0  0.90", "0 → 1  0.70"]
    images = figure.axes[0].get_images()
    assert [image.get_array().shape for image in images] == [(3, 4)] * 3
    assert "3 of 4 errors in 5 images" in texts(figure)[3]


def test_captions_with_long_class_names_have_two_lines():
    predictions = Predictions(np.zeros((1, 4)), np.array([0]), scores_for([2], [0.5]), (2, 2), CLOTHES)
    figure = plot_misclassified_images(predictions)
    figure.canvas.draw()
    assert texts(figure)[0] == "T-shirt/top → ankle boot\n0.50"


@pytest.mark.parametrize(
    ("rows", "scores", "message"),
    [
        (2, scores_for([0, 1], [0.9, 0.9]), "no errors"),
        (2, np.full((2, 3), np.nan), "no errors"),
        (0, np.empty((0, 3)), "no images"),
    ],
)
def test_without_errors_or_predictions_there_are_no_images(rows, scores, message):
    predictions = Predictions(np.zeros((rows, 4)), np.arange(rows), scores, (2, 2))
    assert texts(plot_misclassified_images(predictions)) == [message]


def by_sign(points):
    """Scores of class 0 left of the middle and class 1 right of it."""
    assert points.dtype == np.float32
    return np.stack([-points[:, 0], points[:, 0]], axis=1)


def background_at(figure, x, y):
    """The background color at a point."""
    image = figure.axes[0].get_images()[0]
    left, right, bottom, top = image.get_extent()
    rows, columns = image.get_array().shape[:2]
    pixel = int((y - bottom) / (top - bottom) * rows), int((x - left) / (right - left) * columns)
    return np.asarray(image.get_array()[pixel])


def test_background_has_the_color_of_the_predicted_class_and_is_paler_where_it_is_less_certain():
    points = np.array([[-5, -5], [5, 5], [-5, 5], [5, -5]], dtype=np.float32)
    figure = plot_decision_boundary(by_sign, points, np.array([0, 1, 0, 0]), ("no", "yes"))
    for x, color in ((-4, COLORS[0]), (4, COLORS[1])):
        tint = 1 - background_at(figure, x, 0)
        assert tint / tint.max() == pytest.approx((1 - np.array(to_rgb(color))) / tint.max() * 0.38, abs=0.02)
    uncertain = background_at(figure, 0.1, 0)
    assert np.ptp(uncertain) < min(np.ptp(background_at(figure, -4, 0)), np.ptp(background_at(figure, 4, 0)))
    assert [text.get_text() for text in figure.axes[0].get_legend().get_texts()] == ["no", "yes"]
    assert "accuracy 0.7500 on 4 points" in texts(figure)[0]
    assert figure.axes[0].get_aspect() == 1.0


@pytest.mark.parametrize(
    ("points", "labels"),
    [
        (np.empty((0, 2)), np.empty(0, int)),
        (np.array([[1.0, 2.0]]), np.array([1])),
        (np.array([[np.nan, 0.0], [1.0, np.inf]]), np.array([0, 1])),
        (np.array([[0.0, 0.0], [1000.0, 1e-3]]), np.array([0, 1])),
        (np.array([[0.0, 0.0], [0.0, 1.0]]), np.array([0, 0])),
    ],
)
@pytest.mark.parametrize("predict", [by_sign, lambda points: np.full((len(points), 3), np.nan)])
def test_decision_boundary_of_any_points(points, labels, predict):
    plot_decision_boundary(predict, points, labels).canvas.draw()


def test_each_of_many_classes_has_its_own_color_and_marker():
    points = np.random.default_rng(0).random((40, 2))
    figure = plot_decision_boundary(lambda p: np.outer(p[:, 0], np.arange(23)), points, np.arange(40) % 23)
    handles = figure.axes[0].get_legend().legend_handles
    assert len({(handle.get_color(), handle.get_marker()) for handle in handles}) == 23


def test_figures_depend_on_the_inputs(tmp_path):
    generator = np.random.default_rng(0)
    labels, scores = generator.integers(2, size=30), generator.normal(size=(30, 2))
    plane = generator.normal(size=(30, 2))
    table = Predictions(generator.random((30, 5)), labels, scores)
    assert names(tmp_path, table) == ["confusion-matrix.png"]
    assert names(tmp_path, table, by_sign) == ["confusion-matrix.png"]
    images = Predictions(generator.random((30, 6)), labels, scores, (2, 3), ("no", "yes"))
    assert names(tmp_path, images) == ["confusion-matrix.png", "misclassified-images.png"]
    assert names(tmp_path, Predictions(plane, labels, scores), by_sign) == [
        "confusion-matrix.png",
        "decision-boundary.png",
    ]
    assert names(tmp_path, Predictions(plane, labels, scores)) == ["confusion-matrix.png"]
    assert names(tmp_path, Predictions(plane, labels, scores[:, :1]), by_sign) == []
    assert names(tmp_path, Predictions(plane, labels, scores * np.nan), by_sign)[0] == "confusion-matrix.png"


def names(folder, predictions, predict=None):
    paths = save_prediction_figures(folder / "figures", predictions, predict)
    assert all(imread(path).std() > 0.01 for path in paths)
    return [path.name for path in paths]
