"""The pictures of a winner: what it confuses, where it is surely wrong, and how it divides a plane."""

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.image import imread

from searchlab.reporting.figures import confusion_matrix, decision_boundary, save_winner_figures, worst_mistakes
from searchlab.reporting.figures.mistakes import surest_mistakes
from searchlab.reporting.predictions import Predictions, probabilities
from searchlab.reporting.style import COLORS

CLOTHES = ("T-shirt/top", "trouser", "ankle boot")


def texts(figure):
    return [text.get_text() for text in figure.axes[0].texts]


def scores_for(said, sure, classes=3):
    """Scores whose softmax gives the class `said` the probability `sure`."""
    scores = np.zeros((len(said), classes))
    scores[np.arange(len(said)), said] = np.log(np.array(sure) * (classes - 1) / (1 - np.array(sure)))
    return scores


def test_probabilities_are_softmax_and_survive_all():
    shares = probabilities(np.array([[0.0, np.log(3)], [1e9, 0.0], [np.nan, 1.0], [np.inf, 0.0]]))
    assert shares[:2] == pytest.approx(np.array([[0.25, 0.75], [1.0, 0.0]]))
    assert np.isnan(shares[2:]).all()
    assert probabilities(np.empty((0, 3))).shape == (0, 3)


def test_cells_hold_how_many_rows_fell_there():
    figure = confusion_matrix(np.array([0, 0, 0, 2, 2]), np.array([0, 0, 1, 2, 0]), 3, CLOTHES)
    cells = {t.get_position(): t.get_text() for t in figure.axes[0].texts if t.get_text().isdigit()}
    assert cells == {(0, 0): "2", (1, 0): "1", (2, 2): "1", (0, 2): "1"}  # (said, was)
    assert {"66.7 %", "50.0 %", "no rows"} <= set(texts(figure))
    assert any("accuracy 0.6000: 3 of 5 rows" in text for text in texts(figure))
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == list(CLOTHES)


def test_errors_are_orange_on_a_scale_of_their_own_and_right_ones_blue():
    truth, said = np.repeat([0, 1], 1000), np.repeat([0, 1, 1], [990, 10, 1000])
    image = confusion_matrix(truth, said, 2).axes[0].get_images()[0].get_array()
    right, wrong, nothing = image[0, 0], image[0, 1], image[1, 0]
    assert right[2] > right[0] + 0.2  # blue
    assert wrong[0] > wrong[2] + 0.1  # one in a hundred is seen
    assert nothing[:3].tolist() == [1.0, 1.0, 1.0]


@pytest.mark.parametrize("classes", [1, 2, 10, 26, 47])
def test_any_number_of_classes_has_a_matrix(classes):
    truth = np.arange(3 * classes) % classes
    figure = confusion_matrix(truth, np.roll(truth, 1), classes)
    figure.canvas.draw()
    assert ("3" in texts(figure)) == (classes <= 30)


def test_nothing_confused_says_so_and_none_makes_a_picture():
    right = confusion_matrix(np.arange(3), np.arange(3), 3)
    assert [text.get_text() for text in right.axes[0].get_legend().get_texts()] == ["right"]
    assert "no rows" in texts(confusion_matrix(np.empty(0), np.empty(0), 3))


def test_the_surest_mistakes_come_first():
    truth, said, sure = np.array([0, 1, 2, 0, 1]), [0, 2, 1, 1, 0], [0.99, 0.6, 0.9, 0.7, 0.9]
    assert surest_mistakes(truth, probabilities(scores_for(said, sure))).tolist() == [2, 4, 3, 1]
    figure = worst_mistakes(np.random.default_rng(0).random((5, 12)), (3, 4), truth, scores_for(said, sure), shown=3)
    assert texts(figure)[:3] == ["2 → 1  0.90", "1 → 0  0.90", "0 → 1  0.70"]
    images = figure.axes[0].get_images()
    assert [image.get_array().shape for image in images] == [(3, 4)] * 3
    assert "the surest 3 of 4 mistakes in 5 images" in texts(figure)[3]


def test_long_names_and_few_mistakes_fit():
    figure = worst_mistakes(np.zeros((1, 4)), (2, 2), np.array([0]), scores_for([2], [0.5]), CLOTHES)
    figure.canvas.draw()
    assert texts(figure)[0] == "T-shirt/top → ankle boot\n0.50"


def test_no_mistakes_and_no_answers_are_no_images():
    pixels, truth = np.zeros((2, 4)), np.array([0, 1])
    assert texts(worst_mistakes(pixels, (2, 2), truth, scores_for([0, 1], [0.9, 0.9]))) == ["no mistakes"]
    assert texts(worst_mistakes(pixels, (2, 2), truth, np.full((2, 3), np.nan))) == ["no mistakes"]
    assert texts(worst_mistakes(pixels[:0], (2, 2), truth[:0], np.empty((0, 3)))) == ["no images"]


def by_sign(points):
    """Class 1 right of the middle, class 0 left of it, and undecided on it."""
    assert points.dtype == np.float32
    return np.stack([-points[:, 0], points[:, 0]], axis=1)


def ground_at(figure, x, y):
    """The colour of the ground at a place."""
    image = figure.axes[0].get_images()[0]
    left, right, bottom, top = image.get_extent()
    rows, columns = image.get_array().shape[:2]
    place = int((y - bottom) / (top - bottom) * rows), int((x - left) / (right - left) * columns)
    return np.asarray(image.get_array()[place])


def test_the_ground_has_the_tint_of_the_class_said_there_and_is_paler_where_unsure():
    points = np.array([[-5, -5], [5, 5], [-5, 5], [5, -5]], dtype=np.float32)
    figure = decision_boundary(by_sign, points, np.array([0, 1, 0, 0]), ("no", "yes"))
    for x, color in ((-4, COLORS[0]), (4, COLORS[1])):
        here = 1 - ground_at(figure, x, 0)
        assert here / here.max() == pytest.approx((1 - np.array(to_rgb(color))) / here.max() * 0.38, abs=0.02)
    unsure = ground_at(figure, 0.1, 0)
    assert np.ptp(unsure) < min(np.ptp(ground_at(figure, -4, 0)), np.ptp(ground_at(figure, 4, 0)))
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
@pytest.mark.parametrize("answer", [by_sign, lambda points: np.full((len(points), 3), np.nan)])
def test_any_points_have_a_boundary(points, labels, answer):
    decision_boundary(answer, points, labels).canvas.draw()


def test_many_classes_have_looks_of_their_own():
    points = np.random.default_rng(0).random((40, 2))
    figure = decision_boundary(lambda p: np.outer(p[:, 0], np.arange(23)), points, np.arange(40) % 23)
    handles = figure.axes[0].get_legend().legend_handles
    assert len({(handle.get_color(), handle.get_marker()) for handle in handles}) == 23


def test_a_winner_leaves_the_pictures_its_rows_allow(tmp_path):
    random = np.random.default_rng(0)
    truth, scores, plane = random.integers(2, size=30), random.normal(size=(30, 2)), random.normal(size=(30, 2))
    table = Predictions(random.random((30, 5)), truth, scores)
    assert names(tmp_path, table) == ["confusion-matrix.png"]
    assert names(tmp_path, table, by_sign) == ["confusion-matrix.png"]
    images = Predictions(random.random((30, 6)), truth, scores, (2, 3), ("no", "yes"))
    assert names(tmp_path, images) == ["confusion-matrix.png", "worst-mistakes.png"]
    assert names(tmp_path, Predictions(plane, truth, scores), by_sign) == [
        "confusion-matrix.png",
        "decision-boundary.png",
    ]
    assert names(tmp_path, Predictions(plane, truth, scores)) == ["confusion-matrix.png"]
    assert names(tmp_path, Predictions(plane, truth, scores[:, :1]), by_sign) == []
    assert names(tmp_path, Predictions(plane, truth, scores * np.nan), by_sign)[0] == "confusion-matrix.png"


def names(folder, answers, predict=None):
    paths = save_winner_figures(folder / "figures", answers, predict)
    assert all(imread(path).std() > 0.01 for path in paths)
    return [path.name for path in paths]
