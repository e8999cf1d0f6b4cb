"""Data sets in a user's files, .npz and .csv: found, read, and rejected with the line and the column."""

import gzip

import numpy as np
import pytest

from searchlab.data import Arrays, GroupKFold, Npz
from searchlab.errors import UserMistake, WorldFault, unreadable
from searchlab.tables import Csv, reading

X = np.random.default_rng(0).standard_normal((30, 2))
Y = np.arange(30) % 3


@pytest.fixture(autouse=True)
def folders(tmp_path, monkeypatch):
    """An empty current folder, and beside it an empty data folder."""
    (tmp_path / "current").mkdir()
    (tmp_path / "data").mkdir()
    monkeypatch.chdir(tmp_path / "current")
    monkeypatch.setenv("SEARCHLAB_DATA", str(tmp_path / "data"))
    return tmp_path


def write(text, name="data.csv"):
    with open(name, "w", newline="") as file:
        file.write(text)
    return name


def column(cells, header="target"):
    """Write a file with one feature and these cells as its target."""
    return write(f"size,{header}\n" + "".join(f"{row},{cell}\n" for row, cell in enumerate(cells)))


def test_npz_loads_what_its_arrays_load():
    np.savez("data.npz", x=X, y=Y)
    arrays = Arrays(X, Y, test_size=0.3, seed=4, target_names=("a", "b", "c"))
    data = Npz("data.npz", test_size=0.3, seed=4, target_names=("a", "b", "c"))
    assert data.training().checksum() == arrays.training().checksum()
    assert data.testing().checksum() == arrays.testing().checksum()
    assert data.training().target_names == ("a", "b", "c")
    assert data.training().standardize
    assert not Npz("data.npz", standardize=False).training().standardize


def test_npz_with_other_keys_and_its_own_test_rows():
    np.savez_compressed(
        "data.npz", inputs=X, labels=np.array(["a", "b", "c"])[Y], patient=Y, x_test=X[:2], y_test=["c", "a"]
    )
    data = Npz("data.npz", x="inputs", y="labels", groups="patient", image_shape=(1, 2))
    assert len(data.training()) == 30
    assert data.testing().y.tolist() == [2, 0]
    assert (data.training().groups == Y).all()
    assert data.training().image_shape == (1, 2)


@pytest.mark.parametrize(
    ("arrays", "options", "message"),
    [
        ({"x": X, "label": Y}, {}, r"data\.npz has no key 'y'; its keys are x, label"),
        ({"x": X, "y": Y}, {"x": "X"}, r"data\.npz has no key 'X'; its keys are x, y"),
        ({"x": X, "y": Y}, {"groups": "patient"}, "has no key 'patient'"),
        ({"x": X, "y": Y[1:]}, {}, r"data\.npz: x has 30 rows and y has 29"),
        ({"x": X, "y": Y, "x_test": X}, {}, r"data\.npz: x_test and y_test must be given together"),
    ],
)
def test_an_npz_without_what_is_needed_is_rejected(arrays, options, message):
    np.savez("data.npz", **arrays)
    with pytest.raises(UserMistake, match=message):
        Npz("data.npz", **options).training()


def test_an_npy_is_not_an_npz():
    np.save("data.npy", X)
    with pytest.raises(UserMistake, match=r"has no key 'x'; np\.savez\("):
        Npz("data.npy").training()


@pytest.mark.parametrize(
    "corrupt",
    [
        lambda content: content[: len(content) // 2],
        lambda content: b"",
        lambda content: b"not a zip file",
        lambda content: content[:200] + b"\xff" * 40 + content[240:],
    ],
    ids=["truncated", "empty", "not a zip", "garbled"],
)
def test_a_broken_npz_is_a_world_fault(corrupt, folders):
    np.savez("whole.npz", x=X, y=Y)
    (folders / "current" / "data.npz").write_bytes(corrupt((folders / "current" / "whole.npz").read_bytes()))
    with pytest.raises(UserMistake, match=r"data\.npz cannot be read as an \.npz of plain arrays"):
        Npz("data.npz").training()


def test_pickled_objects_are_not_loaded():
    np.savez("data.npz", x=X, y=np.array([{}] * 30))
    with pytest.raises(UserMistake, match=r"cannot be read as an \.npz of plain arrays"):
        Npz("data.npz").training()


def test_the_current_folder_is_searched_before_the_data_folder(folders):
    for folder, value in (("data", 1.0), ("current", 2.0)):
        np.savez(folders / folder / "data.npz", x=X * 0 + value, y=Y)
    assert (Npz("data.npz").training().x == 2.0).all()
    (folders / "current" / "data.npz").unlink()
    assert (Npz("data.npz").training().x == 1.0).all()
    assert (Npz(folders / "data" / "data.npz").training().x == 1.0).all()
    (folders / "data" / "data.npz").unlink()
    for data in (Npz("data.npz"), Csv("data.npz", target="y")):
        with pytest.raises(UserMistake, match=r"no file .*current/data\.npz, and none at .*data/data\.npz either"):
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
    flowers = Csv(write(FLOWERS), target="kind", groups="plot", test_size=0.34, standardize=False)
    training, testing = flowers.training(), flowers.testing()
    assert (len(training), len(testing)) == (4, 2)
    assert training.target_names == ("rose", "tulip, red")
    assert training.sizes == (2, 2)
    label_of_row = {
        tuple(row): label for data in (training, testing) for row, label in zip(data.x, data.y, strict=True)
    }
    assert label_of_row == {(1.5, 2): 0, (2.5, 3): 1, (3.5, 40): 0, (4.5, 5): 1, (5.5, 6): 0, (6.5, 7): 1}
    assert len(set(testing.groups)) == 1
    assert GroupKFold(2).split(training).folds == 2


def test_csv_with_ignored_columns_and_another_delimiter():
    name = write(FLOWERS.replace(",", ";").replace("tulip;", "tulip,"))
    assert Csv(name, target="kind", drop=("plot", "width"), delimiter=";").training().sizes == (1, 2)


def test_the_index_that_pandas_writes_is_left_out():
    """It would tell the labels of a sorted file; a file that was written twice has two."""
    rows = "".join(f"{n},{n},{n % 7},{n // 10}\n" for n in range(20))
    data = Csv(write(f",,size,kind\n{rows}"), target="kind", drop="").training()
    assert data.sizes == (1, 2)


def test_one_column_to_ignore_needs_no_tuple():
    name = write("zone,a,b\n" + "".join(f"x,{n},{n % 2}\n" for n in range(10)))
    assert Csv(name, target="b", drop="zone").training().sizes == (1, 2)


def test_the_work_for_a_column_does_not_grow_with_the_columns(monkeypatch):
    """As many header lookups as columns: 16,000 columns took seconds, and 30,000 never ended."""

    class Counted(list):
        scans = 0

        def index(self, name):
            Counted.scans += 1
            return super().index(name)

        def count(self, name):
            Counted.scans += 1
            return super().count(name)

    names = [f"c{n}" for n in range(300)]
    rows = "".join(",".join(str(row + n) for n in range(300)) + f",{row % 2}\n" for row in range(10))
    read_header = reading._read_header
    monkeypatch.setattr(reading, "_read_header", lambda *arguments: Counted(read_header(*arguments)))
    data = Csv(write(",".join([*names, "b"]) + "\n" + rows), target="b").training()
    assert data.sizes == (300, 2)
    assert Counted.scans == 0


def test_several_target_columns_are_numbers():
    name = write("a,b,c\n" + "".join(f"{n},{n % 2},{n / 4}\n" for n in range(10)))
    data = Csv(name, target=("c", "b")).training()
    assert data.y.shape == (8, 2)
    assert (data.y == np.stack([data.x[:, 0] / 4, data.x[:, 0] % 2], axis=1)).all()


@pytest.mark.parametrize(
    ("cells", "task", "outputs", "names"),
    [
        ([7, 3] * 10, None, 2, ("3", "7")),
        (["+1", "-1"] * 10, None, 2, ("-1", "1")),
        ([2, 10, 1] * 10, None, 3, ("1", "2", "10")),
        (["no", "yes"] * 10, None, 2, ("no", "yes")),
        (["1.0", "2.5"] * 10, None, 1, None),
        (["1.0", "2"] * 10, None, 2, ("1", "2")),
        (["1.0", "2", "1"] * 10, "classify", 2, ("1", "2")),
        (["0.0", "1.0"] * 10, None, 2, ("0", "1")),
        (["1e3", "0"] * 10, None, 2, ("0", "1000")),
        (["1e30", "0"] * 10, None, 1, None),
        (["1.0", "2.0"] * 10, "regress", 1, None),
        ([7, 3] * 10, "regress", 1, None),
        (["3", "x"] * 10, "classify", 2, ("3", "x")),
        ([n % 100 for n in range(300)], None, 100, tuple(map(str, range(100)))),
        ([n % 101 for n in range(300)], None, 1, None),
        ([n % 101 for n in range(300)], "classify", 101, tuple(map(str, range(101)))),
        ([f"word {n % 101}" for n in range(300)], None, 101, None),
    ],
)
def test_a_target_column_holds_classes_or_numbers(cells, task, outputs, names):
    data = Csv(column(cells), target="target", task=task).training()
    assert data.outputs == outputs
    assert (data.labels is None) == (outputs == 1)
    assert names is None or data.target_names == names


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("a,b\n1,2\n", {"target": "c"}, r"data\.csv has no column 'c'; its columns are a, b"),
        ("a,b\n1,2\n", {"target": ("a", "c")}, "has no column 'c'"),
        ("a,b\n1,2\n", {"groups": "c"}, "has no column 'c'"),
        ("a,b\n1,2\n", {"drop": ("c",)}, "has no column 'c'"),
        ("a,b\n1,2\n3\n", {}, r"data\.csv line 3 has 1 cells, and the header has 2\."),
        ("a,b\n1,2\n\n3,4,5\n", {}, "line 4 has 3 cells, and the header has 2"),
        ("a,b\n1,2\nx,4\n", {}, r"data\.csv line 3, column 'a': 'x' is not a number; categorical=\['a'\] takes words"),
        ('a,b,c\n"1\n",2,1\nx,4,1\n', {}, "line 4, column 'a': 'x' is not a number"),
        ("a,b\n1,2\n2,-inf\n", {}, "line 3, column 'b': '-inf' is not a number"),
        ("a,b\n1,2\n2, \n", {}, "line 3, column 'b': the cell is empty"),
        ("a,b\n1,2.5\n2,NA\n", {}, "line 3, column 'b': the cell is empty"),
        ("a,b\n1,x\n2,y\n", {"task": "regress"}, "line 2, column 'b': 'x' is not a number"),
        ("a,b\n1,x\n2,NA\n", {}, "line 3, column 'b': the cell is empty"),
        ("a,b\n1,x\n1_000,y\n", {}, "line 3, column 'a': '1_000' is not a number"),
        (",a,b\n0,1,2\n", {}, r"column without a name \(number 1\).* leave it out with drop=''"),
        ("Unnamed: 0,a,b\n0,1,2\n", {}, r"column without a name \(number 1\).* drop='Unnamed: 0'"),
        ("a,b,c\n1,2,\n2,3,q\n", {"groups": "c"}, "line 2, column 'c': the cell is empty"),
        ("a,a,b\n1,2,3\n", {}, "has more than one column named 'a'"),
        ("a,b\n", {}, r"data\.csv has no rows under a header"),
        ("", {}, "has no rows under a header"),
        ("b\n1\n2\n", {}, r"data\.csv: no column is left to predict from\."),
        ("a,b\n1,2\n2,2\n", {}, r"data\.csv: y holds a single class, 2"),
    ],
)
def test_a_mistake_in_a_csv_is_reported_with_its_place(text, options, message):
    with pytest.raises(UserMistake, match=message):
        Csv(write(text), **{"target": "b", **options}).training()


@pytest.mark.parametrize("content", [b'a,b\n1,"2\n', b"\xff\xfea"])
def test_a_file_that_is_not_csv_is_a_world_fault(content, folders):
    (folders / "current" / "data.csv").write_bytes(content)
    with pytest.raises(UserMistake, match=r"data\.csv cannot be read as CSV"):
        Csv("data.csv", target="b").training()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"task": "guess"}, "task is 'classify' or 'regress', .* got 'guess'"),
        ({"delimiter": "::"}, "one character between two cells, got '::'"),
        ({"delimiter": "\n"}, "one character"),
        ({"delimiter": ""}, "one character"),
        ({"target": ("a", "b"), "task": "classify"}, "one column of classes"),
        ({"target": ()}, "one or more columns of numbers"),
    ],
)
def test_invalid_options_are_rejected_before_the_file_is_read(options, message):
    with pytest.raises(UserMistake, match=message):
        Csv("missing.csv", **{"target": "b", **options})


def test_a_file_that_the_system_cannot_read_is_a_fault_outside_and_wrong_content_is_a_mistake():
    assert isinstance(unreadable(PermissionError(13, "Permission denied"), "no"), WorldFault)
    assert isinstance(unreadable(gzip.BadGzipFile("not gzip"), "no"), UserMistake)
    assert isinstance(unreadable(UnicodeDecodeError("utf-8", b"a", 0, 1, "no"), "no"), UserMistake)
