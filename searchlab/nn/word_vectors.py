"""Similar words and analogies, from the vectors of words."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from searchlab.backend import Array

MIN_LENGTH = 1e-8  # vectors shorter than this one have no direction


def unit_rows(vectors: Array) -> Array:
    """Return the vectors (..., F) divided by their lengths; a vector of zeros stays one.

    Args:
        vectors: Vectors on the host.

    Example:
        >>> import numpy as np
        >>> from searchlab.nn.word_vectors import unit_rows
        >>> unit_rows(np.array([[3.0, 4.0], [0.0, 0.0]])).tolist()
        [[0.6, 0.8], [0.0, 0.0]]
    """
    lengths = np.sqrt((vectors * vectors).sum(axis=-1, keepdims=True))
    unit: Array = vectors / np.maximum(lengths, MIN_LENGTH)
    return unit


def nearest(
    vectors: Array, query: Array, count: int, *, excluded: Sequence[int] = (), normalized: bool = True
) -> list[tuple[int, float]]:
    """Return the words with the largest similarity to a query, and their similarities.

    Args:
        vectors: The vector of each word (V, F), on the host.
        query: A vector (F,).
        count: Number of words to return.
        excluded: Words that are left out.
        normalized: Whether the similarity is the cosine; otherwise it is the product of the vector of a word, as long
            as it is, with the query at length 1. Default True.

    Example:
        >>> import numpy as np
        >>> from searchlab.nn.word_vectors import nearest
        >>> vectors = np.array([[1.0, 0.0], [3.0, 4.0], [0.0, 2.0]])
        >>> nearest(vectors, vectors[0], 2, excluded=[0])
        [(1, 0.6), (2, 0.0)]
        >>> nearest(vectors, vectors[0], 1, excluded=[0], normalized=False)
        [(1, 3.0)]
    """
    similarity = (unit_rows(vectors) if normalized else vectors) @ unit_rows(query)  # (V,)
    similarity[list(excluded)] = -np.inf
    order = np.argsort(-similarity, kind="stable")[: max(0, min(count, len(vectors) - len(set(excluded))))]
    return [(int(word), float(similarity[word])) for word in order]


def analogy_query(vectors: Array, a: int, b: int, c: int, *, normalized: bool = True) -> Array:
    """Return the vector (F,) that is to c as b is to a: b - a + c.

    Args:
        vectors: The vector of each word (V, F), on the host.
        a: First word of the known pair.
        b: Second word of the known pair.
        c: First word of the other pair.
        normalized: Whether the three vectors count with length 1; otherwise as long as they are. Default True.

    Example:
        >>> import numpy as np
        >>> from searchlab.nn.word_vectors import analogy_query
        >>> analogy_query(np.array([[1.0, 0.0], [0.0, 1.0]]), 0, 1, 0).tolist()
        [0.0, 1.0]
    """
    rows = unit_rows(vectors[[a, b, c]]) if normalized else vectors[[a, b, c]]
    query: Array = rows[1] - rows[0] + rows[2]
    return query


def neighbor_hits(vectors: Array, members: Sequence[int], count: int) -> int:
    """Return how many members of a class have another member among their nearest words by the cosine.

    Args:
        vectors: The vectors of all words (V, F), of length 1, on the host.
        members: The words of the class.
        count: Number of nearest words that are looked at.

    Example:
        >>> import numpy as np
        >>> from searchlab.nn.word_vectors import neighbor_hits, unit_rows
        >>> vectors = unit_rows(np.array([[1.0, 0.1], [1.0, 0.2], [0.1, 1.0], [0.2, 1.0]]))
        >>> neighbor_hits(vectors, [0, 1, 2], 1)
        2
    """
    rows = np.asarray(members)
    similarity = vectors[rows] @ vectors.T  # (members, V)
    similarity[np.arange(len(rows)), rows] = -np.inf
    neighbors = np.argpartition(-similarity, count, axis=1)[:, :count] if count < len(vectors) else None
    if neighbors is None:
        return len(rows) if len(rows) > 1 else 0
    return int(np.isin(neighbors, rows).any(axis=1).sum())
