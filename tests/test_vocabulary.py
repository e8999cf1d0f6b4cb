"""Words and their ids, both ways."""

import json

import numpy as np
import pytest

from searchlab.data import Vocabulary
from searchlab.data.vocabulary import words_of
from searchlab.errors import UserMistake

LINES = "you say goodbye\nand i say hello\n"


def test_ids_go_by_first_appearance():
    vocabulary = Vocabulary.of(["you", "say", "goodbye", "and", "i", "say", "hello"])
    assert vocabulary.entries == ("you", "say", "goodbye", "and", "i", "hello")
    assert len(vocabulary) == 6
    assert vocabulary.unknown is None
    assert vocabulary.ids(["i", "say", "you"]).tolist() == [4, 1, 0]
    assert vocabulary.ids([]).dtype == np.int64
    assert vocabulary.words(np.array([4, 1, 0])) == vocabulary.words([4, 1, 0]) == ["i", "say", "you"]


def test_rare_words_share_one_id_where_the_first_of_them_appears():
    vocabulary = Vocabulary.of(["a", "b", "c", "a", "d", "a", "c"], min_count=2)
    assert vocabulary.entries == ("a", "<unk>", "c")
    assert vocabulary.ids(["a", "b", "c", "d", "new"]).tolist() == [0, 1, 2, 1, 1]


def test_unknown_words_take_the_id_that_the_text_has_for_them():
    vocabulary = Vocabulary.of(["the", "<unk>", "of"])
    assert vocabulary.ids(["the", "king"]).tolist() == [0, 1]
    assert Vocabulary.of(["the", "?", "of"], unknown="?").ids(["king"]).tolist() == [1]
    with pytest.raises(UserMistake, match="the word 'king' is not in the vocabulary, which has none for the unknown"):
        Vocabulary.of(["the"]).ids(["the", "king"])
    with pytest.raises(UserMistake, match="the character 'k' is not"):
        Vocabulary.of("the", unit="char").encode("kth")


def test_text_is_cut_at_blanks_and_line_ends():
    assert words_of(" a  b\tc \r\n\nd") == ["a", "b", "c", "<eos>", "<eos>", "d"]
    assert words_of("a b\n", "char") == ["a", " ", "b", "\n"]


@pytest.mark.parametrize("unit", ["word", "char"])
@pytest.mark.parametrize("text", [LINES, LINES.rstrip(), "\n\na\n", "", "a"])
def test_what_is_encoded_is_decoded(text, unit):
    vocabulary = Vocabulary.of(words_of(LINES + "\na", unit), unit=unit)
    assert vocabulary.decode(vocabulary.encode(text)) == text


@pytest.mark.parametrize("unit", ["word", "char"])
def test_json_brings_it_back(unit):
    vocabulary = Vocabulary.of(words_of(LINES, unit), min_count=2, unit=unit)
    back = Vocabulary.from_json(json.loads(json.dumps(vocabulary.to_json())))
    assert back == vocabulary
    assert back.encode("hello say").tolist() == vocabulary.encode("hello say").tolist()
    assert hash(back) == hash(vocabulary)


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: Vocabulary(("a", "b", "a")), "every word once, and 'a' is there more often"),
        (lambda: Vocabulary(("a",), unknown="<unk>"), "'<unk>' is not in its vocabulary"),
        (lambda: Vocabulary(("a",), unit="line"), "'word' or 'char', got 'line'"),
        (lambda: Vocabulary(("a", "b")).words([0, -1]), r"ids of 2 words go from 0 to 1, got \[0, -1\]"),
        (lambda: Vocabulary(("a", "b")).decode(np.array([2])), r"from 0 to 1, got \[2\]"),
    ],
)
def test_mistakes_are_told_in_a_sentence(make, told):
    with pytest.raises(UserMistake, match=told):
        make()
