"""The commands that use a winner: export, predict, generate and translate."""

from __future__ import annotations

import csv
import io
import json

import numpy as np
import pytest
from click.testing import CliRunner

import searchlab
from models.mlp import MLP
from models.rnn_lm import RnnLM
from models.seq2seq import Seq2Seq
from searchlab import (
    F1,
    SGD,
    Accuracy,
    Addition,
    Csv,
    ExactMatch,
    Float,
    Holdout,
    MeanSquaredError,
    Npz,
    Pairs,
    Perplexity,
    RootMeanSquaredError,
    Space,
    Text,
    Trainer,
    UserMistake,
    WorldFault,
    artifact,
)
from searchlab.cli import searchlab as searchlab_command
from searchlab.data import Arrays
from tests.jobs import run
from tests.sweeps import spiral_sweep


def invoke(*arguments, home):
    """Run a command, and return what it has printed on stdout; an error is raised."""
    runner = CliRunner()
    outcome = runner.invoke(searchlab_command, [*map(str, arguments), "--home", str(home)], standalone_mode=False)
    if outcome.exception:
        raise outcome.exception
    return outcome.stdout, outcome.stderr


def table(text):
    header, *rows = csv.reader(io.StringIO(text))
    return header, rows


def run_local(home, sweep):
    return run(sweep, engine="local", home=home)


@pytest.fixture
def flowers(tmp_path, home):
    """A sweep on a table of two columns and two classes, and its file."""
    rng = np.random.default_rng(0)
    path, rows = tmp_path / "flowers.csv", rng.normal(size=(80, 2)).round(3)
    lines = [f"{a},{b},{'tall' if a > b else 'wide'}" for a, b in rows]
    path.write_text("\n".join(["height,breadth,kind", *lines]) + "\n")
    result = run_local(home, spiral_sweep(2, name="flowers", data=Csv(path, target="kind"), model=Space(MLP, hidden=8)))
    return result, rows


def test_predict_finds_columns_by_name_and_names_those_that_it_leaves_out(flowers, home, tmp_path):
    result, rows = flowers
    new = tmp_path / "new.csv"
    new.write_text("id,breadth,height\n" + "\n".join(f"{n},{b},{a}" for n, (a, b) in enumerate(rows[:5])) + "\n")
    out, err = invoke("predict", "flowers", new, home=home)
    header, predicted = table(out)
    saved = artifact.load(result.artifact)
    shares = saved.probabilities(rows[:5])
    assert header == ["class", "probability"]
    assert [row[0] for row in predicted] == saved.classify(rows[:5]).tolist()
    assert [float(row[1]) for row in predicted] == pytest.approx(shares.max(axis=1))
    assert err == "columns that are not used: id\n"
    header, predicted = table(invoke("predict", "flowers", new, "--probabilities", home=home)[0])
    assert header == ["class", "tall", "wide"]
    np.testing.assert_allclose(np.array([row[1:] for row in predicted], float), shares)
    found = json.loads(invoke("predict", result.artifact, new, "--json", home=home)[0].splitlines()[-1])
    assert [row["class"] for row in found["predictions"]] == saved.classify(rows[:5]).tolist()


def test_predict_names_the_threshold_of_the_metric(home, tmp_path):
    x = np.random.default_rng(0).normal(size=(90, 2))
    kinds = np.where(np.arange(90) % 6 == 0, "yes", "no")
    parts = {"metric": F1(threshold=0.125), "model": Space(MLP, hidden=4)}
    result = run_local(home, spiral_sweep(1, name="rare", data=Arrays(x, kinds), **parts))
    np.save(tmp_path / "new.npy", x[:5])
    out, err = invoke("predict", "rare", tmp_path / "new.npy", home=home)
    assert err == "yes is predicted from a probability of 0.125 on, the threshold of f1\n"
    predicted = {name for name, _ in table(out)[1]}
    assert "yes" in predicted
    assert [name for name, _ in table(out)[1]] == artifact.load(result.artifact).classify(x[:5]).tolist()
    found = json.loads(invoke("predict", "rare", tmp_path / "new.npy", "--json", home=home)[0].splitlines()[-1])
    assert found["threshold"] == {"class": "yes", "metric": "f1", "probability": 0.125}


def test_the_manifest_names_the_columns_and_the_kind_of_targets(flowers):
    manifest = artifact.load(flowers[0].artifact).manifest
    assert manifest["inputs"] == {"features": ["height", "breadth"], "image_shape": None}
    assert manifest["targets"] == {"kind": "classes", "names": ["tall", "wide"]}


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("new.csv", "height\n1.0\n", "has no column 'breadth'; its columns are height"),
        ("new.csv", "height,breadth\n1.0,\n", "line 2, column 'breadth': the cell is empty"),
        ("new.tsv", "height\tbreadth\n1.0\tx\n", "line 2, column 'breadth': 'x' is not a number"),
        ("new.txt", "1.0 2.0\n", "this artifact takes rows: a .csv"),
        ("new.xlsx", "", "is neither .csv, .tsv, .npy, .txt nor an image"),
        ("new.npy", "no array", "cannot be read as an array"),
    ],
)
def test_predict_says_what_is_wrong_with_a_file(flowers, home, tmp_path, name, content, expected):
    (tmp_path / name).write_text(content)
    with pytest.raises(UserMistake, match=expected):
        invoke("predict", "flowers", tmp_path / name, home=home)


def test_predict_numbers_from_an_array_file(home, tmp_path):
    rng = np.random.default_rng(1)
    x = rng.normal(size=(60, 3))
    np.savez(tmp_path / "data.npz", x=x, y=np.stack([x[:, 0] + 500.0, x[:, 1]], axis=1))
    parts = {"model": Space(MLP, hidden=4, loss=MeanSquaredError), "metric": RootMeanSquaredError()}
    result = run_local(home, spiral_sweep(1, name="two", data=Npz(tmp_path / "data.npz"), **parts))
    np.save(tmp_path / "new.npy", x[:4])
    header, rows = table(invoke("predict", "two", tmp_path / "new.npy", home=home)[0])
    assert header == ["prediction_0", "prediction_1"]
    np.testing.assert_allclose(np.array(rows, float), artifact.load(result.artifact).predict(x[:4]))
    assert abs(np.array(rows, float)[:, 0].mean() - 500.0) < 5.0
    with pytest.raises(UserMistake, match="probabilities need a network that classifies"):
        invoke("predict", "two", tmp_path / "new.npy", "--probabilities", home=home)


def test_generate_continues_a_text(home, tmp_path):
    (tmp_path / "text.txt").write_text("you say goodbye and i say hello . " * 60)
    sweep = spiral_sweep(
        1,
        name="lm",
        data=Text(tmp_path / "text.txt", unit="char", window=10),
        validation=Holdout(0.3),
        metric=Perplexity(),
        model=Space(RnnLM, hidden=8, embed=8),
        optimizer=Space(SGD, lr=Float(0.5, 1.0)),
        training=Space(Trainer, batch_size=4, epochs=1),
    )
    result = run_local(home, sweep)
    options = {"length": 12, "temperature": 0.5, "top_k": 3, "seed": 4}
    expected = artifact.load(result.artifact).generate("say ", **options)
    flags = [word for name, value in options.items() for word in (f"--{name.replace('_', '-')}", value)]
    assert invoke("generate", "lm", "say ", *flags, home=home)[0] == expected + "\n"
    found = invoke("generate", "lm", "say ", *flags, "--json", home=home)[0]
    assert json.loads(found.splitlines()[-1]) == {"text": expected, "unknown_tokens": []}
    with pytest.raises(UserMistake, match="translate needs a model of pairs of sequences"):
        invoke("translate", "lm", "say", home=home)
    with pytest.raises(UserMistake, match="this artifact holds a language model; use generate"):
        invoke("predict", "lm", tmp_path / "text.txt", home=home)


def test_translate_and_predict_of_pairs(home, tmp_path):
    sweep = spiral_sweep(
        1,
        name="sums",
        data=Addition(rows=80),
        metric=ExactMatch(),
        model=Space(Seq2Seq, hidden=8),
        training=Space(Trainer, batch_size=10, epochs=1),
    )
    result = run_local(home, sweep)
    saved, sources = artifact.load(result.artifact), ["16+75", "600+3"]
    expected = [saved.translate(source, beam=2) for source in sources]
    out = invoke("translate", "sums", *sources, "--beam", 2, home=home)[0]
    assert [line.rstrip() for line in out.split("\n")[:2]] == [text.rstrip() for text in expected]
    (tmp_path / "new.txt").write_text("16+75\n\n600+3\n")
    header, rows = table(invoke("predict", "sums", tmp_path / "new.txt", home=home)[0])
    assert header == ["source", "target"]
    assert rows == [[source, saved.translate(source)] for source in sources]
    with pytest.raises(UserMistake, match="generate needs a language model"):
        invoke("generate", "sums", "1", home=home)


def test_generate_names_the_words_that_the_network_does_not_know(home, tmp_path):
    (tmp_path / "text.txt").write_text("you say goodbye and i say hello . " * 60 + "once upon a time")
    sweep = spiral_sweep(
        1,
        name="lm",
        data=Text(tmp_path / "text.txt", unit="word", window=5, min_count=2),
        validation=Holdout(0.3),
        metric=Perplexity(),
        model=Space(RnnLM, hidden=4, embed=4),
        training=Space(Trainer, batch_size=4, epochs=1),
    )
    run_local(home, sweep)
    _, err = invoke("generate", "lm", "You say YES You", home=home)
    assert err == "words that the network does not know, taken as rare ones: 'You', 'YES'\n"
    assert invoke("generate", "lm", "you say", home=home)[1] == ""
    found = json.loads(invoke("generate", "lm", "You say", "--json", home=home)[0].splitlines()[-1])
    assert found["unknown_tokens"] == ["You"]


def test_translate_names_the_characters_that_the_network_does_not_know(home, tmp_path):
    (tmp_path / "pairs.tsv").write_text("".join(f"{n}+1\t{n + 1}\n" for n in range(40)))
    parts = {"metric": ExactMatch(), "model": Space(Seq2Seq, hidden=4)}
    run_local(home, spiral_sweep(1, name="sums", data=Pairs(tmp_path / "pairs.tsv"), **parts))
    said = "characters that the network does not know, taken as rare ones: '#', 'Ü'\n"
    assert invoke("translate", "sums", "3#1", "Ü#", home=home)[1] == said
    assert invoke("translate", "sums", "3+1", home=home)[1] == ""
    found = json.loads(invoke("translate", "sums", "3#1", "--json", home=home)[0].splitlines()[-1])
    assert found["unknown_tokens"] == ["#"]
    (tmp_path / "new.txt").write_text("3#1\nÜ\n")
    assert invoke("predict", "sums", tmp_path / "new.txt", home=home)[1] == said


def test_export_copies_the_winner(flowers, home, tmp_path):
    result, rows = flowers
    invoke("export", "flowers", tmp_path / "mine", home=home)
    copied = artifact.load(tmp_path / "mine")
    assert copied.predict(rows).tolist() == artifact.load(result.artifact).predict(rows).tolist()
    with pytest.raises(UserMistake, match="mine exists already; name a folder that does not"):
        invoke("export", "flowers", tmp_path / "mine", home=home)
    with pytest.raises(WorldFault, match="cannot be written"):
        invoke("export", "flowers", "/proc/none/mine", home=home)


@pytest.mark.parametrize("arguments", [["flowers"], ["flowers", "folder", "--csv"]])
def test_export_takes_a_folder_or_csv(home, arguments):
    with pytest.raises(UserMistake, match="export takes a folder for the winner or for --trial N"):
        invoke("export", *arguments, home=home)


def test_export_all_trials_as_csv(home):
    result = run_local(home, spiral_sweep(4))
    header, rows = table(invoke("export", "spiral", "--csv", home=home)[0])
    assert len(rows) == 4
    for trial, row in zip(result.trials, rows, strict=True):
        values = dict(zip(header, row, strict=True))
        assert (int(values["trial"]), values["state"], float(values["score"])) == (
            trial.number,
            "COMPLETE",
            trial.value,
        )
        assert [float(values[f"fold_{fold}"]) for fold in range(2)] == list(trial.folds)
        assert values["model.hidden"] == str(trial.parameters["model.hidden"])
    found = json.loads(invoke("export", "spiral", "--csv", "--json", home=home)[0].splitlines()[-1])
    assert [trial["score"] for trial in found["trials"]] == [trial.value for trial in result.trials]


def test_what_is_no_winner_is_one_sentence(home, tmp_path):
    for name, expected in (
        ("nothing", "there is no sweep called 'nothing'"),
        (tmp_path, "is no folder of an artifact: it has no manifest.json"),
        ("a/b", "a/b is no folder of an artifact"),
    ):
        with pytest.raises(UserMistake, match=expected):
            invoke("generate", name, "x", home=home)


def test_names_of_columns_in_python(home):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(40, 2)), rng.integers(0, 2, 40)
    with pytest.raises(UserMistake, match="feature_names has 1 name, and x has 2 features"):
        Arrays(x, y, feature_names=["a"])
    with pytest.raises(UserMistake, match="feature_names has the name 'a' more than once"):
        Arrays(x, y, feature_names=["a", "a"])
    result = run_local(home, spiral_sweep(1, data=Arrays(x, y, feature_names=["a", "b"]), metric=Accuracy()))
    assert artifact.load(result.artifact).manifest["inputs"]["features"] == ["a", "b"]
    pandas = pytest.importorskip("pandas")
    assert Arrays(pandas.DataFrame(x, columns=["c", "d"]), y).training().feature_names == ("c", "d")
    assert searchlab.open("spiral", home=home).artifact == result.artifact
