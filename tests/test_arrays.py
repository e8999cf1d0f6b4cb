"""Arrays in memory as data sets: what counts as a class, which rows are test rows, and what is rejected."""

import pickle
from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest

from searchlab.data import Arrays
from searchlab.data.train_test_split import draw_test_rows
from searchlab.errors import UserMistake

X = np.random.default_rng(0).standard_normal((60, 3))
Y = np.arange(60) % 3


def numbers(rows=60, targets=None):
    return np.random.default_rng(1).standard_normal(rows if targets is None else (rows, targets))


def rows_of(data):
    """Return which rows of X the data holds, by their first feature."""
    row_of_value = {value: row for row, value in enumerate(X[:, 0].astype(np.float32).tolist())}
    return [row_of_value[value] for value in data.x[:, 0].tolist()]


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
    y = labels[Y]
    arrays = Arrays(X, y)
    for data in (arrays.training(), arrays.testing()):
        assert data.y.dtype == np.int64
        assert data.target_names == names
        assert data.sizes == (3, 3)
        assert [data.target_names[label] for label in data.y] == [str(y[row]) for row in rows_of(data)]


def test_booleans_are_two_classes():
    data = Arrays(X, Y == 1).training()
    assert (data.target_names, data.outputs) == (("False", "True"), 2)


def test_target_names_are_kept():
    assert Arrays(X, Y, target_names=["a", "b", "c"]).testing().target_names == ("a", "b", "c")
    regression = Arrays(X, numbers(targets=2), target_names=("speed", "angle"))
    assert regression.training().target_names == ("speed", "angle")


@pytest.mark.parametrize(("targets", "outputs"), [(None, 1), (1, 1), (2, 2)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_floats_are_numbers_to_predict(targets, outputs, dtype):
    y = numbers(targets=targets).astype(dtype)
    data = Arrays(X, y).training()
    assert data.y.dtype == np.float32
    assert data.y.shape == (48, outputs)
    assert data.sizes == (3, outputs)
    assert (data.y == y.reshape(60, -1)[rows_of(data)].astype(np.float32)).all()
    assert data.target_names is data.labels is None


def test_images_are_rows_with_an_image_shape():
    x = np.random.default_rng(0).integers(256, size=(60, 4, 5), dtype=np.uint8)
    data = Arrays(x, Y).training()
    assert (data.image_shape, data.sizes, data.x.dtype) == ((4, 5), (20, 3), np.float32)
    assert Arrays(x.reshape(60, 20), Y, image_shape=(4, 5)).training().checksum() == data.checksum()
    assert Arrays(x.reshape(60, 20), Y, image_shape=[5, 4]).testing().image_shape == (5, 4)
    assert Arrays(x, Y, x_test=x.reshape(60, 20)[:9] // 2, y_test=Y[:9]).testing().image_shape == (4, 5)


@pytest.mark.parametrize("test_size", [0.2, 0.5, 0.01])
@pytest.mark.parametrize(
    "y", [Y, np.repeat([5, 9], [50, 10]), numbers(), np.arange(60) // 2], ids=["equal", "unequal", "numbers", "pairs"]
)
def test_drawn_test_rows_are_the_same_each_time(y, test_size):
    arrays = Arrays(X, y, test_size=test_size)
    training, testing = arrays.training(), arrays.testing()
    assert sorted(rows_of(testing) + rows_of(training)) == list(range(60))
    assert len(testing) == max(1, round(60 * test_size))
    assert rows_of(testing) == rows_of(Arrays(X, y, test_size=test_size).testing())
    if y.dtype.kind != "f":
        assert set(training.y) == set(range(training.outputs)), "a class has no row left to train on"


def test_the_seed_draws_the_test_rows():
    drawn = {tuple(rows_of(Arrays(X, Y, seed=seed).testing())) for seed in range(5)}
    assert len(drawn) == 5


def test_each_class_has_its_share_of_the_test_rows():
    y = np.repeat(["a", "b", "c"], [30, 20, 10])
    for seed in range(10):
        assert np.bincount(Arrays(X, y, seed=seed).testing().y).tolist() in ([6, 4, 2], [6, 5, 1], [7, 4, 1], [7, 3, 2])


@pytest.mark.parametrize("y", [Y, numbers()], ids=["classes", "numbers"])
@pytest.mark.parametrize(
    "names", [np.arange(12), np.array([f"patient {n}" for n in range(12)])], ids=["whole", "strings"]
)
def test_test_rows_are_whole_groups(y, names):
    groups = names[np.arange(60) % 12]
    arrays = Arrays(X, y, groups=groups)
    training, testing = arrays.training(), arrays.testing()
    assert len(testing) == 10, "two groups of five fit into a fifth of 60"
    assert not {groups[row] for row in rows_of(testing)} & {groups[row] for row in rows_of(training)}
    assert len(set(training.groups)) == 10
    for data in (training, testing):
        given = [groups[row] for row in rows_of(data)]
        pairs = set(zip(given, data.groups.tolist(), strict=True))
        assert len(pairs) == len(set(given)) == len(set(data.groups))


def test_large_groups_are_drawn_as_often_as_small_ones():
    sizes = np.array([40] * 10 + [5] * 40)
    groups = np.repeat(np.arange(50), sizes)
    drawn = np.zeros(50)
    for seed in range(400):
        rows = draw_test_rows(600, 0.2, seed, groups=groups)
        assert 0.15 <= rows.mean() <= 0.25
        drawn[np.unique(groups[rows])] += 1
    large, small = drawn[:10].mean() / 400, drawn[10:].mean() / 400
    assert abs(large - small) < 0.03, (large, small)


def test_one_group_always_stays_to_train_on():
    groups = np.repeat([0, 1], 10)
    assert all(draw_test_rows(20, 0.9, seed, groups=groups).sum() == 10 for seed in range(5))


def test_where_no_group_fits_the_smallest_is_the_test_part():
    groups = np.repeat([0, 1, 2], [30, 18, 12])
    for seed in range(4):
        assert len(Arrays(X, Y, groups=groups, test_size=0.05, seed=seed).testing()) == 12
    with pytest.raises(UserMistake, match="one group"):
        Arrays(X, Y, groups=np.zeros(60))


def test_given_test_rows_are_the_test_part():
    arrays = Arrays(X, Y, x_test=X[:7] + 9, y_test=np.array([2, 0, 2, 1, 0, 0, 2]), groups=np.arange(60))
    assert rows_of(arrays.training()) == list(range(60))
    assert arrays.testing().y.tolist() == [2, 0, 2, 1, 0, 0, 2]
    assert arrays.testing().groups is None
    strings = Arrays(X, np.array(["no", "yes"])[Y % 2], x_test=X[:2] + 9, y_test=["yes", "no"])
    assert (strings.testing().y.tolist(), strings.testing().outputs) == ([1, 0], 2)
    assert Arrays(X, Y, x_test=X[:2], y_test=[0, 0]).testing().sizes == (3, 3)


def test_arrays_are_copied_and_read_only():
    x, y = X.copy(), Y.copy()
    arrays = Arrays(x, y, x_test=X, y_test=y, groups=y)
    before = arrays.training().checksum()
    x[:], y[:] = 0.0, 0
    assert arrays.training().checksum() == before
    for name in ("x", "y", "x_test", "y_test", "groups"):
        with pytest.raises(ValueError, match="read-only"):
            getattr(arrays, name)[0] = 0
    with pytest.raises(FrozenInstanceError):
        arrays.seed = 3
    arrays.training().x[:] = 0.0  # loaded rows belong to whoever loads them
    assert arrays.training().checksum() == before


def test_equality_hash_and_repr():
    arrays = Arrays(X, Y, groups=Y)
    assert arrays == Arrays(X.copy(), Y.copy(), groups=Y) == pickle.loads(pickle.dumps(arrays))  # noqa: S301, pickled here
    assert hash(arrays) == hash(Arrays(X, Y, groups=Y))
    others = (Arrays(X + 1, Y, groups=Y), Arrays(X, Y), Arrays(X, Y, groups=Y, seed=1), Arrays(X, Y.astype(np.int8)), 5)
    assert all(arrays != other for other in others)
    assert repr(arrays) == "Arrays(x=(60, 3) float64, y=(60,) int64, groups=(60,) int64)"
    options = repr(Arrays(X, Y, test_size=0.5, image_shape=(1, 3)))
    assert options.endswith("y=(60,) int64, test_size=0.5, image_shape=(1, 3))")
    assert replace(arrays, test_size=0.5) == Arrays(X, Y, groups=Y, test_size=0.5)
    assert arrays.training().standardize
    assert not replace(arrays, standardize=False).training().standardize


def x_with(value, *indices):
    """Return X with this value at these places."""
    array = X.copy()
    for index in indices:
        array[index] = value
    return array


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"y": Y[:-1]}, "x has 60 rows and y has 59"),
        ({"x": X.astype(str)}, "x must be numeric; .* <U"),
        ({"x": X.astype(complex)}, "x must be numeric; .* complex128"),
        ({"x": X.astype(object)}, "x must be numeric; .* object"),
        ({"x": [[1.0], [2.0, 3.0]]}, "x cannot be read as an array"),
        ({"x": x_with(np.nan, (7, 0), (9, 2))}, "x holds 2 values that are NaN or infinite .* row 7"),
        ({"x": x_with(np.inf, (3, 1))}, "x holds 1 value .* row 3"),
        ({"x": x_with(1e300, (3, 1))}, "x holds 1 value .* row 3"),
        ({"y": np.where(Y == 1, np.nan, 0.5)}, "y holds 20 values .* row 1 "),
        ({"x": X[:0], "y": Y[:0]}, "x is empty"),
        ({"x": X[:, :0]}, r"x is empty: its shape is \(60, 0\)"),
        ({"x": X[:, 0]}, r"x must be \(rows, features\), .* got \(60,\)"),
        ({"x": X.reshape(60, 3, 1, 1, 1)}, "x must be .*images .*; got"),
        ({"y": Y[:, None]}, r"y must be one class per row, .* got \(60, 1\)"),
        ({"y": numbers()[:, None, None]}, "y must be one class per row"),
        ({"y": numbers(targets=2)[:, :0]}, "y must be one class per row"),
        ({"y": [None] * 60}, "y must be whole numbers, strings or floats; .* object"),
        ({"y": np.full(60, 4)}, "y holds a single class, 4"),
        ({"y": np.arange(60)}, "test_size=0.2 takes 12 of 60 rows .* each of 60 classes"),
        ({"x": X[:1], "y": [0.5]}, "test_size=0.2 takes 1 of 1 row .* a row to train on"),
        ({"test_size": 0.0}, "between 0 and 1; got 0.0"),
        ({"test_size": 1.0}, "between 0 and 1; got 1.0"),
        ({"test_size": 0.99}, "does not leave a row of each of 3 classes"),
        ({"groups": Y[:-1]}, r"one group for each of 60 rows; got int64 of shape \(59,\)"),
        ({"groups": X}, "one group for each of 60 rows"),
        ({"x_test": X}, "x_test and y_test must be given together"),
        ({"y_test": Y}, "x_test and y_test must be given together"),
        ({"x_test": X[:, :2], "y_test": Y}, "x has 3 features and x_test has 2"),
        ({"x_test": X, "y_test": Y[:3]}, "x_test has 60 rows and y_test has 3"),
        ({"x_test": x_with(np.nan, (2, 2)), "y_test": Y}, "x_test holds 1 value"),
        ({"x_test": X, "y_test": np.where(Y == 2, 3, Y)}, "y_test holds the label 3 in row 2"),
        ({"x_test": X, "y_test": Y - 1}, "y_test holds the label -1 in row 0"),
        ({"x_test": X, "y_test": Y.astype(str)}, "y_test holds strings and y holds whole numbers"),
        ({"x_test": X, "y_test": Y * 1.0}, "y_test holds 1 floats per row and y holds whole numbers"),
        ({"target_names": ("a", "b")}, "target_names has 2 names, and y has 3 classes"),
        ({"y": numbers(), "target_names": ("a", "b")}, "target_names has 2 names, and y has 1 targets"),
        ({"image_shape": (2, 2)}, r"image_shape=\(2, 2\) is not .* of shape \(3,\)"),
        ({"image_shape": (3,)}, r"image_shape=\(3,\) is not"),
        ({"x": X.reshape(60, 3, 1), "image_shape": (1, 3)}, r"image_shape=\(1, 3\) is not .* of shape \(3, 1\)"),
    ],
)
def test_mistakes_are_reported_in_a_sentence(changes, message):
    with pytest.raises(UserMistake, match=message) as mistake:
        Arrays(**{"x": X, "y": Y, **changes})
    assert str(mistake.value).endswith((".", ")"))
    assert "\n" not in str(mistake.value)
