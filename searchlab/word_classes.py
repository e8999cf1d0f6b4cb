"""Word classes that any newspaper has, and the metric that judges word vectors by them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from searchlab.backend import Array, to_device_of, to_host
from searchlab.data.batch import Batch
from searchlab.data.vocabulary import Vocabulary
from searchlab.errors import UserMistake
from searchlab.metrics import Goal
from searchlab.nn.module import Model
from searchlab.nn.word_vectors import neighbor_hits, unit_rows

WORD_CLASSES: Mapping[str, str] = {
    "weekdays": "monday tuesday wednesday thursday friday saturday sunday",
    "months": "january february march april may june july august september october november december jan. feb. aug. "
    "sept. oct. nov. dec.",
    "numbers": "one two three four five six seven eight nine ten",
    "pronouns": "i you he she it we they me him her us them",
    "car makers": "ford chrysler gm toyota honda nissan mazda jaguar",
}
"""The members of each class, separated by blanks."""

MIN_MEMBERS = 3  # of a class in the vocabulary; a class with fewer is left out
NEIGHBORS = 5


def members_by_class(vocabulary: Vocabulary) -> dict[str, list[int]]:
    """Return the ids of the members of each class that has at least three in the vocabulary.

    Args:
        vocabulary: The words of a text.

    Example:
        >>> from searchlab.data import Vocabulary
        >>> from searchlab.word_classes import members_by_class
        >>> members_by_class(Vocabulary.from_tokens("on monday and tuesday , one two three".split()))
        {'numbers': [5, 6, 7]}
    """
    ids = {token.lower(): number for number, token in reversed(list(enumerate(vocabulary.tokens)))}
    found = {name: [ids[word] for word in words.split() if word in ids] for name, words in WORD_CLASSES.items()}
    return {name: members for name, members in found.items() if len(members) >= MIN_MEMBERS}


def classes_left_out(vocabulary: Vocabulary) -> list[str]:
    """Return the names of the classes with fewer than three members in the vocabulary.

    Args:
        vocabulary: The words of a text.

    Example:
        >>> from searchlab.data import Vocabulary
        >>> from searchlab.word_classes import classes_left_out
        >>> classes_left_out(Vocabulary.from_tokens("one two three i you he monday may june july".split()))
        ['weekdays', 'car makers']
    """
    return [name for name in WORD_CLASSES if name not in members_by_class(vocabulary)]


@dataclass(frozen=True)
class WordClassShare:
    """The share of words with another word of their class among their five nearest, in [0, 1].

    The classes are weekdays, months and their abbreviations, number words, pronouns and car makers. All members of all
    classes count alike: a single class has few members, and its share depends on the seed. A class with fewer than
    three members in the vocabulary is left out. Nearness is the cosine.

    The held-out rows of a fold only bring the vocabulary: word vectors are judged by their training alone. The metric
    measures models with a method `word_vectors`, which returns the vectors (R, V, F).

    Args:
        name: Name in tables and figures; default "word class share".
        goal: Which way is better; default "max".

    Example:
        >>> import numpy as np
        >>> from models.word2vec import Cbow
        >>> from searchlab import WordClassShare
        >>> from searchlab.data import Batch, Vocabulary
        >>> from searchlab.nn import Replicas
        >>> words = Vocabulary.from_tokens("one two three i you he a b c d e f".split())
        >>> model, ids = Cbow(Replicas([1]), len(words), dimensions=2), np.zeros((1, 1), int)
        >>> model.word_vectors()[0] = [[1, 0]] * 3 + [[0, 1]] * 3 + [[-1, 0.1]] * 3 + [[0, -1]] * 3
        >>> WordClassShare().measure(model, [Batch(ids, ids, vocabulary=words)]).tolist()
        [1.0]
    """

    name: str = "word class share"
    goal: Goal = "max"

    def measure(self, model: Model, batches: Iterable[Batch]) -> Array:
        """Return the share (R,); NaN where a vector of a replica is not finite.

        Args:
            model: The model of R replicas.
            batches: Batches of words, of which the first brings the vocabulary.

        Raises:
            UserMistake: When the model has no word vectors, or no class has three members in the vocabulary.
        """
        read = getattr(model, "word_vectors", None)
        if read is None:
            raise UserMistake(
                f"WordClassShare needs a model of word vectors, such as Cbow; got {type(model).__name__}."
            )
        vocabulary = next((batch.vocabulary for batch in batches), None)
        if vocabulary is None:
            raise UserMistake("WordClassShare needs words with contexts: data=ContextWindows(PennTreebank()).")
        classes = members_by_class(vocabulary)
        if not classes:
            raise UserMistake(
                f"WordClassShare needs three {' or three '.join(WORD_CLASSES)} in the text, and it has fewer of each; "
                "use LossPerTarget."
            )
        vectors = read()
        shares = np.array([_share(table, classes) for table in to_host(vectors)], dtype=np.float64)
        return to_device_of(vectors, shares)


def _share(vectors: Array, classes: Mapping[str, list[int]]) -> float:
    """Return the share of one replica's vectors (V, F)."""
    if not np.isfinite(vectors).all():
        return float("nan")
    unit = unit_rows(vectors)
    hits = sum(neighbor_hits(unit, members, NEIGHBORS) for members in classes.values())
    return hits / sum(len(members) for members in classes.values())
