"""Tables of words, dates, booleans and empty cells: what becomes of them, fold by fold, and what an artifact takes."""

import gzip

import numpy as np
import pytest

from models.mlp import MLP
from searchlab import Accuracy, Adam, Float, Space, Sweep, Trainer, UserMistake, artifact
from searchlab.data import Arrays, Digits, EveryRow, KFold, Split
from searchlab.runs.describe import settings_of
from searchlab.tables import Csv, Frame
from searchlab.tables.columns import Column
from searchlab.tables.dates import day_of, format_day, recognize_format
from searchlab.tables.encoding import month_of
from searchlab.tables.examples import TableExamples
from searchlab.tables.leakage import disguised_columns
from searchlab.testing.linear_model import LinearModel

pandas = pytest.importorskip("pandas")


def table(rows=60, **columns):
    generator = np.random.default_rng(0)
    described = {
        "size": np.where(np.arange(rows) % 7 == 0, np.nan, np.arange(rows) * 1.5),
        "color": generator.choice(["red", "blue", "green"], rows),
        "day": np.datetime64("2024-01-01") + np.arange(rows),
        "sold": np.arange(rows) % 2 == 0,
        "kind": np.where(generator.random(rows) < 0.3, "yes", "no"),
    }
    return pandas.DataFrame(described | columns)


def seen(data, split=None):
    """Return the inputs (R, n, F) of the training rows as each replica sees them, and their names."""
    split = split or EveryRow().split(data)
    batches = list(data.fitted(split).scoring_batches(split.train))
    return np.concatenate([batch.x for batch in batches], axis=1), data.layout.input_names


def test_every_column_becomes_its_inputs():
    data = Frame(table(), target="kind", standardize=False).training()
    x, names = seen(data)
    inputs = dict(zip(names, x[0].T, strict=True))
    assert list(inputs)[:3] == ["size", "day", "sold"]
    is_empty = inputs["size is empty"] == 1
    assert is_empty.any()
    assert (inputs["size"][is_empty] == np.median(inputs["size"][~is_empty])).all()
    assert (sum(inputs[f"color = {word}"] for word in ("red", "blue", "green")) == 1).all()
    assert (inputs["color = (other)"] == 0).all()
    angle = 2 * np.pi * ((inputs["day"].astype(int) + 3) % 7) / 7
    np.testing.assert_allclose(inputs["day weekday sine"], np.sin(angle), atol=1e-6)
    assert set(inputs["sold"]) == {0.0, 1.0}


def test_numbers_are_standardized_and_words_are_not():
    x, names = seen(Frame(table(), target="kind").training())
    size = x[0][:, names.index("size")]
    assert abs(size.mean()) < 1e-5
    assert size.std() == pytest.approx(1.0, abs=1e-5)
    assert set(x[0][:, names.index("color = red")]) == {0.0, 1.0}


def test_nothing_is_learned_from_held_out_rows():
    """Held-out rows of other sizes and other words leave the inputs of the training rows as they are."""
    frame = table(rows=100)
    data = Frame(frame, target="kind", min_frequency=5).training()
    split = KFold(4).split(data)
    x, _ = seen(data, split)
    held_out = split.held_out.index[0][: split.held_out.counts[0]]
    changed = data.x.copy()
    changed[held_out, 0] = 1e6
    changed[held_out, [column.name for column in data.layout.columns].index("color")] = 0
    other = TableExamples(changed, data.y, 2, data.layout, min_frequency=5, standardize=True)
    again, _ = seen(other, split)
    assert (x[0] == again[0]).all()
    assert not (x[1] == again[1]).all()


def test_a_word_that_is_rare_in_a_fold_is_pooled_there_alone():
    colors = ["red"] * 30 + ["blue"] * 30
    data = Frame(table(color=colors), target="kind", min_frequency=10).training()
    code = data.layout.columns[1].words.index("blue")
    is_blue = data.x[:, 1] == code
    few, many = np.flatnonzero(~is_blue), np.arange(len(data))
    split = Split.from_folds([np.append(few, np.flatnonzero(is_blue)[:3]), many], [many[:1], many[:1]])
    x, names = seen(data, split)
    blue, pooled = (x[:, :, names.index(f"color = {word}")].sum(axis=1) for word in ("blue", "(other)"))
    assert (blue[0], pooled[0] > 0) == (0.0, True)
    assert (blue[1], pooled[1]) == (is_blue.sum(), 0.0)


def test_few_words_of_many_have_an_input_of_their_own():
    words = [f"w{n % 30}" for n in range(300)]
    frame = table(rows=300, color=words)
    assert len(Frame(frame, target="kind", max_categories=4).training().layout.columns[1].words) == 4
    assert not Frame(frame, target="kind", min_frequency=0.5).training().layout.columns[1].words


def test_ids_are_left_out_unless_they_are_asked_for():
    frame = table(ticket=[f"t{n}" for n in range(60)])
    assert "ticket" in Frame(frame, target="kind").training().left_out
    assert "ticket" not in Frame(frame, target="kind", categorical="ticket").training().left_out


def test_whole_numbers_are_numbers_unless_they_are_categorical():
    frame = table(size=np.arange(60) % 3)
    assert Frame(frame, target="kind").training().layout.columns[0].kind == "number"
    assert Frame(frame, target="kind", categorical="size").training().layout.columns[0].other == 3


@pytest.mark.parametrize("positive", ["yes", "no"])
def test_the_positive_class_is_class_1(positive):
    data = Frame(table(), target="kind", positive=positive).training()
    assert data.target_names[1] == positive
    assert data.y.mean() == pytest.approx(0.3 if positive == "yes" else 0.7, abs=0.15)


def test_positive_needs_two_classes():
    with pytest.raises(UserMistake, match="one of two classes, and the column 'color' has blue, green, red"):
        Frame(table(), target="color", positive="red").training()


def test_all_mistakes_are_told_at_once(tmp_path):
    (tmp_path / "a.csv").write_text("a,b,y\n1,2,u\nx,3,\n2,-,v\n3,4,u\n4,5,v\n")
    with pytest.raises(UserMistake) as caught:
        Csv(tmp_path / "a.csv", target="y").training()
    assert all(f"line {n}, column {name!r}" in str(caught.value) for n, name in [(3, "a"), (3, "y"), (4, "b")])
    (tmp_path / "b.csv").write_text("a,b,y\n1,2,u\nx,3,u\n2,-,v\n3,4,u\n4,5,v\n")
    assert Csv(tmp_path / "b.csv", target="y", na_values=["-", "x"]).training().layout.columns[0].kind == "number"


@pytest.mark.parametrize(
    ("content", "options"),
    [
        ("size;kind\n1,5;ja\n2,5;nö\n" * 1 + "3,5;ja\n4,5;nö\n" * 5, {}),
        ("size\tkind\n" + "1.5\tja\n2.5\tnö\n3.5\tja\n4.5\tnö\n" * 3, {}),
        ("size|kind\n" + "1,5|ja\n2,5|nö\n3,5|ja\n4,5|nö\n" * 3, {"decimal": ",", "delimiter": "|"}),
        ('size,kind\n"1,5",ja\n"2,5",nö\n"3,5",ja\n"4,5",nö\n' + '"4,5",nö\n' * 4, {"decimal": ","}),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16", "utf-16-le"])
def test_delimiters_commas_and_encodings_are_recognized(content, options, encoding, tmp_path):
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(content.encode(encoding)))
    data = Csv(tmp_path / "a.csv.gz", target="kind", **options)
    training = data.training()
    assert training.target_names == ("ja", "nö")
    assert set(training.x[:, 0]) <= {1.5, 2.5, 3.5, 4.5}


@pytest.mark.parametrize("frame", [table(), table().convert_dtypes(), table().astype({"color": "category"})])
def test_a_frame_of_any_types_is_read_alike(frame):
    first, second = Frame(table(), target="kind"), Frame(frame, target="kind")
    assert first.training().checksum() == second.training().checksum()


def test_frames_are_compared_by_their_cells():
    assert Frame(table(), target="kind") == Frame(table(), target="kind")
    assert Frame(table(), target="kind") != Frame(table(size=1.0), target="kind")
    assert Frame(table(), target="kind").testing().layout.width == Frame(table(), target="kind").training().sizes[0]


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["2024-01-31", "2024-12-01"], (None, None)),
        (["2024-01-31T10:30:00"], (None, None)),
        (["31.01.2024"], ("%d.%m.%Y", None)),
        (["01/02/2024"], ("%d/%m/%Y", "%m/%d/%Y")),
        (["01/31/2024", "02/01/2024"], ("%m/%d/%Y", None)),
        (["5 Mar 2024 10:00"], ("%d %b %Y %H:%M", None)),
        (["red"], None),
        (["2024-01-31", "soon 1"], None),
    ],
)
def test_formats_of_dates(texts, expected):
    assert recognize_format(texts) == expected


def test_months_and_days_agree_with_the_calendar():
    days = np.arange(-40_000, 60_000, 7)
    expected = days.astype("datetime64[D]").astype("datetime64[M]").astype(int) % 12
    assert (month_of(days) == expected).all()
    assert day_of(format_day(19_782.0, "%d/%m/%Y"), "%d/%m/%Y") == 19_782.0


def test_a_target_in_disguise_is_pointed_out():
    y = np.arange(100) % 2
    frame = pandas.DataFrame(
        {"code": np.where(y, "a", "b"), "left": np.where(y, 3.0, np.nan), "x": np.arange(100), "y": y}
    )
    sentences = disguised_columns(Frame(frame, target="y").training())
    assert [name in sentence for name, sentence in zip(("code", "left"), sentences, strict=True)] == [True, True]
    numbers = pandas.DataFrame(
        {"celsius": np.arange(100.0), "x": np.sin(np.arange(100)), "y": np.arange(100) * 1.8 + 32}
    )
    assert len(disguised_columns(Frame(numbers, target="y").training())) == 1
    assert not disguised_columns(Digits().training())
    assert not disguised_columns(Arrays(np.random.default_rng(0).normal(size=(100, 2)), y).training())


def test_the_report_says_what_becomes_of_each_column():
    report = Frame(table(ticket=[f"t{n}" for n in range(60)]), target="kind").describe_columns()
    assert {column.name: column.kind for column in report.columns} == {
        "size": "number", "color": "word", "day": "date", "sold": "boolean", "kind": "target", "ticket": "word",
    }  # fmt: skip
    assert report.columns[0].missing == 9
    assert report.columns[-1].becomes == "left out"


@pytest.fixture(params=[1, 3], ids=["network", "ensemble"])
def saved(request, tmp_path):
    """An artifact of a table, whose network adds up its inputs, or of an ensemble of three."""
    data = Frame(table(), target="kind").training()
    split = EveryRow().split(data) if request.param == 1 else KFold(3).split(data)
    folds, width = request.param, data.sizes[0]
    shape = (width, 2) if folds == 1 else (folds, width, 2)
    weights = {"affine.W": np.ones(shape), "affine.b": np.zeros((*shape[:-2], 1, 2))}
    metadata = {"targets": {"kind": "numbers"}, "inputs": {"left_out": ["kind"]}}
    scaling = data.fitted(split).scaling
    average = None if folds == 1 else "values"
    artifact.save(tmp_path, weights, LinearModel, {}, data.sizes, metadata, scaling=scaling, average=average)
    return artifact.load(tmp_path), data, split


def test_an_artifact_takes_raw_cells(saved):
    loaded, data, split = saved
    frame = table()
    rows = loaded.rows_of(frame)
    assert {tuple(row) for row in np.nan_to_num(data.x, nan=-1)} <= {tuple(row) for row in np.nan_to_num(rows, nan=-1)}
    x, _ = seen(data, Split(split.train, split.train, 1))
    if split.folds == 1:
        np.testing.assert_allclose(loaded.predict_rows(data.x)[:, 0], x[0].sum(axis=1), rtol=1e-5, atol=1e-4)
    assert np.isfinite(loaded.predict(frame)).all()
    reordered = loaded.predict(frame[["kind", "sold", "day", "color", "size"]])
    assert (loaded.predict(frame) == reordered).all()
    cells = frame.drop(columns="kind")
    assert (loaded.predict(frame) == loaded.predict({name: cells[name].tolist() for name in cells})).all()


def test_unknown_words_are_counted_and_empty_cells_are_filled(saved):
    loaded, _, _ = saved
    row = {"size": [None, 2], "color": ["violet", ""], "day": ["2024-03-01", None], "sold": [None, "true"]}
    assert np.isfinite(loaded.predict(row)).all()
    assert loaded.unknown_words(row) == {"color": 1}
    with pytest.raises(UserMistake, match="row 1, column 'day': 'soon' is not a date like 2024-12-31"):
        loaded.predict(row | {"day": ["2024-03-01", "soon"]})
    with pytest.raises(UserMistake, match="lacks 'size'"):
        loaded.predict({name: cells for name, cells in row.items() if name != "size"})


def test_a_column_of_rare_words_is_pointed_out():
    words = Frame(table(color=[f"c{n % 50}" for n in range(60)]), target="kind", min_frequency=5).describe_columns()
    column = next(each for each in words.columns if each.name == "color")
    assert column.becomes == "1 input: 0 words, 40 rare ones in one"
    assert column.note == "every word is in fewer than 5 rows; min_frequency= says otherwise"


def test_a_column_survives_the_manifest():
    for column in (Column("a", "word", ("x", "y"), True), Column("b", "date", date_format="%d/%m/%Y")):
        assert Column.from_json(column.to_json()) == column
    with pytest.raises(ValueError, match="a column is of a kind"):
        Column.from_json({"name": "a", "kind": "picture", "has_flag": False})


def test_a_frame_is_described_by_its_size():
    sweep = Sweep(
        name="frame",
        data=Frame(table(), target="kind"),
        validation=KFold(2),
        metric=Accuracy(),
        model=Space(MLP, hidden=4),
        optimizer=Space(Adam, lr=Float(1e-3, 1e-2)),
        training=Space(Trainer, batch_size=16, epochs=1),
        trials=1,
    )
    assert "frame=60 rows, 5 columns" in settings_of(sweep.describe())["data"]


def test_many_words_have_an_input_each():
    """5,000 shops: each that is not rare has a vector of its own in the first layer, which is their embedding."""
    shops = np.repeat([f"shop{n}" for n in range(5000)], 2)
    frame = pandas.DataFrame({"shop": shops, "y": np.arange(10_000) % 2})
    data = Frame(frame, target="y", min_frequency=1).training()
    assert data.sizes[0] > 4500
    assert 0 < Frame(frame, target="y", min_frequency=1, max_categories=100).training().sizes[0] <= 102


@pytest.mark.parametrize(
    ("delimiter", "cells", "options", "first"),
    [
        (",", ["1,234", "12", "1,234,567.5"], {}, 1234),
        (",", ["1,234", "2,345"], {}, 1234),
        (",", ["1,5", "1,234"], {}, 1.5),
        (";", ["1.234,5", "12", "1.234.567"], {}, 1234.5),
        (";", ["1,234", "2,345"], {}, 1.234),
        (";", ["1,234", "2,345"], {"thousands": ","}, 1234),
        (";", ["1.234", "2.345"], {"thousands": "."}, 1234),
        (";", ["1.234", "2.345"], {"decimal": ","}, 1234),
        (";", ["1.234", "2.345"], {}, 1.234),
        (";", ["1 234 567", "12"], {}, 1234567),
        (",", ["1\u202f234,5", "12"], {}, 1234.5),
        (",", ["1'234'567.5", "-12"], {}, 1234567.5),
    ],
)
@pytest.mark.parametrize("target", ["kind", "size"])
def test_thousands_separators_are_recognized(delimiter, cells, options, first, target, tmp_path):
    lines = [f'"{cell}"{delimiter}{kind}' for cell in cells for kind in ("yes", "no", "yes", "no", "yes")]
    (tmp_path / "a.csv").write_text("\n".join([f"size{delimiter}kind", *lines]))
    data = Csv(tmp_path / "a.csv", target=target, task="regress" if target == "size" else None, **options).training()
    values = data.x[:, 0] if target == "kind" else data.y[:, 0]
    assert np.float32(first) in values.astype(np.float32)


def test_separators_that_contradict_each_other_are_words_and_a_wrong_cell_is_told(tmp_path):
    lines = "size;kind\n" + "1,234,567;yes\n1,5;no\n" * 10
    (tmp_path / "a.csv").write_text(lines)
    assert Csv(tmp_path / "a.csv", target="kind").training().layout.columns[0].kind == "word"
    (tmp_path / "a.csv").write_text(lines.replace("1,5", "12,34,5", 1).replace("1,5", "1,500"))
    with pytest.raises(UserMistake, match="line 3, column 'size': '12,34,5' is not a number"):
        Csv(tmp_path / "a.csv", target="kind").training()
    (tmp_path / "a.csv").write_text(lines.replace("1,5", "1,500"))
    assert any("thousands=''" in note for note in Csv(tmp_path / "a.csv", target="kind").describe_columns().notes)
    with pytest.raises(UserMistake, match="thousands is one of"):
        Csv(tmp_path / "a.csv", target="kind", thousands=",", decimal=",")


def test_rows_without_a_target_are_left_out_on_request(tmp_path):
    (tmp_path / "a.csv").write_text("size,kind\n1,yes\n2,\n3,no\n,NA\n" + "5,yes\n6,no\n" * 5 + "x,no\n")
    with pytest.raises(UserMistake, match=r"line 3, column 'kind': .*1 more.*drop_missing_target=True leaves out"):
        Csv(tmp_path / "a.csv", target="kind").training()
    with pytest.raises(UserMistake, match="line 16, column 'size': 'x' is not a number"):
        Csv(tmp_path / "a.csv", target="kind", drop_missing_target=True).training()
    data = Csv(tmp_path / "a.csv", target="kind", na_values="x", drop_missing_target=True)
    assert len(data.training()) + len(data.testing()) == 13
    assert "2 rows without kind left out" in data.describe_columns().notes
    frame = table(kind=np.where(np.arange(60) < 20, None, "yes").astype(object), size=1.0)
    assert len(Frame(frame, target="kind", test_size=0.5, drop_missing_target=True, task="classify")._read_rows()) == 40
    with pytest.raises(UserMistake, match="has no row with a cell in kind"):
        Frame(frame.assign(kind=None), target="kind", drop_missing_target=True).training()
