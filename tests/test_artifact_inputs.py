"""The inputs of an artifact of rows: arrays and pandas frames, and what it says of those that it does not take."""

from __future__ import annotations

import numpy as np
import pytest

from searchlab import UserMistake, artifact
from searchlab.data import Vocabulary
from searchlab.testing.linear_model import LinearModel

pandas = pytest.importorskip("pandas")
WEIGHTS = {"affine.W": np.array([[1.0, 0.0], [0.0, 2.0]]), "affine.b": np.zeros((1, 2))}
ROWS = np.array([[3.0, 1.0], [0.0, 1.0]])
CLASSES = {"inputs": {"features": ["length", "width"]}, "targets": {"kind": "classes"}, "classes": ["cat", "dog"]}


def loaded(tmp_path, metadata, **options):
    artifact.save(tmp_path, WEIGHTS, LinearModel, arguments={}, sizes=(2, 2), metadata=metadata, **options)
    return artifact.load(tmp_path)


def test_classes_and_their_probabilities(tmp_path):
    saved = loaded(tmp_path, CLASSES)
    assert saved.classify(ROWS).tolist() == ["cat", "dog"]
    shares = saved.probabilities(ROWS)
    np.testing.assert_allclose(shares.sum(axis=1), 1.0)
    np.testing.assert_allclose(shares[0], [1 / (1 + np.exp(-1.0)), 1 / (1 + np.exp(1.0))])


def test_classes_without_names_are_numbers(tmp_path):
    saved = loaded(tmp_path, {"targets": {"kind": "classes"}, "classes": None})
    assert saved.classify(ROWS).tolist() == [0, 1]


@pytest.mark.parametrize("metadata", [{}, {"targets": {"kind": "numbers"}}])
def test_a_network_that_predicts_numbers_does_not_classify(tmp_path, metadata):
    saved = loaded(tmp_path, metadata)
    for method in (saved.classify, saved.probabilities):
        with pytest.raises(UserMistake, match="does not classify rows"):
            method(ROWS)


def test_the_columns_of_a_frame_are_found_by_their_names(tmp_path):
    saved = loaded(tmp_path, CLASSES)
    frame = pandas.DataFrame({"width": ROWS[:, 1], "length": ROWS[:, 0]})
    assert saved.predict(frame).tolist() == saved.predict(ROWS).tolist()
    assert saved.classify(frame).tolist() == ["cat", "dog"]


def test_missing_and_unknown_columns_are_named(tmp_path):
    saved = loaded(tmp_path, CLASSES)
    frame = pandas.DataFrame({"width": [1.0], "id": [7]})
    expected = "the table lacks 'length' and has 'id', which the network was not trained on; it takes 'length', 'width'"
    with pytest.raises(UserMistake, match=expected):
        saved.predict(frame)


def test_a_frame_for_a_network_without_names_counts_by_position(tmp_path):
    saved = loaded(tmp_path, {})
    assert saved.predict(pandas.DataFrame(ROWS)).tolist() == saved.predict(ROWS).tolist()


@pytest.mark.parametrize(
    ("x", "expected"),
    [
        (np.zeros((3, 4)), r"takes rows of 2 numbers: 'length', 'width'; got shape \(3, 4\)"),
        (np.zeros(2), r"takes rows of 2 numbers.*got shape \(2,\)"),
        ([[1.0, 2.0], [np.nan, 0.0]], "row 1, column 'length' of the inputs is nan"),
        ([[1.0, np.inf]], "row 0, column 'width' of the inputs is inf"),
        ([["a", "b"]], "the inputs are not an array of numbers"),
        ([[1.0], [1.0, 2.0]], "the inputs are not an array of numbers"),
        (None, "the inputs are not an array of numbers|got shape"),
    ],
)
def test_what_it_does_not_take_is_said_in_one_sentence(tmp_path, x, expected):
    saved = loaded(tmp_path, CLASSES)
    with pytest.raises(UserMistake, match=expected) as caught:
        saved.predict(x)
    assert "\n" not in str(caught.value)


def test_the_inputs_are_not_changed(tmp_path):
    rows = ROWS.astype(np.float32)
    loaded(tmp_path, CLASSES).predict(rows)
    assert rows.tolist() == ROWS.tolist()


def test_a_language_model_does_not_predict_rows(tmp_path):
    saved = loaded(tmp_path, {}, vocabulary=Vocabulary.from_tokens(["a", "b"]))
    with pytest.raises(UserMistake, match="predict needs a network of rows, and this artifact has a vocabulary; use"):
        saved.predict(ROWS)
