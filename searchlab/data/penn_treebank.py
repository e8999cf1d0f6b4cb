"""The Penn Treebank's newspaper text as Mikolov et al. (2010) use it: 10,000 words, N for numbers, <unk> for rare."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from searchlab.data.data_folder import data_folder
from searchlab.data.download import RemoteFile
from searchlab.data.token_stream import TokenStream, validate_window
from searchlab.data.vocabulary import Vocabulary, tokenize
from searchlab.errors import UserMistake

BASE_URL = "https://raw.githubusercontent.com/tomsercu/lstm/master/data/"
TRAIN = ("ptb.train.txt", "f26c4b92c5fdc7b3f8c7cdcb991d8420")  # name and MD5
VALID = ("ptb.valid.txt", "aa0affc06ff7c36e977d7cd49e3839bf")
TEST = ("ptb.test.txt", "8b80168b89c18661a38ef683c0dc3721")
MIN_VALIDATION_WORDS = 2  # 2 words make one target


@dataclass(frozen=True)
class PennTreebank:
    """929,589 training, 73,760 validation and 82,430 test words, with `<eos>` at each line's end.

    The three files are looked for in the folder `ptb` of the data folder, and downloaded into it if they are missing.
    `Holdout` holds out the validation part. The vocabulary is always that of the whole training part.

    Args:
        window: Words per batch and stream, T, which is how far gradients flow back in time; default 35.
        limit: Keep only this many training words, the first ones, and the same share of the validation part; default
            None keeps all.

    Raises:
        UserMistake: When `window` or `limit` is less than 1.
        WorldFault: On loading, when a file is missing and cannot be downloaded, or is broken.

    Reference:
        Mikolov et al. (2010), Recurrent neural network based language model; Deep Learning from Scratch 2, section 2.4.

    Example:
        >>> from searchlab import PennTreebank
        >>> PennTreebank(limit=60_000)  # loads nothing yet
        PennTreebank(window=35, limit=60000)
    """

    window: int = 35
    limit: int | None = None

    def __post_init__(self) -> None:
        validate_window("PennTreebank", self.window)
        if self.limit is not None and self.limit < 1:
            raise UserMistake(f"PennTreebank(limit=...) keeps at least 1 word, got {self.limit!r}.")

    def training(self) -> TokenStream:
        """Return the training part, followed by the validation part."""
        train, valid = _read_words(TRAIN), _read_words(VALID)
        vocabulary = Vocabulary.from_tokens(train)
        train_count = len(train) if self.limit is None else min(self.limit, len(train))
        valid_count = max(MIN_VALIDATION_WORDS, round(len(valid) * train_count / len(train)))
        ids = vocabulary.lookup_ids(train[:train_count] + valid[:valid_count])
        return TokenStream(ids, vocabulary, self.window, validation_rows=np.arange(train_count, len(ids)))

    def testing(self) -> TokenStream:
        """Return the whole test part, in the vocabulary of the training part."""
        vocabulary = Vocabulary.from_tokens(_read_words(TRAIN))
        return TokenStream(vocabulary.lookup_ids(_read_words(TEST)), vocabulary, self.window)


def _read_words(part: tuple[str, str]) -> list[str]:
    name, md5 = part
    return tokenize(RemoteFile(f"ptb/{name}", BASE_URL + name, md5).read(data_folder()).decode())
