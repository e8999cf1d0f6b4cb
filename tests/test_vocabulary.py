"""Tokens and their ids, both ways."""

import json

import numpy as np
import pytest

from searchlab.data import Vocabulary
from searchlab.data.vocabulary import tokenize
from searchlab.errors import UserMistake

LINES = "you say goodbye\nand i say hello\n"


def test_ids_follow_the_first_appearance():
    vocabulary = Vocabulary.from_tokens(["you", "say", "goodbye", "and", "i", "say", "hello"])
    assert vocabulary.tokens == ("you", "say", "goodbye", "and", "i", "hello")
    assert len(vocabulary) == 6
    assert vocabulary.unknown is None
    assert vocabulary.lookup_ids(["i", "say", "you"]).tolist() == [4, 1, 0]
    assert vocabulary.lookup_ids([]).dtype == np.int64
    assert vocabulary.lookup_tokens(np.array([4, 1, 0])) == vocabulary.lookup_tokens([4, 1, 0]) == ["i", "say", "you"]


def test_rare_words_share_the_id_of_the_first_of_them():
    vocabulary = Vocabulary.from_tokens(["a", "b", "c", "a", "d", "a", "c"], min_count=2)
    assert vocabulary.tokens == ("a", "<unk>", "c")
    assert vocabulary.lookup_ids(["a", "b", "c", "d", "new"]).tolist() == [0, 1, 2, 1, 1]


def test_unknown_words_have_the_id_of_the_unknown_token():
    vocabulary = Vocabulary.from_tokens(["the", "<unk>", "of"])
    assert vocabulary.lookup_ids(["the", "king"]).tolist() == [0, 1]
    assert Vocabulary.from_tokens(["the", "?", "of"], unknown="?").lookup_ids(["king"]).tolist() == [1]
    with pytest.raises(UserMistake, match="the word 'king' is not in the vocabulary"):
        Vocabulary.from_tokens(["the"]).lookup_ids(["the", "king"])
    with pytest.raises(UserMistake, match="the character 'k' is not"):
        Vocabulary.from_tokens("the", unit="char").encode("kth")


def test_text_is_split_at_blanks_and_line_ends():
    assert tokenize(" a  b\tc \r\n\nd") == ["a", "b", "c", "<eos>", "<eos>", "d"]
    assert tokenize("a b\n", "char") == ["a", " ", "b", "\n"]


@pytest.mark.parametrize("unit", ["word", "char"])
@pytest.mark.parametrize("text", [LINES, LINES.rstrip(), "\n\na\n", "", "a"])
def test_decoding_undoes_encoding(text, unit):
    vocabulary = Vocabulary.from_tokens(tokenize(LINES + "\na", unit), unit=unit)
    assert vocabulary.decode(vocabulary.encode(text)) == text


@pytest.mark.parametrize("unit", ["word", "char"])
def test_a_vocabulary_survives_json(unit):
    vocabulary = Vocabulary.from_tokens(tokenize(LINES, unit), min_count=2, unit=unit)
    loaded = Vocabulary.from_json(json.loads(json.dumps(vocabulary.to_json())))
    assert loaded == vocabulary
    assert loaded.encode("hello say").tolist() == vocabulary.encode("hello say").tolist()
    assert hash(loaded) == hash(vocabulary)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Vocabulary(("a", "b", "a")), "each token once, and 'a' occurs more than once"),
        (lambda: Vocabulary(("a",), unknown="<unk>"), "'<unk>' is not in its vocabulary"),
        (lambda: Vocabulary(("a",), unit="line"), "'word' or 'char', got 'line'"),
        (lambda: Vocabulary(("a", "b")).lookup_tokens([0, -1]), r"ids of 2 tokens are 0 to 1, got \[0, -1\]"),
        (lambda: Vocabulary(("a", "b")).decode(np.array([2])), r"0 to 1, got \[2\]"),
    ],
)
def test_mistakes_are_reported(make, message):
    with pytest.raises(UserMistake, match=message):
        make()
