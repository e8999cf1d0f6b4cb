"""A text file of the user's own, as words or as characters."""

from __future__ import annotations

import os
from dataclasses import dataclass
from itertools import chain

from searchlab.data.tabular import find_file
from searchlab.data.token_stream import TokenStream, check_window
from searchlab.data.vocabulary import UNITS, UNKNOWN, Unit, Vocabulary, words_of
from searchlab.errors import UserMistake, WorldFault


@dataclass(frozen=True)
class Text:
    """A UTF-8 text: words between blanks with `<eos>` at each line's end, or characters, in windows of `window`.

    The last `test` share of it is locked. The vocabulary is of the training part: what is there less than `min_count`
    times, or only in the test part, is `<unk>`. The path is looked for in the current folder and then in the data
    folder.
    """

    path: str
    unit: Unit = "word"
    min_count: int = 1
    window: int = 35
    test: float = 0.1

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", os.fspath(self.path))
        check_window("Text", self.window)
        if self.unit not in UNITS:
            raise UserMistake(f"Text(unit=...) is 'word' or 'char', got {self.unit!r}.")
        if self.min_count < 1:
            raise UserMistake(f"Text(min_count=...) is at least 1, got {self.min_count!r}.")
        if not 0.0 < self.test < 1.0:
            raise UserMistake(f"test is the part of the text to lock, between 0 and 1; got {self.test!r}.")

    def training(self) -> TokenStream:
        """The text up to the part that is locked."""
        return self._part(locked=False)

    def testing(self) -> TokenStream:
        """The last part of the text, in the words of what is before it."""
        return self._part(locked=True)

    def _part(self, *, locked: bool) -> TokenStream:
        words = self._words()
        begin = len(words) - max(2, round(len(words) * self.test))  # 2 words make one target
        seen = words[:begin]
        vocabulary = Vocabulary.of(chain(seen, [UNKNOWN]), min_count=self.min_count, unit=self.unit)
        if len(vocabulary) == 1:
            raise UserMistake(f"{self.path} has no {self.unit} {self.min_count} times; a lower min_count keeps some.")
        return TokenStream(vocabulary.ids(words[begin:] if locked else seen), vocabulary, self.window)

    def _words(self) -> list[str]:
        path = find_file(self.path)
        try:
            text = path.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise WorldFault(f"{path} cannot be read as UTF-8 text ({error}).") from error
        words = words_of(text, self.unit) if text.strip() else []
        if len(words) - max(2, round(len(words) * self.test)) <= self.window:
            raise UserMistake(
                f"{path} has {len(words)} {self.unit}s, too few for windows of {self.window} and a test part of "
                f"{self.test:.0%}."
            )
        return words
