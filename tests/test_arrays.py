"""Arrays of a user's own as data sets: what is a class, which rows are locked, and what is refused."""

import pickle
from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest

from searchlab.data import Arrays
from searchlab.errors import UserMistake

X = np.random.default_rng(0).standard_normal((60, 3))
Y = np.arange(60) % 3


def numbers(rows=60, targets=None):
    return np.random.default_rng(1).standard_normal(rows if targets is None else (rows, targets))


def rows_of(table, x=X):
    """Which rows of x a table holds, by their first feature."""
    places = {value: row for row, value in enumerate(x.reshape(len(x), -1)[:, 0].astype(np.float32).tolist())}
    return [places[value] for value in table.x[:, 0].tolist()]


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        (np.array([0, 1, 2]), ("0", "1", "2")),
        (np.array([30, -10, 7]), ("-10", "7", "30")),
        (np.array(["pear", "apple", "fig"]), ("apple", "fig", "pear")),
        (np.array(["b", "a", "c"], dtype=object), ("a", "b", "c")),
        (np.array([3, 1, 2], dtype=np.uint8), ("1", "2", "3")),
    ],
)
def test_labels_are_numbered_in_sorted_order(labels, names):
    given = labels[Y]
    for table, rows in ((t, rows_of(t)) for t in (Arrays(X, given).training(), Arrays(X, given).testing())):
        assert table.y.dtype == np.int64
        assert table.names == names
        assert table.sizes == (3, 3)
        assert [table.names[label] for label in table.y] == [str(given[row]) for row in rows]


def test_booleans_are_two_classes():
    table = Arrays(X, Y == 1).training()
    assert (table.names, table.outputs) == (("False", "True"), 2)


def test_names_may_be_given():
    assert Arrays(X, Y, names=["a", "b", "c"]).testing().names == ("a", "b", "c")
    assert Arrays(X, numbers(targets=2), names=("speed", "angle")).training().names == ("speed", "angle")


@pytest.mark.parametrize(("targets", "outputs"), [(None, 1), (1, 1), (2, 2)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_floats_are_numbers_to_predict(targets, outputs, dtype):
    y = numbers(targets=targets).astype(dtype)
    table = Arrays(X, y).training()
    assert table.y.dtype == np.float32
    assert table.y.shape == (48, outputs)
    assert table.sizes == (3, outputs)
    assert (table.y == y.reshape(60, -1)[rows_of(table)].astype(np.float32)).all()
    assert table.names is table.labels is None


def test_pictures_are_rows_that_know_their_shape():
    x = np.random.default_rng(0).integers(256, size=(60, 4, 5), dtype=np.uint8)
    table = Arrays(x, Y).training()
    assert (table.image, table.sizes, table.x.dtype) == ((4, 5), (20, 3), np.float32)
    assert Arrays(x.reshape(60, 20), Y, image=(4, 5)).training().checksum() == table.checksum()
    assert Arrays(x.reshape(60, 20), Y, image=[5, 4]).testing().image == (5, 4)
    assert Arrays(x, Y, x_test=x.reshape(60, 20)[:9] // 2, y_test=Y[:9]).testing().image == (4, 5)


@pytest.mark.parametrize("test", [0.2, 0.5, 0.01])
@pytest.mark.parametrize(
    "y", [Y, np.repeat([5, 9], [50, 10]), numbers(), np.arange(60) // 2], ids=["equal", "unequal", "numbers", "pairs"]
)
def test_locked_rows_are_drawn_once_and_for_all(y, test):
    data = Arrays(X, y, test=test)
    locked, rest = rows_of(data.testing()), rows_of(data.training())
    assert sorted(locked + rest) == list(range(60))
    assert len(locked) == max(1, round(60 * test))
    assert locked == rows_of(Arrays(X, y, test=test).testing())
    if y.dtype.kind != "f":
        assert set(data.training().y) == set(range(data.training().outputs)), "a class has no row left to train on"


def test_the_seed_draws_the_locked_rows():
    drawn = {tuple(rows_of(Arrays(X, Y, seed=seed).testing())) for seed in range(5)}
    assert len(drawn) == 5


def test_each_class_has_its_part_of_the_locked_rows():
    y = np.repeat(["a", "b", "c"], [30, 20, 10])
    for seed in range(10):
        assert np.bincount(Arrays(X, y, seed=seed).testing().y).tolist() in ([6, 4, 2], [6, 5, 1], [7, 4, 1], [7, 3, 2])


@pytest.mark.parametrize("y", [Y, numbers()], ids=["classes", "numbers"])
@pytest.mark.parametrize(
    "names", [np.arange(12), np.array([f"patient {n}" for n in range(12)])], ids=["whole", "words"]
)
def test_groups_are_locked_whole(y, names):
    groups = names[np.arange(60) % 12]
    data = Arrays(X, y, groups=groups)
    locked, rest = data.testing(), data.training()
    assert len(locked) == 10, "two groups of five fit into a fifth of 60"
    assert not {groups[row] for row in rows_of(locked)} & {groups[row] for row in rows_of(rest)}
    assert len(set(rest.groups)) == 10
    for table in (locked, rest):
        of = [groups[row] for row in rows_of(table)]
        pairs = set(zip(of, table.groups.tolist(), strict=True))
        assert len(pairs) == len(set(of)) == len(set(table.groups))


def test_where_no_group_fits_the_smallest_is_locked():
    groups = np.repeat([0, 1, 2], [30, 18, 12])
    for seed in range(4):
        assert len(Arrays(X, Y, groups=groups, test=0.05, seed=seed).testing()) == 12
    with pytest.raises(UserMistake, match="all rows are of one group"):
        Arrays(X, Y, groups=np.zeros(60))


def test_given_test_rows_are_the_locked_ones():
    data = Arrays(X, Y, x_test=X[:7] + 9, y_test=np.array([2, 0, 2, 1, 0, 0, 2]), groups=np.arange(60))
    assert rows_of(data.training()) == list(range(60))
    assert data.testing().y.tolist() == [2, 0, 2, 1, 0, 0, 2]
    assert data.testing().groups is None
    words = Arrays(X, np.array(["no", "yes"])[Y % 2], x_test=X[:2] + 9, y_test=["yes", "no"])
    assert (words.testing().y.tolist(), words.testing().outputs) == ([1, 0], 2)
    assert Arrays(X, Y, x_test=X[:2], y_test=[0, 0]).testing().sizes == (3, 3)


def test_what_is_held_cannot_change():
    x, y = X.copy(), Y.copy()
    data = Arrays(x, y, x_test=X, y_test=y, groups=y)
    before = data.training().checksum()
    x[:], y[:] = 0.0, 0
    assert data.training().checksum() == before
    for name in ("x", "y", "x_test", "y_test", "groups"):
        with pytest.raises(ValueError, match="read-only"):
            getattr(data, name)[0] = 0
    with pytest.raises(FrozenInstanceError):
        data.seed = 3
    data.training().x[:] = 0.0  # a table is its reader's own
    assert data.training().checksum() == before


def test_equal_arrays_are_equal_and_told_by_their_shapes():
    data = Arrays(X, Y, groups=Y)
    assert data == Arrays(X.copy(), Y.copy(), groups=Y) == pickle.loads(pickle.dumps(data))
    assert hash(data) == hash(Arrays(X, Y, groups=Y))
    others = (Arrays(X + 1, Y, groups=Y), Arrays(X, Y), Arrays(X, Y, groups=Y, seed=1), Arrays(X, Y.astype(np.int8)), 5)
    assert all(data != other for other in others)
    assert repr(data) == "Arrays(x=(60, 3) float64, y=(60,) int64, groups=(60,) int64)"
    assert repr(Arrays(X, Y, test=0.5, image=(1, 3))).endswith("y=(60,) int64, test=0.5, image=(1, 3))")
    assert replace(data, test=0.5) == Arrays(X, Y, groups=Y, test=0.5)
    assert data.training().standardize
    assert not replace(data, standardize=False).training().standardize


def spoilt(value, *places):
    array = X.copy()
    for place in places:
        array[place] = value
    return array


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"y": Y[:-1]}, "x has 60 rows and y has 59"),
        ({"x": X.astype(str)}, "x is not numeric: its values are <U"),
        ({"x": X.astype(complex)}, "x is not numeric: its values are complex128"),
        ({"x": X.astype(object)}, "x is not numeric: its values are object"),
        ({"x": [[1.0], [2.0, 3.0]]}, "x cannot be read as an array"),
        (
            {"x": spoilt(np.nan, (7, 0), (9, 2))},
            "x holds NaN or infinite numbers, as float32: 2 in all, the first in row 7, from 0",
        ),
        ({"x": spoilt(np.inf, (3, 1))}, "x holds NaN or infinite .* 1 in all, the first in row 3"),
        ({"x": spoilt(1e300, (3, 1))}, "x holds NaN or infinite .* 1 in all, the first in row 3"),
        (
            {"y": np.where(Y == 1, np.nan, 0.5)},
            "y holds NaN .*: 20 in all, the first in row 1,",
        ),
        ({"x": X[:0], "y": Y[:0]}, "x is empty"),
        ({"x": X[:, :0]}, r"x is empty: its shape is \(60, 0\)"),
        ({"x": X[:, 0]}, r"x is \(rows, features\), .* got \(60,\)"),
        ({"x": X.reshape(60, 3, 1, 1)}, "x is .*pictures; got"),
        ({"y": Y[:, None]}, r"y is one class per row, \(rows,\), or floats \(rows, targets\); got \(60, 1\)"),
        ({"y": numbers()[:, None, None]}, "y is one class per row"),
        ({"y": numbers(targets=2)[:, :0]}, "y is one class per row"),
        ({"y": [None] * 60}, "y is neither whole numbers, words nor floats: its values are object"),
        ({"y": np.full(60, 4)}, "y holds a single class, 4"),
        ({"y": np.arange(60)}, "test=0.2 would lock 12 of 60 rows and not leave a row of each of 60 classes"),
        ({"x": X[:1], "y": [0.5]}, "test=0.2 would lock 1 of 1 rows and not leave a row to train on"),
        ({"test": 0.0}, "between 0 and 1; got 0.0"),
        ({"test": 1.0}, "between 0 and 1; got 1.0"),
        ({"test": 0.99}, "not leave a row of each of 3 classes"),
        ({"groups": Y[:-1]}, r"one group for each of 60 rows; got int64 of shape \(59,\)"),
        ({"groups": X}, "one group for each of 60 rows"),
        ({"x_test": X}, "x_test and y_test are given together"),
        ({"y_test": Y}, "x_test and y_test are given together"),
        ({"x_test": X[:, :2], "y_test": Y}, "x has 3 features and x_test has 2"),
        ({"x_test": X, "y_test": Y[:3]}, "x_test has 60 rows and y_test has 3"),
        ({"x_test": spoilt(np.nan, (2, 2)), "y_test": Y}, "x_test holds NaN .* 1 in all"),
        ({"x_test": X, "y_test": np.where(Y == 2, 3, Y)}, "y_test holds the label 3 in row 2, which y does not hold"),
        ({"x_test": X, "y_test": Y - 1}, "y_test holds the label -1 in row 0"),
        ({"x_test": X, "y_test": Y.astype(str)}, "y_test holds words and y holds whole numbers"),
        ({"x_test": X, "y_test": Y * 1.0}, "y_test holds 1 floats per row and y holds whole numbers"),
        ({"names": ("a", "b")}, "names has 2 names, and y has 3 classes"),
        ({"y": numbers(), "names": ("a", "b")}, "names has 2 names, and y has 1 targets"),
        ({"image": (2, 2)}, r"image=\(2, 2\) is not \(height, width\) of rows of shape \(3,\)"),
        ({"image": (3,)}, r"image=\(3,\) is not"),
        ({"x": X.reshape(60, 3, 1), "image": (1, 3)}, r"image=\(1, 3\) is not .* of shape \(3, 1\)"),
    ],
)
def test_mistakes_are_told_in_a_sentence(given, told):
    with pytest.raises(UserMistake, match=told) as mistake:
        Arrays(**{"x": X, "y": Y, **given})
    assert str(mistake.value).endswith((".", ")"))
    assert "\n" not in str(mistake.value)
