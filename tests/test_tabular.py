"""Data sets in files of a user's own, an .npz or a .csv: found, read, and refused by line and column."""

import numpy as np
import pytest

from searchlab.data import Arrays, Csv, GroupKFold, Npz
from searchlab.errors import UserMistake, WorldFault

X = np.random.default_rng(0).standard_normal((30, 2))
Y = np.arange(30) % 3


@pytest.fixture(autouse=True)
def folders(tmp_path, monkeypatch):
    """The current folder is empty, and so is the data folder beside it."""
    (tmp_path / "here").mkdir()
    (tmp_path / "data").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("SEARCHLAB_DATA", str(tmp_path / "data"))
    return tmp_path


def write(text, name="some.csv"):
    with open(name, "w", newline="") as file:
        file.write(text)
    return name


def column(cells, header="target"):
    """A file with one feature and these cells as its target."""
    return write(f"size,{header}\n" + "".join(f"{row},{cell}\n" for row, cell in enumerate(cells)))


def test_npz_is_as_its_arrays_are():
    np.savez("some.npz", x=X, y=Y)
    same = Arrays(X, Y, test=0.3, seed=4, names=("a", "b", "c"))
    data = Npz("some.npz", test=0.3, seed=4, names=("a", "b", "c"))
    assert data.training().checksum() == same.training().checksum()
    assert data.testing().checksum() == same.testing().checksum()
    assert data.training().names == ("a", "b", "c")
    assert data.training().standardize
    assert not Npz("some.npz", standardize=False).training().standardize


def test_npz_has_keys_and_test_rows_of_its_own():
    np.savez_compressed(
        "some.npz", inputs=X, words=np.array(["a", "b", "c"])[Y], who=Y, x_test=X[:2], y_test=["c", "a"]
    )
    data = Npz("some.npz", x="inputs", y="words", groups="who", image=(1, 2))
    assert len(data.training()) == 30
    assert data.testing().y.tolist() == [2, 0]
    assert (data.training().groups == Y).all()
    assert data.training().image == (1, 2)


@pytest.mark.parametrize(
    ("held", "asked", "told"),
    [
        ({"x": X, "label": Y}, {}, r"some\.npz has no key 'y'; its keys are x, label\."),
        ({"x": X, "y": Y}, {"x": "X"}, r"some\.npz has no key 'X'; its keys are x, y\."),
        ({"x": X, "y": Y}, {"groups": "who"}, "has no key 'who'"),
        ({"x": X, "y": Y[1:]}, {}, r"some\.npz: x has 30 rows and y has 29\."),
        ({"x": X, "y": Y, "x_test": X}, {}, r"some\.npz: x_test and y_test are given together"),
    ],
)
def test_npz_that_lacks_something_is_told(held, asked, told):
    np.savez("some.npz", **held)
    with pytest.raises(UserMistake, match=told):
        Npz("some.npz", **asked).training()


def test_a_single_array_is_no_npz():
    np.save("some.npy", X)
    with pytest.raises(UserMistake, match=r"has no key 'x'; np\.savez\(path, x=\.\.\., y=\.\.\.\)"):
        Npz("some.npy").training()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda whole: whole[: len(whole) // 2],
        lambda whole: b"",
        lambda whole: b"no zip at all",
        lambda whole: whole[:200] + b"\xff" * 40 + whole[240:],
    ],
    ids=["cut short", "empty", "no zip", "garbled"],
)
def test_a_torn_npz_is_a_fault_of_the_world(spoil, folders):
    np.savez("whole.npz", x=X, y=Y)
    (folders / "here" / "some.npz").write_bytes(spoil((folders / "here" / "whole.npz").read_bytes()))
    with pytest.raises(WorldFault, match=r"some\.npz cannot be read as an \.npz of plain arrays"):
        Npz("some.npz").training()


def test_pickled_objects_are_never_opened():
    np.savez("some.npz", x=X, y=np.array([{}] * 30))
    with pytest.raises(WorldFault, match=r"cannot be read as an \.npz of plain arrays"):
        Npz("some.npz").training()


def test_the_current_folder_comes_before_the_data_folder(folders):
    for place, value in (("data", 1.0), ("here", 2.0)):
        np.savez(folders / place / "some.npz", x=X * 0 + value, y=Y)
    assert (Npz("some.npz").training().x == 2.0).all()
    (folders / "here" / "some.npz").unlink()
    assert (Npz("some.npz").training().x == 1.0).all()
    assert (Npz(folders / "data" / "some.npz").training().x == 1.0).all()
    (folders / "data" / "some.npz").unlink()
    for data in (Npz("some.npz"), Csv("some.npz", target="y")):
        with pytest.raises(UserMistake, match=r"no file .*here/some\.npz, and none at .*data/some\.npz either"):
            data.training()


FLOWERS = """\ufeffleaf , width,kind,plot\r
1.5,2,rose,a\r
2.5,3,"tulip, red",a\r
\r
3.5,4e1, rose ,b\r
4.5,5,"tulip, red",b\r
5.5,6,rose,c\r
6.5,7,"tulip, red",c\r
"""


def test_csv_has_features_a_target_and_groups():
    data = Csv(write(FLOWERS), target="kind", groups="plot", test=0.34, standardize=False)
    training, testing = data.training(), data.testing()
    assert (len(training), len(testing)) == (4, 2)
    assert training.names == ("rose", "tulip, red")
    assert training.sizes == (2, 2)
    everything = {
        tuple(row): label for table in (training, testing) for row, label in zip(table.x, table.y, strict=True)
    }
    assert everything == {(1.5, 2): 0, (2.5, 3): 1, (3.5, 40): 0, (4.5, 5): 1, (5.5, 6): 0, (6.5, 7): 1}
    assert len(set(testing.groups)) == 1
    assert GroupKFold(2).split(training).folds == 2


def test_csv_may_ignore_columns_and_use_another_delimiter():
    name = write(FLOWERS.replace(",", ";").replace("tulip;", "tulip,"))
    assert Csv(name, target="kind", ignore=("plot", "width"), delimiter=";").training().sizes == (1, 2)


def test_several_targets_are_numbers():
    name = write("a,b,c\n" + "".join(f"{n},{n % 2},{n / 4}\n" for n in range(10)))
    table = Csv(name, target=("c", "b")).training()
    assert table.y.shape == (8, 2)
    assert (table.y == np.stack([table.x[:, 0] / 4, table.x[:, 0] % 2], axis=1)).all()


@pytest.mark.parametrize(
    ("cells", "task", "outputs", "names"),
    [
        ([7, 3] * 10, None, 2, ("3", "7")),
        (["+1", "-1"] * 10, None, 2, ("-1", "1")),
        ([2, 10, 1] * 10, None, 3, ("1", "2", "10")),
        (["no", "yes"] * 10, None, 2, ("no", "yes")),
        (["1.0", "2.5"] * 10, None, 1, None),
        (["1.0", "2"] * 10, None, 1, None),
        (["1.0", "2"] * 10, "classify", 2, ("1.0", "2")),
        ([7, 3] * 10, "regress", 1, None),
        (["3", "x"] * 10, "classify", 2, ("3", "x")),
        ([n % 100 for n in range(300)], None, 100, tuple(map(str, range(100)))),
        ([n % 101 for n in range(300)], None, 1, None),
        ([n % 101 for n in range(300)], "classify", 101, tuple(map(str, range(101)))),
        ([f"word {n % 101}" for n in range(300)], None, 101, None),
    ],
)
def test_a_target_is_classes_or_numbers(cells, task, outputs, names):
    table = Csv(column(cells), target="target", task=task).training()
    assert table.outputs == outputs
    assert (table.labels is None) == (outputs == 1)
    assert names is None or table.names == names


@pytest.mark.parametrize(
    ("text", "asked", "told"),
    [
        ("a,b\n1,2\n", {"target": "c"}, r"some\.csv has no column 'c'; its columns are a, b\."),
        ("a,b\n1,2\n", {"target": ("a", "c")}, "has no column 'c'"),
        ("a,b\n1,2\n", {"groups": "c"}, "has no column 'c'"),
        ("a,b\n1,2\n", {"ignore": ("c",)}, "has no column 'c'"),
        ("a,b\n1,2\n3\n", {}, r"some\.csv line 3 has 1 cells, and the header has 2\."),
        ("a,b\n1,2\n\n3,4,5\n", {}, "line 4 has 3 cells, and the header has 2"),
        ("a,b\n1,2\nx,4\n", {}, r"some\.csv line 3, column 'a': 'x' is not a number\."),
        ('a,b,c\n"1\n",2,1\nx,4,1\n', {}, "line 4, column 'a': 'x' is not a number"),
        ("a,b\n1,2\n,4\n", {}, "line 3, column 'a': the cell is empty"),
        ("a,b\nnan,2\n2,4\n", {}, "line 2, column 'a': 'nan' is not a number"),
        ("a,b\n1,2\n2,-inf\n", {}, "line 3, column 'b': '-inf' is not a number"),
        ("a,b\n1,2\n2, \n", {}, "line 3, column 'b': the cell is empty"),
        ("a,b\n1,2.5\n2,NA\n", {}, "line 3, column 'b': 'NA' is not a number"),
        ("a,b\n1,x\n2,y\n", {"task": "regress"}, "line 2, column 'b': 'x' is not a number"),
        ("a,b,c\n1,2,\n2,3,q\n", {"groups": "c"}, "line 2, column 'c': the cell is empty"),
        ("a,a,b\n1,2,3\n", {}, "has more than one column named 'a'"),
        ("a,b\n", {}, r"some\.csv holds no rows under a header"),
        ("", {}, "holds no rows under a header"),
        ("b\n1\n2\n", {}, r"some\.csv: x is empty"),
        ("a,b\n1,2\n2,2\n", {}, r"some\.csv: y holds a single class, 2"),
    ],
)
def test_what_is_wrong_in_a_csv_is_named(text, asked, told):
    with pytest.raises(UserMistake, match=told):
        Csv(write(text), **{"target": "b", **asked}).training()


@pytest.mark.parametrize("content", [b"a,b\n1,\xff\n", b'a,b\n1,"2\n'])
def test_a_file_that_is_no_csv_is_a_fault_of_the_world(content, folders):
    (folders / "here" / "some.csv").write_bytes(content)
    with pytest.raises(WorldFault, match=r"some\.csv cannot be read as csv"):
        Csv("some.csv", target="b").training()


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"task": "guess"}, "task is 'classify' or 'regress', .* got 'guess'"),
        ({"delimiter": "::"}, "one character between two cells, got '::'"),
        ({"delimiter": "\n"}, "one character"),
        ({"delimiter": ""}, "one character"),
        ({"target": ("a", "b"), "task": "classify"}, "a class is one column"),
        ({"target": ()}, "a class is one column, and several targets are numbers"),
    ],
)
def test_options_that_no_csv_can_meet_are_refused_at_once(asked, told):
    with pytest.raises(UserMistake, match=told):
        Csv("nowhere.csv", **{"target": "b", **asked})
