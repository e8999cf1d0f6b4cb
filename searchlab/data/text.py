"""A user's text, in a file or a folder of files, as words or as characters."""

from __future__ import annotations

import os
from dataclasses import dataclass
from itertools import chain

from searchlab.data.data_folder import find_file_or_folder
from searchlab.data.text_files import read_text
from searchlab.data.token_stream import TokenStream, validate_window
from searchlab.data.vocabulary import UNITS, UNKNOWN, Unit, Vocabulary, tokenize
from searchlab.errors import UserMistake

MIN_TEST_TOKENS = 2  # 2 tokens make one target


@dataclass(frozen=True)
class Text:
    """A UTF-8 text as tokens: words between blanks with `<eos>` at each line's end, or characters.

    Of a folder, all .txt files in it and below it are read one after the other, sorted by their paths.

    The last part of the text is the test part. The vocabulary is that of the training part: tokens that occur there
    less than `min_count` times, or only in the test part, become `<unk>`. The path is looked for in the current folder
    and then in the data folder.

    Args:
        path: The file, or the folder.
        unit: Whether a token is a "word" (default) or a "char".
        min_count: How often a token must occur in the training part to be in the vocabulary, default 1.
        window: Tokens per batch and stream, T, which is how far gradients flow back in time; default 35.
        test_size: Share of the tokens in the test part, between 0 and 1; default 0.1.

    Raises:
        UserMistake: When an option is out of range; on loading, when there is no such file or folder, or the text is
            too short; also when a file is not UTF-8.
        WorldFault: On loading, when the system cannot read a file.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from searchlab import Text
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = Path(folder, "hello.txt")
        ...     written = file.write_text("you say goodbye and i say hello\\n" * 20)
        ...     training = Text(file, window=10).training()
        >>> len(training), training.vocabulary.decode(training.ids[:3])
        (144, 'you say goodbye')
    """

    path: str
    unit: Unit = "word"
    min_count: int = 1
    window: int = 35
    test_size: float = 0.1

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", os.fspath(self.path))
        validate_window("Text", self.window)
        if self.unit not in UNITS:
            raise UserMistake(f"Text(unit=...) is 'word' or 'char', got {self.unit!r}.")
        if self.min_count < 1:
            raise UserMistake(f"Text(min_count=...) is at least 1, got {self.min_count!r}.")
        if not 0.0 < self.test_size < 1.0:
            raise UserMistake(f"test_size is the share of the test part, between 0 and 1; got {self.test_size!r}.")

    def training(self) -> TokenStream:
        """Return the text before the test part."""
        return self._load(is_test=False)

    def testing(self) -> TokenStream:
        """Return the last part of the text, in the vocabulary of the training part."""
        return self._load(is_test=True)

    def _load(self, *, is_test: bool) -> TokenStream:
        tokens = self._read_tokens()
        train_count = self._train_count(tokens)
        train, test = tokens[:train_count], tokens[train_count:]
        vocabulary = Vocabulary.from_tokens(chain(train, [UNKNOWN]), min_count=self.min_count, unit=self.unit)
        if len(vocabulary) == 1:
            raise UserMistake(
                f"{self.path} has no {self.unit} that occurs {self.min_count} times; a lower min_count keeps some."
            )
        return TokenStream(vocabulary.lookup_ids(test if is_test else train), vocabulary, self.window)

    def _read_tokens(self) -> list[str]:
        path = find_file_or_folder(self.path)
        text = read_text(path)
        tokens = tokenize(text, self.unit) if text.strip() else []
        if self._train_count(tokens) <= self.window:
            raise UserMistake(
                f"{path} has {len(tokens)} {self.unit}s, too few for windows of {self.window} and a test part of "
                f"{self.test_size:.0%}."
            )
        return tokens

    def _train_count(self, tokens: list[str]) -> int:
        return len(tokens) - max(MIN_TEST_TOKENS, round(len(tokens) * self.test_size))
