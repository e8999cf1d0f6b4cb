"""A text as targets and contexts, from which word vectors are learned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from searchlab.data.token_stream import TokenStream
from searchlab.data.word_contexts import WordContexts
from searchlab.errors import UserMistake
from searchlab.numeric_types import is_whole_number


class TextDataset(Protocol):
    """A data set whose rows are the tokens of a text, such as `PennTreebank` or `Text`."""

    def training(self) -> TokenStream:
        """Return the tokens that a sweep may see."""

    def testing(self) -> TokenStream:
        """Return the tokens of the test part."""


@dataclass(frozen=True)
class ContextWindows:
    """The words of a text, each with the words around it: data for `Cbow`, `SkipGram` and `Cooccurrence`.

    Unlike in a language model, words are shuffled: the next word need not follow the one before. Blocks of the text are
    held out by `Holdout` or `Blocked`, and a context never reaches across a cut.

    Args:
        text: The text, such as `PennTreebank()` or `Text("novel.txt")`; its own `window` is not used.
        max_window: Number of words on either side of a word that models are given; default 10. A model uses as many as
            its argument `window` says, which can be searched.

    Raises:
        UserMistake: When `max_window` is not a whole number of at least 1, or `text` is not a text.

    Reference:
        Deep Learning from Scratch 2, chapters 2 to 4; Mikolov et al. (2013).

    Example:
        >>> from searchlab import ContextWindows, PennTreebank
        >>> ContextWindows(PennTreebank(limit=60_000), max_window=5)  # loads nothing yet
        ContextWindows(text=PennTreebank(window=35, limit=60000), max_window=5)
    """

    text: TextDataset
    max_window: int = 10

    def __post_init__(self) -> None:
        if not is_whole_number(self.max_window) or self.max_window < 1:
            raise UserMistake(
                f"ContextWindows(max_window=...) is a whole number of words, at least 1, got {self.max_window!r}."
            )
        if isinstance(self.text, (str, type)) or not hasattr(self.text, "training"):
            raise UserMistake(
                f"ContextWindows(text=...) takes a text such as PennTreebank() or Text('novel.txt'), got {self.text!r}."
            )

    def training(self) -> WordContexts:
        """Return the training part of the text."""
        return WordContexts(self._tokens(self.text.training()), self.max_window)

    def testing(self) -> WordContexts:
        """Return the test part of the text, with the word frequencies of the training part."""
        test = self._tokens(self.text.testing())
        return WordContexts(test, self.max_window, frequencies=self.training().frequencies)

    def _tokens(self, loaded: object) -> TokenStream:
        if not isinstance(loaded, TokenStream):
            raise UserMistake(f"ContextWindows needs a text, and {type(self.text).__name__} has rows of another kind.")
        return loaded
