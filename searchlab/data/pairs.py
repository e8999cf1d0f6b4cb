"""A user's file of pairs of texts, one pair in a line."""

from __future__ import annotations

import os
from dataclasses import KW_ONLY, dataclass
from typing import get_args

from searchlab.data.data_folder import find_file
from searchlab.data.pair_tables import PairFormat, TextPair, split_pairs
from searchlab.data.sequence_pairs import Padding, SequencePairs
from searchlab.data.vocabulary import UNITS, Unit
from searchlab.errors import UserMistake, unreadable

MIN_PAIRS = 4


@dataclass(frozen=True)
class Pairs:
    """A UTF-8 file of pairs of texts, a source and its target in each line: questions and answers, or translations.

    Test rows are drawn from the file; equal sources are either all test rows or all training rows, and `KFold` keeps
    them on one side of each fold. The vocabularies are those of the training part, with `<unk>` for other tokens. The
    file is looked for in the current folder and then in the data folder.

    Args:
        path: The file.
        separator: Text between source and target; default a tab.
        unit: Whether a token is a "char" (default) or a "word".
        min_count: How often a token must occur in the training part; rarer ones become `<unk>`; default 1.
        shared_vocabulary: Whether sources and targets have one vocabulary; default False.
        padding: "masked" (default): a target ends with an end mark, and what follows it does not count. "learned":
            end marks fill sources and targets up to the longest one, and count, as the blanks of the book do.
        test_size: Share of the pairs in the test part, between 0 and 1; default 0.1.
        seed: Seed of the draw of test rows, default 0.

    Raises:
        UserMistake: When an option is out of range; on loading, when there is no such file, it has too few pairs, or a
            line lacks a source or a target; also when the file is not UTF-8.
        WorldFault: On loading, when the system cannot read the file.

    Reference:
        Deep Learning from Scratch 2, chapter 7, whose files are `Pairs("addition.txt", separator="_")` and
        `Pairs("date.txt", separator="_")`; with `padding="learned"` as in the book.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from searchlab import Pairs
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = Path(folder, "english-german.tsv")
        ...     written = file.write_text("\\n".join(f"{n} apples\\t{n} Äpfel" for n in range(20)), encoding="utf-8")
        ...     training = Pairs(file, unit="word").training()
        >>> len(training), training.source_text(0), training.target_text(0)
        (18, '0 apples', '0 Äpfel')
    """

    path: str
    _: KW_ONLY
    separator: str = "\t"
    unit: Unit = "char"
    min_count: int = 1
    shared_vocabulary: bool = False
    padding: Padding = "masked"
    test_size: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", os.fspath(self.path))
        for name, allowed in (("unit", UNITS), ("padding", get_args(Padding))):
            if getattr(self, name) not in allowed:
                options = " or ".join(map(repr, allowed))
                raise UserMistake(f"Pairs({name}=...) is {options}, got {getattr(self, name)!r}.")
        if self.min_count < 1 or not self.separator:
            raise UserMistake(
                f"Pairs needs min_count >= 1 and a separator, got {self.min_count!r} and {self.separator!r}."
            )
        if not 0.0 < self.test_size < 1.0:
            raise UserMistake(f"test_size is the share of the test part, between 0 and 1; got {self.test_size!r}.")

    def training(self) -> SequencePairs:
        """Return the training part."""
        return self._load(is_test=False)

    def testing(self) -> SequencePairs:
        """Return the test part, in the vocabularies of the training part."""
        return self._load(is_test=True)

    def _load(self, *, is_test: bool) -> SequencePairs:
        pair_format = PairFormat(self.unit, self.min_count, self.shared_vocabulary, self.padding)
        return split_pairs(self._read(), pair_format, test_size=self.test_size, seed=self.seed, is_test=is_test)

    def _read(self) -> list[TextPair]:
        path = find_file(self.path)
        try:
            text = path.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise unreadable(error, f"{path} cannot be read as UTF-8 text ({error}).") from error
        pairs = [self._parse(line, number) for number, line in enumerate(text.splitlines(), start=1) if line.strip()]
        if len(pairs) < MIN_PAIRS:
            raise UserMistake(f"{path} has {len(pairs)} pairs, and at least {MIN_PAIRS} are needed.")
        return pairs

    def _parse(self, line: str, number: int) -> TextPair:
        source, found, target = line.partition(self.separator)
        source, target = source.strip(), target.strip()
        if not found or self.separator in target:
            parts = line.count(self.separator) + 1
            raise UserMistake(
                f"{self.path}, line {number}: a source and a target separated by {self.separator!r} are needed, and "
                f"the line has {parts} part{'s' * (parts > 1)}."
            )
        if not source or not target:
            raise UserMistake(f"{self.path}, line {number}: the {'target' if source else 'source'} is empty.")
        return source, target
