"""Sums of two numbers as text, which a network has to learn to write out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from searchlab.data.pair_tables import PairFormat, TextPair, split_pairs
from searchlab.data.sequence_pairs import SequencePairs
from searchlab.errors import UserMistake

MAX_DIGITS = 9


@dataclass(frozen=True)
class Addition:
    """Sums as text, character by character: "16+75" and "91".

    Each unordered pair of numbers occurs once, so that 75+16 is in no part where 16+75 is in another. Numbers with few
    digits are as frequent as those with many: the number of digits is drawn first.

    Args:
        digits: Largest number of digits of a summand, 1 to 9; default 3.
        rows: Number of sums; default 50,000. Fewer where there are fewer different ones.
        seed: Seed of the sums and of the draw of test rows, default 0.
        test_size: Share of the sums in the test part, between 0 and 1; default 0.1.

    Raises:
        UserMistake: When an argument is out of range.

    Reference:
        Zaremba and Sutskever (2014), Learning to execute; Deep Learning from Scratch 2, section 7.2.

    Example:
        >>> from searchlab import Addition
        >>> training = Addition(rows=1000).training()
        >>> left, right = training.source_text(0).split("+")
        >>> len(training), int(left) + int(right) == int(training.target_text(0))
        (900, True)
    """

    digits: int = 3
    rows: int = 50_000
    seed: int = 0
    test_size: float = 0.1

    def __post_init__(self) -> None:
        if not 1 <= self.digits <= MAX_DIGITS or self.rows < 10:
            raise UserMistake(
                f"Addition needs 1 to {MAX_DIGITS} digits and at least 10 rows, got {self.digits} and {self.rows}."
            )
        if not 0.0 < self.test_size < 1.0:
            raise UserMistake(f"test_size is the share of the test part, between 0 and 1; got {self.test_size!r}.")

    def training(self) -> SequencePairs:
        """Return the training part."""
        return self._load(is_test=False)

    def testing(self) -> SequencePairs:
        """Return the test part."""
        return self._load(is_test=True)

    def _load(self, *, is_test: bool) -> SequencePairs:
        return split_pairs(self._sums(), PairFormat(), test_size=self.test_size, seed=self.seed, is_test=is_test)

    def _sums(self) -> list[TextPair]:
        """Return up to `rows` different sums; the rarest ones are not waited for."""
        generator, limit = np.random.default_rng(self.seed), 10**self.digits
        rows = min(self.rows, limit * (limit + 1) // 4)  # at most about half of all pairs: they are drawn at random
        sums: dict[tuple[int, int], TextPair] = {}
        while len(sums) < rows:
            lengths = generator.integers(1, self.digits + 1, size=(2 * rows, 2))
            for left, right in generator.integers(10**lengths).tolist():
                if (right, left) not in sums:
                    sums.setdefault((left, right), (f"{left}+{right}", str(left + right)))
        return list(sums.values())[:rows]
