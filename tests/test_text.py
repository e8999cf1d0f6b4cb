"""Texts as data: the Penn Treebank in miniature and whole, and files of the user's own."""

import os

import numpy as np
import pytest

from searchlab.data import Holdout, PennTreebank, Text, penn_treebank
from searchlab.errors import UserMistake, WorldFault
from tests.images import md5

TRAIN = " the <unk> of N \n the king \n" * 20  # 180 words with <eos>
VALID = " of kings \n" * 30  # 90
TEST = " the queen of N \n"


def write_treebank(folder, monkeypatch):
    """The three parts in miniature, with sums of their own."""
    (folder / "ptb").mkdir()
    for part, text in (("TRAIN", TRAIN), ("VALID", VALID), ("TEST", TEST)):
        name = getattr(penn_treebank, part)[0]
        (folder / "ptb" / name).write_text(text)
        monkeypatch.setattr(penn_treebank, part, (name, md5(text.encode())))


@pytest.fixture
def treebank(tmp_path, monkeypatch):
    monkeypatch.setenv("SEARCHLAB_DATA", str(tmp_path))
    write_treebank(tmp_path, monkeypatch)
    return tmp_path


def test_the_treebank_is_its_training_part_and_then_its_validation_part(treebank):
    table = PennTreebank(window=5).training()
    assert table.vocabulary.entries == ("the", "<unk>", "of", "N", "<eos>", "king")
    assert (len(table), table.window) == (160 + 90, 5)
    assert table.vocabulary.decode(table.ids[:8]) == "the <unk> of N\nthe king\n"
    split = Holdout().split(table)
    assert (split.train.counts.tolist(), split.held_out.counts.tolist()) == ([160], [90])
    assert table.vocabulary.decode(table.ids[split.held_out.index[0, :3]]) == "of <unk>\n"


def test_the_treebanks_test_part_is_in_the_training_parts_words(treebank):
    tested = PennTreebank(limit=10).testing()
    assert tested.vocabulary.decode(tested.ids) == "the <unk> of N\n"
    assert tested.validation is None
    assert tested.vocabulary == PennTreebank().training().vocabulary


@pytest.mark.parametrize(("limit", "kept", "judged"), [(80, 80, 45), (2, 2, 2), (160, 160, 90), (999, 160, 90)])
def test_a_limit_keeps_an_equal_share_of_the_validation_part(treebank, limit, kept, judged):
    table = PennTreebank(limit=limit).training()
    assert (len(table), len(table.validation)) == (kept + judged, judged)
    assert table.sizes == (6,)
    assert table.ids[kept] == table.vocabulary.ids(["of"])[0]


def test_a_treebank_missing_offline_is_told(treebank, monkeypatch):
    (treebank / "ptb" / "ptb.valid.txt").unlink()
    monkeypatch.setattr(penn_treebank, "HOME", (treebank / "nowhere").as_uri() + "/")
    with pytest.raises(WorldFault, match=r"ptb\.valid\.txt is missing and could not be fetched from file:"):
        PennTreebank().training()


def test_another_text_than_the_treebanks_is_refused(treebank):
    (treebank / "ptb" / "ptb.train.txt").write_text(TRAIN[:-9])
    with pytest.raises(WorldFault, match=r"ptb\.train\.txt is not the published file \(MD5"):
        PennTreebank().training()


def test_the_whole_treebank(ptb_files):
    table, tested = PennTreebank().training(), PennTreebank().testing()
    assert (len(table), len(table.validation), len(tested)) == (929_589 + 73_760, 73_760, 82_430)
    assert table.sizes == tested.sizes == (10_000,)
    assert table.ids[:3].tolist() == [0, 1, 2]
    assert table.vocabulary.decode(table.ids[24:42]).startswith("\npierre <unk> N years old will join the board")


LINES = "you say goodbye and i say hello\n"


def write(folder, content, name="mine.txt"):
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(folder / name)


def test_the_end_of_a_text_is_locked(tmp_path):
    data = Text(write(tmp_path, LINES * 20 + "stop why\n" * 10), test=0.16)
    training, tested = data.training(), data.testing()
    assert (len(training), len(tested)) == (160, 30)
    assert training.vocabulary == tested.vocabulary
    assert training.vocabulary.entries == ("you", "say", "goodbye", "and", "i", "hello", "<eos>", "<unk>")
    assert training.vocabulary.decode(training.ids) == LINES * 20
    assert tested.vocabulary.decode(tested.ids) == "<unk> <unk>\n" * 10
    assert training.validation is None
    assert Holdout(0.1).split(training).held_out.index.tolist() == [list(range(144, 160))]


def test_rare_words_are_unknown(tmp_path):
    vocabulary = Text(write(tmp_path, LINES * 5), window=4, min_count=6).training().vocabulary
    assert vocabulary.entries == ("<unk>", "say")


def test_a_text_of_characters(tmp_path):
    data = Text(write(tmp_path, "\ufeff" + "añb\r\nc" * 20 + "q" * 4), unit="char", window=7, test=0.04)
    training, tested = data.training(), data.testing()
    assert training.vocabulary.entries == ("a", "ñ", "b", "\n", "c", "<unk>")
    assert training.vocabulary.decode(training.ids) == "añb\nc" * 20
    assert set(tested.ids.tolist()) == {5}


def test_a_text_is_found_in_the_data_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("SEARCHLAB_DATA", str(tmp_path))
    write(tmp_path, LINES * 20)
    assert len(Text("mine.txt").training()) == 144
    assert Text(tmp_path / "mine.txt") == Text(os.fspath(tmp_path / "mine.txt"))


@pytest.mark.parametrize(
    ("content", "options", "error", "told"),
    [
        (b"caf\xe9 " * 90, {}, WorldFault, r"mine\.txt cannot be read as UTF-8 text \(.*0xe9 in position 3"),
        ("", {}, UserMistake, r"mine\.txt has 0 words, too few for windows of 35 and a test part of 10%"),
        (" \n \n" * 90, {}, UserMistake, "has 0 words"),
        (LINES * 4, {}, UserMistake, "has 32 words, too few"),
        ("ab" * 5, {"unit": "char", "window": 9}, UserMistake, "has 10 chars, too few for windows of 9"),
        (LINES * 20, {"test": 0.9}, UserMistake, "has 160 words, too few for windows of 35 and a test part of 90%"),
        (LINES * 20, {"min_count": 99}, UserMistake, "has no word 99 times; a lower min_count keeps some"),
        (LINES, {"unit": "line"}, UserMistake, r"unit=\.\.\.\) is 'word' or 'char', got 'line'"),
        (LINES, {"min_count": 0}, UserMistake, "at least 1, got 0"),
        (LINES, {"test": 1.0}, UserMistake, "between 0 and 1; got 1.0"),
        (LINES, {"window": 0}, UserMistake, r"Text\(window=\.\.\.\) is a whole number of tokens, at least 1, got 0"),
    ],
)
def test_what_is_wrong_with_a_text_is_told(tmp_path, content, options, error, told):
    with pytest.raises(error, match=told) as caught:
        Text(write(tmp_path, content), **options).training()
    assert str(caught.value).count(". ") == 0


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: Text("nowhere.txt").training(), r"there is no file .*nowhere\.txt, and none at"),
        (
            lambda: PennTreebank(window=0),
            r"PennTreebank\(window=\.\.\.\) is a whole number of tokens, at least 1, got 0",
        ),
        (lambda: PennTreebank(limit=0), r"PennTreebank\(limit=\.\.\.\) keeps at least 1 word, got 0"),
    ],
)
def test_mistakes_are_told_in_a_sentence(make, told):
    with pytest.raises(UserMistake, match=told):
        make()


def test_vocabularies_are_alike_wherever_they_are_read(treebank):
    first, second = PennTreebank(limit=20).training(), PennTreebank(limit=150).training()
    assert first.vocabulary == second.vocabulary
    assert np.array_equal(first.ids[:20], second.ids[:20])
