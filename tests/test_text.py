"""Text data sets: the Penn Treebank, in miniature and whole, and a user's files."""

import os

import numpy as np
import pytest

from searchlab.data import Holdout, PennTreebank, Text, penn_treebank
from searchlab.errors import UserMistake, WorldFault
from tests.images import md5_of

TRAIN = " the <unk> of N \n the king \n" * 20  # 180 words with <eos>
VALID = " of kings \n" * 30  # 90
TEST = " the queen of N \n"


def write_treebank(folder, monkeypatch):
    """Write the three parts in miniature, with matching MD5s."""
    (folder / "ptb").mkdir()
    for part, text in (("TRAIN", TRAIN), ("VALID", VALID), ("TEST", TEST)):
        name = getattr(penn_treebank, part)[0]
        (folder / "ptb" / name).write_text(text)
        monkeypatch.setattr(penn_treebank, part, (name, md5_of(text.encode())))


@pytest.fixture
def treebank(tmp_path, monkeypatch):
    monkeypatch.setenv("SEARCHLAB_DATA", str(tmp_path))
    write_treebank(tmp_path, monkeypatch)
    return tmp_path


def test_the_validation_part_follows_the_training_part(treebank):
    data = PennTreebank(window=5).training()
    assert data.vocabulary.tokens == ("the", "<unk>", "of", "N", "<eos>", "king")
    assert (len(data), data.window) == (160 + 90, 5)
    assert data.vocabulary.decode(data.ids[:8]) == "the <unk> of N\nthe king\n"
    split = Holdout().split(data)
    assert (split.train.counts.tolist(), split.held_out.counts.tolist()) == ([160], [90])
    assert data.vocabulary.decode(data.ids[split.held_out.index[0, :3]]) == "of <unk>\n"


def test_the_test_part_has_the_vocabulary_of_the_training_part(treebank):
    testing = PennTreebank(limit=10).testing()
    assert testing.vocabulary.decode(testing.ids) == "the <unk> of N\n"
    assert testing.validation_rows is None
    assert testing.vocabulary == PennTreebank().training().vocabulary


@pytest.mark.parametrize(("limit", "train", "valid"), [(80, 80, 45), (2, 2, 2), (160, 160, 90), (999, 160, 90)])
def test_a_limit_keeps_the_same_share_of_the_validation_part(treebank, limit, train, valid):
    data = PennTreebank(limit=limit).training()
    assert (len(data), len(data.validation_rows)) == (train + valid, valid)
    assert data.sizes == (6,)
    assert data.ids[train] == data.vocabulary.lookup_ids(["of"])[0]


def test_a_missing_part_is_reported(treebank, free_port, monkeypatch):
    (treebank / "ptb" / "ptb.valid.txt").unlink()
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(penn_treebank, "BASE_URL", f"http://127.0.0.1:{free_port}/")
    with pytest.raises(WorldFault, match=r"ptb\.valid\.txt is missing and could not be downloaded"):
        PennTreebank().training()


def test_a_text_other_than_the_published_one_is_rejected(treebank):
    (treebank / "ptb" / "ptb.train.txt").write_text(TRAIN[:-9])
    with pytest.raises(WorldFault, match=r"ptb\.train\.txt is not the published file \(MD5"):
        PennTreebank().training()


def test_the_whole_treebank(ptb_files):
    data, testing = PennTreebank().training(), PennTreebank().testing()
    assert (len(data), len(data.validation_rows), len(testing)) == (929_589 + 73_760, 73_760, 82_430)
    assert data.sizes == testing.sizes == (10_000,)
    assert data.ids[:3].tolist() == [0, 1, 2]
    assert data.vocabulary.decode(data.ids[24:42]).startswith("\npierre <unk> N years old will join the board")


LINES = "you say goodbye and i say hello\n"


def write(folder, content, name="text.txt"):
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(folder / name)


def test_the_end_of_a_text_is_the_test_part(tmp_path):
    text = Text(write(tmp_path, LINES * 20 + "stop why\n" * 10), test_size=0.16)
    training, testing = text.training(), text.testing()
    assert (len(training), len(testing)) == (160, 30)
    assert training.vocabulary == testing.vocabulary
    assert training.vocabulary.tokens == ("you", "say", "goodbye", "and", "i", "hello", "<eos>", "<unk>")
    assert training.vocabulary.decode(training.ids) == LINES * 20
    assert testing.vocabulary.decode(testing.ids) == "<unk> <unk>\n" * 10
    assert training.validation_rows is None
    assert Holdout(0.1).split(training).held_out.index.tolist() == [list(range(144, 160))]


def test_rare_words_are_unknown(tmp_path):
    vocabulary = Text(write(tmp_path, LINES * 5), window=4, min_count=6).training().vocabulary
    assert vocabulary.tokens == ("<unk>", "say")


def test_a_text_of_characters(tmp_path):
    text = Text(write(tmp_path, "\ufeff" + "añb\r\nc" * 20 + "q" * 4), unit="char", window=7, test_size=0.04)
    training, testing = text.training(), text.testing()
    assert training.vocabulary.tokens == ("a", "ñ", "b", "\n", "c", "<unk>")
    assert training.vocabulary.decode(training.ids) == "añb\nc" * 20
    assert set(testing.ids.tolist()) == {5}


def test_a_text_is_found_in_the_data_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("SEARCHLAB_DATA", str(tmp_path))
    write(tmp_path, LINES * 20)
    assert len(Text("text.txt").training()) == 144
    assert Text(tmp_path / "text.txt") == Text(os.fspath(tmp_path / "text.txt"))


@pytest.mark.parametrize(
    ("content", "options", "error", "message"),
    [
        (b"caf\xe9 " * 90, {}, UserMistake, r"text\.txt cannot be read as UTF-8 text \(.*0xe9 in position 3"),
        ("", {}, UserMistake, r"text\.txt has 0 words, too few for windows of 35 and a test part of 10%"),
        (" \n \n" * 90, {}, UserMistake, "has 0 words"),
        (LINES * 4, {}, UserMistake, "has 32 words, too few"),
        ("ab" * 5, {"unit": "char", "window": 9}, UserMistake, "has 10 chars, too few for windows of 9"),
        (
            LINES * 20,
            {"test_size": 0.9},
            UserMistake,
            "has 160 words, too few for windows of 35 and a test part of 90%",
        ),
        (LINES * 20, {"min_count": 99}, UserMistake, "has no word that occurs 99 times; a lower min_count"),
        (LINES, {"unit": "line"}, UserMistake, r"unit=\.\.\.\) is 'word' or 'char', got 'line'"),
        (LINES, {"min_count": 0}, UserMistake, "at least 1, got 0"),
        (LINES, {"test_size": 1.0}, UserMistake, "between 0 and 1; got 1.0"),
        (LINES, {"window": 0}, UserMistake, r"Text\(window=\.\.\.\) is a whole number of tokens, at least 1, got 0"),
    ],
)
def test_a_mistake_in_a_text_is_reported(tmp_path, content, options, error, message):
    with pytest.raises(error, match=message) as caught:
        Text(write(tmp_path, content), **options).training()
    assert str(caught.value).count(". ") == 0


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Text("missing.txt").training(), r"there is no file or folder .*missing\.txt, and none at"),
        (
            lambda: PennTreebank(window=0),
            r"PennTreebank\(window=\.\.\.\) is a whole number of tokens, at least 1, got 0",
        ),
        (lambda: PennTreebank(limit=0), r"PennTreebank\(limit=\.\.\.\) keeps at least 1 word, got 0"),
    ],
)
def test_mistakes_are_reported(make, message):
    with pytest.raises(UserMistake, match=message):
        make()


def test_the_vocabulary_does_not_depend_on_the_limit(treebank):
    first, second = PennTreebank(limit=20).training(), PennTreebank(limit=150).training()
    assert first.vocabulary == second.vocabulary
    assert np.array_equal(first.ids[:20], second.ids[:20])


def test_a_folder_of_files_is_one_text(tmp_path):
    (tmp_path / "book" / "part 2").mkdir(parents=True)
    texts = {
        "part 2/c.txt": "five six\n" * 30,
        "b.txt": "\ufeffthree four",
        "a.txt": "one two\n" * 30,
        "notes.md": "no",
    }
    for name, text in texts.items():
        (tmp_path / "book" / name).write_text(text)
    (tmp_path / "book" / ".hidden.txt").write_text("no")
    (tmp_path / "whole.txt").write_text(texts["a.txt"] + "three four\n" + texts["part 2/c.txt"])
    folder, whole = Text(tmp_path / "book"), Text(tmp_path / "whole.txt")
    for part in ("training", "testing"):
        assert getattr(folder, part)().checksum() == getattr(whole, part)().checksum()
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserMistake, match=r"has no \.txt files"):
        Text(tmp_path / "empty").training()
