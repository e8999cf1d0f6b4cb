"""The word classes of an artifact of word vectors, projected to two dimensions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from searchlab.artifact import Artifact
from searchlab.backend import Array, to_host
from searchlab.nn.word_vectors import unit_rows
from searchlab.word_classes import classes_left_out, members_by_class


@dataclass(frozen=True)
class WordMap:
    """Where the members of each word class lie.

    Attributes:
        words: The words of each class.
        points: Their places (n, 2), by class.
        left_out: Classes with fewer than three members in the vocabulary.
    """

    words: dict[str, list[str]]
    points: dict[str, Array]
    left_out: list[str]


def word_map(saved: Artifact) -> WordMap | None:
    """Return the map of an artifact's word classes; None for a model without word vectors, or without any class.

    The two axes are the principal axes of the members' vectors at length 1.
    """
    read = getattr(saved.model, "word_vectors", None)
    if read is None or saved.vocabulary is None or not (classes := members_by_class(saved.vocabulary)):
        return None
    rows = np.concatenate([np.array(members) for members in classes.values()])
    vectors = unit_rows(to_host(read())[0][rows].astype(np.float64))
    if not np.isfinite(vectors).all():
        return None
    centered = vectors - vectors.mean(axis=0)
    _, _, axes = np.linalg.svd(centered, full_matrices=False)
    places = np.zeros((len(rows), 2))
    places[:, : len(axes[:2])] = centered @ axes[:2].T  # vectors of one dimension have one axis
    stops = np.cumsum([len(members) for members in classes.values()])
    points = dict(zip(classes, np.split(places, stops[:-1]), strict=True))
    words = {name: saved.vocabulary.lookup_tokens(members) for name, members in classes.items()}
    return WordMap(words, points, classes_left_out(saved.vocabulary))
