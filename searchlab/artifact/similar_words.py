"""Questions to an artifact of word vectors: similar words, analogies, and the vectors as text."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from searchlab.backend import Array, to_host
from searchlab.data.vocabulary import Vocabulary
from searchlab.errors import UserMistake
from searchlab.nn.module import Model
from searchlab.nn.word_vectors import analogy_query, nearest
from searchlab.wording import suggestion


@dataclass(frozen=True)
class SimilarWords:
    """The words of a vocabulary with their vectors.

    Args:
        vectors: The vector of each word (V, F), on the host.
        vocabulary: The words.

    Example:
        >>> import numpy as np
        >>> from searchlab.artifact.similar_words import SimilarWords
        >>> from searchlab.data import Vocabulary
        >>> words = SimilarWords(np.array([[1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]), Vocabulary(("a", "b", "c")))
        >>> [(word, round(similarity, 2)) for word, similarity in words.most_similar("a", 2)]
        [('b', 0.71), ('c', 0.0)]
    """

    vectors: Array
    vocabulary: Vocabulary

    @classmethod
    def of(cls, model: Model, vocabulary: Vocabulary | None) -> SimilarWords:
        """Return the word vectors of a model of one replica.

        Raises:
            UserMistake: When the model has no word vectors.
        """
        read = getattr(model, "word_vectors", None)
        if read is None or vocabulary is None:
            raise UserMistake(f"this needs word vectors, and the model of this artifact is {type(model).__name__}.")
        return cls(to_host(read())[0], vocabulary)

    def most_similar(self, word: str, n: int = 5, *, normalized: bool = True) -> list[tuple[str, float]]:
        """Return the `n` nearest words and their similarities; see `Artifact.most_similar`."""
        (number,) = self._ids(word)
        found = nearest(self.vectors, self.vectors[number], _count(n), excluded=[number], normalized=normalized)
        return [(self.vocabulary.tokens[i], similarity) for i, similarity in found]

    def analogy(self, a: str, b: str, c: str, n: int = 5, *, normalized: bool = True) -> list[tuple[str, float]]:
        """Return the `n` words that are nearest to b - a + c; see `Artifact.analogy`."""
        ids = self._ids(a, b, c)
        query = analogy_query(self.vectors, *ids, normalized=normalized)
        found = nearest(self.vectors, query, _count(n), excluded=ids, normalized=normalized)
        return [(self.vocabulary.tokens[i], similarity) for i, similarity in found]

    def export_word2vec(self, path: Path | str) -> None:
        """Write the vectors in word2vec's text format; see `Artifact.export_word2vec`."""
        broken = next((token for token in self.vocabulary.tokens if not token or token.split() != [token]), None)
        if broken is not None:
            raise UserMistake(f"the format of word2vec has no token with blanks, and the vocabulary has {broken!r}.")
        count, size = self.vectors.shape
        with Path(path).open("w", encoding="utf-8") as file:
            file.write(f"{count} {size}\n")
            for token, vector in zip(self.vocabulary.tokens, self.vectors, strict=True):
                file.write(f"{token} {' '.join(f'{number:.6g}' for number in vector.tolist())}\n")

    def _ids(self, *words: str) -> list[int]:
        """Return the ids of the words; an unknown word is a mistake, and not the token for unknown words."""
        known = {token: number for number, token in enumerate(self.vocabulary.tokens)}
        for word in words:
            if word not in known:
                raise UserMistake(f"the word {word!r} is not in the vocabulary{suggestion(word, known)}.")
        return [known[word] for word in words]


def _count(n: int) -> int:
    if n < 1:
        raise UserMistake(f"the number of words is at least 1, got {n}.")
    return n
