"""What a language model writes after each epoch of the refit: how it learns to, for people to read."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from searchlab.backend import to_host
from searchlab.data.loaded import LoadedDataset
from searchlab.data.splits import Rows
from searchlab.data.vocabulary import Vocabulary
from searchlab.nn.generation import sample
from searchlab.nn.module import Model

LENGTHS = {"word": (5, 30), "char": (20, 120)}  # how much of the training text is gone on with, and by how much
TOP_K = 20


def sample_text(model: Model, table: LoadedDataset, vocabulary: Vocabulary, seed: int) -> str:
    """What a single replica goes on with from the table's first words, as many as are in a window.

    It draws from a seed of its own: training goes on as if nothing had been asked.
    """
    first, length = LENGTHS[vocabulary.unit]
    begin = Rows.of([np.arange(min(first + 1, len(table)))])  # the last of them is only a target
    start = to_host(next(iter(table.scoring(begin))).x)[:, :first, 0]
    skip = [] if vocabulary.unknown is None else vocabulary.ids([vocabulary.unknown]).tolist()
    with np.errstate(all="ignore"):
        ids = sample(model, start, length, seed=seed, top_k=min(TOP_K, len(vocabulary)), skip=skip)
    return vocabulary.decode(ids[0])


def by_epoch(texts: Sequence[str]) -> str:
    """The texts, each beside the number of its epoch."""
    wide = len(str(len(texts)))
    lines = []
    for epoch, text in enumerate(texts, start=1):
        margin = f"epoch {epoch:{wide}}  "
        lines += [margin + text.replace("\n", "\n" + " " * len(margin)), ""]
    return "\n".join(lines)
