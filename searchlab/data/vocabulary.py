"""Tokens and their ids: what a text is cut into, and what a language model's outputs stand for."""

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
LINE_END = "<eos>"  # the token for the end of a line, as in Mikolov's Penn Treebank
UNKNOWN = "<unk>"


def tokenize(text: str, unit: Unit = "word") -> list[str]:
    """Return the words of a text, separated by blanks, with `<eos>` for each line's end; or its characters."""
    return list(text) if unit == "char" else text.replace("\n", f" {LINE_END} ").split()


@dataclass(frozen=True)
class Vocabulary:
    """The V tokens of a language model; a token's id is its place among them.

    Args:
        tokens: The token of each id, (V,), each once.
        unknown: The token that stands for all tokens that are not in the vocabulary; default None if there is no such
            token.
        unit: Whether a token is a "word" (default) or a "char".

    Raises:
        UserMistake: When a token occurs twice, the unknown token is not among the tokens, or the unit is another.

    Example:
        >>> from searchlab.data import Vocabulary
        >>> vocabulary = Vocabulary.from_tokens("you say goodbye and i say hello".split())
        >>> vocabulary.encode("i say hello").tolist()
        [4, 1, 5]
        >>> vocabulary.decode([0, 1, 2])
        'you say goodbye'
    """

    tokens: tuple[str, ...]
    unknown: str | None = None
    unit: Unit = "word"

    def __post_init__(self) -> None:
        object.__setattr__(self, "tokens", tuple(self.tokens))
        if self.unit not in UNITS:
            raise UserMistake(f"unit is 'word' or 'char', got {self.unit!r}.")
        if len(self._id_of_token) != len(self.tokens):
            duplicate = next(token for token, count in Counter(self.tokens).items() if count > 1)
            raise UserMistake(f"a vocabulary holds each token once, and {duplicate!r} occurs more than once.")
        if self.unknown is not None and self.unknown not in self._id_of_token:
            raise UserMistake(f"the unknown token {self.unknown!r} is not in its vocabulary.")

    @classmethod
    def from_tokens(
        cls, tokens: Iterable[str], *, min_count: int = 1, unknown: str = UNKNOWN, unit: Unit = "word"
    ) -> Vocabulary:
        """Return the vocabulary of a text, with ids in the order of first appearance.

        Args:
            tokens: The text's tokens.
            min_count: Tokens that occur less often share the id of the unknown token; default 1.
            unknown: The unknown token, default "<unk>". It has an id where it is among the tokens or some are rare.
            unit: Whether a token is a "word" (default) or a "char".
        """
        counts = Counter(tokens)  # in the order of first appearance
        kept = tuple(dict.fromkeys(token if count >= min_count else unknown for token, count in counts.items()))
        return cls(kept, unknown if unknown in kept else None, unit)

    def __len__(self) -> int:
        return len(self.tokens)

    def lookup_ids(self, tokens: Iterable[str]) -> Array:
        """Return the id of each token, (N,).

        Raises:
            UserMistake: When a token is not in the vocabulary, and the vocabulary has no unknown token.
        """
        ids = self._id_of_token
        if self.unknown is not None:
            unknown_id = ids[self.unknown]
            return np.array([ids.get(token, unknown_id) for token in tokens], dtype=np.int64)
        try:
            return np.array([ids[token] for token in tokens], dtype=np.int64)
        except KeyError as error:
            missing = f"{'character' if self.unit == 'char' else 'word'} {error.args[0]!r}"
            raise UserMistake(f"the {missing} is not in the vocabulary, which has no unknown token.") from None

    def lookup_tokens(self, ids: Array | Sequence[int]) -> list[str]:
        """Return the token of each id.

        Raises:
            UserMistake: When an id is outside the vocabulary.
        """
        numbers = np.asarray(ids, dtype=np.int64) if isinstance(ids, Sequence) else to_host(ids)
        if numbers.size and not 0 <= numbers.min() <= numbers.max() < len(self):
            raise UserMistake(f"the ids of {len(self)} tokens are 0 to {len(self) - 1}, got {numbers.tolist()}.")
        return [self.tokens[number] for number in numbers.tolist()]

    def encode(self, text: str) -> Array:
        """Return the ids (N,) of a text's words or characters."""
        return self.lookup_ids(tokenize(text, self.unit))

    def unknown_tokens(self, text: str) -> list[str]:
        """Return the distinct words or characters of a text that are not in the vocabulary, in order."""
        return [token for token in dict.fromkeys(tokenize(text, self.unit)) if token not in self._id_of_token]

    def decode(self, ids: Array | Sequence[int]) -> str:
        """Return the text of these ids: words with blanks between, `<eos>` as a line's end; or characters joined."""
        tokens = self.lookup_tokens(ids)
        if self.unit == "char":
            return "".join(tokens)
        joined = " ".join("\n" if token == LINE_END else token for token in tokens)
        return joined.replace(" \n", "\n").replace("\n ", "\n")

    def to_json(self) -> dict[str, Any]:
        """Return the vocabulary as plain values for JSON, which `from_json` reads."""
        return {"unit": self.unit, "unknown": self.unknown, "words": list(self.tokens)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Vocabulary:
        """Return the vocabulary that `to_json` gave these values for."""
        return cls(tuple(values["words"]), values["unknown"], values["unit"])

    @cached_property
    def _id_of_token(self) -> dict[str, int]:
        return {token: number for number, token in enumerate(self.tokens)}
