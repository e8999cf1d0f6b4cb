"""Words and their ids, both ways: what a text is cut into, and what a model's outputs stand for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np

from searchlab.backend import Array, to_host
from searchlab.errors import UserMistake

Unit = Literal["word", "char"]
UNITS = ("word", "char")
LINE_END = "<eos>"  # the word that stands for the end of a line, as in Mikolov's Penn Treebank
UNKNOWN = "<unk>"


def words_of(text: str, unit: Unit = "word") -> list[str]:
    """The text's words between blanks, each line's end as `<eos>`; or its characters."""
    return list(text) if unit == "char" else text.replace("\n", f" {LINE_END} ").split()


@dataclass(frozen=True)
class Vocabulary:
    """The word of each id, and the one of them, if any, that all words stand for which are not among them."""

    entries: tuple[str, ...]
    unknown: str | None = None
    unit: Unit = "word"

    def __post_init__(self) -> None:
        object.__setattr__(self, "entries", tuple(self.entries))
        if self.unit not in UNITS:
            raise UserMistake(f"unit is 'word' or 'char', got {self.unit!r}.")
        if len(self._places) != len(self.entries):
            twice = next(word for word, count in Counter(self.entries).items() if count > 1)
            raise UserMistake(f"a vocabulary has every word once, and {twice!r} is there more often.")
        if self.unknown is not None and self.unknown not in self._places:
            raise UserMistake(f"the unknown word {self.unknown!r} is not in its vocabulary.")

    @classmethod
    def of(cls, words: Iterable[str], *, min_count: int = 1, unknown: str = UNKNOWN, unit: Unit = "word") -> Vocabulary:
        """Ids by first appearance; words that are rarer than `min_count` share the id of the unknown word.

        The unknown word has an id where it is among the words or where any are rare.
        """
        counts = Counter(words)  # in the order of first appearance
        entries = tuple(dict.fromkeys(word if count >= min_count else unknown for word, count in counts.items()))
        return cls(entries, unknown if unknown in entries else None, unit)

    def __len__(self) -> int:
        return len(self.entries)

    def ids(self, words: Iterable[str]) -> Array:
        """The id of each word (N,); raises UserMistake for an unknown one where no id stands for those."""
        places = self._places
        if self.unknown is not None:
            unknown = places[self.unknown]
            return np.array([places.get(word, unknown) for word in words], dtype=np.int64)
        try:
            return np.array([places[word] for word in words], dtype=np.int64)
        except KeyError as error:
            missing = f"{'character' if self.unit == 'char' else 'word'} {error.args[0]!r}"
            raise UserMistake(f"the {missing} is not in the vocabulary, which has none for the unknown.") from None

    def words(self, ids: Array | Sequence[int]) -> list[str]:
        """The word of each id; raises UserMistake for an id that no word has."""
        numbers = np.asarray(ids, dtype=np.int64) if isinstance(ids, Sequence) else to_host(ids)
        if numbers.size and not 0 <= numbers.min() <= numbers.max() < len(self):
            raise UserMistake(f"ids of {len(self)} words go from 0 to {len(self) - 1}, got {numbers.tolist()}.")
        return [self.entries[number] for number in numbers.tolist()]

    def encode(self, text: str) -> Array:
        """The ids (N,) of a text's words or characters."""
        return self.ids(words_of(text, self.unit))

    def decode(self, ids: Array | Sequence[int]) -> str:
        """The text of these ids: words with blanks between, `<eos>` as a line's end; or characters side by side."""
        words = self.words(ids)
        if self.unit == "char":
            return "".join(words)
        joined = " ".join("\n" if word == LINE_END else word for word in words)
        return joined.replace(" \n", "\n").replace("\n ", "\n")

    def to_json(self) -> dict[str, Any]:
        """What `from_json` makes the vocabulary of again, for an artifact."""
        return {"unit": self.unit, "unknown": self.unknown, "words": list(self.entries)}

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> Vocabulary:
        """The vocabulary that `to_json` told of."""
        return cls(tuple(told["words"]), told["unknown"], told["unit"])

    @cached_property
    def _places(self) -> dict[str, int]:
        return {word: place for place, word in enumerate(self.entries)}
