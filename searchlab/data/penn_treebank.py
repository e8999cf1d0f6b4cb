"""The Penn Treebank's newspaper text as Mikolov et al. (2010) use it: 10,000 words, N for numbers, <unk> for rare."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from searchlab.data.download import Source, data_folder
from searchlab.data.token_stream import TokenStream, check_window
from searchlab.data.vocabulary import Vocabulary, words_of
from searchlab.errors import UserMistake

HOME = "https://raw.githubusercontent.com/tomsercu/lstm/master/data/"
TRAIN = ("ptb.train.txt", "f26c4b92c5fdc7b3f8c7cdcb991d8420")
VALID = ("ptb.valid.txt", "aa0affc06ff7c36e977d7cd49e3839bf")
TEST = ("ptb.test.txt", "8b80168b89c18661a38ef683c0dc3721")


@dataclass(frozen=True)
class PennTreebank:
    """929,589 training, 73,760 validation and 82,430 test words, `<eos>` at each line's end, in windows of `window`.

    `limit` keeps the first training words only and the same share of the validation part. The vocabulary is always of
    the whole training part.
    """

    window: int = 35
    limit: int | None = None

    def __post_init__(self) -> None:
        check_window("PennTreebank", self.window)
        if self.limit is not None and self.limit < 1:
            raise UserMistake(f"PennTreebank(limit=...) keeps at least 1 word, got {self.limit!r}.")

    def training(self) -> TokenStream:
        """The training part, and after it the validation part, which Holdout holds out."""
        train, valid = _words(TRAIN), _words(VALID)
        vocabulary = Vocabulary.of(train)
        kept = len(train) if self.limit is None else min(self.limit, len(train))
        judged = max(2, round(len(valid) * kept / len(train)))  # 2 words make one target
        ids = vocabulary.ids(train[:kept] + valid[:judged])
        return TokenStream(ids, vocabulary, self.window, validation=np.arange(kept, len(ids)))

    def testing(self) -> TokenStream:
        """The test part, whole, in the training part's words."""
        vocabulary = Vocabulary.of(_words(TRAIN))
        return TokenStream(vocabulary.ids(_words(TEST)), vocabulary, self.window)


def _words(part: tuple[str, str]) -> list[str]:
    name, md5 = part
    return words_of(Source(f"ptb/{name}", HOME + name, md5).read(data_folder()).decode())
