"""Text that a language model generates after each epoch of the refit, so that people can see how it learns."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from searchlab.backend import to_host
from searchlab.data.loaded import LoadedDataset
from searchlab.data.splits import Rows
from searchlab.data.vocabulary import Vocabulary
from searchlab.nn.generation import generate
from searchlab.nn.module import Model

LENGTHS = {"word": (5, 30), "char": (20, 120)}  # tokens of the prompt, and tokens generated after it, by unit
TOP_K = 20  # tokens are sampled from so many likeliest ones


def generate_sample(model: Model, table: LoadedDataset, vocabulary: Vocabulary, seed: int) -> str:
    """Return text that a model of a single replica generates after a prompt: the first tokens of the table.

    It samples with a seed of its own, so that training does not depend on it.
    """
    prompt_length, length = LENGTHS[vocabulary.unit]
    rows = Rows.from_folds([np.arange(min(prompt_length + 1, len(table)))])  # the last row is only a target
    prompt = to_host(next(iter(table.scoring_batches(rows))).x)[:, :prompt_length, 0]
    skip = [] if vocabulary.unknown is None else vocabulary.lookup_ids([vocabulary.unknown]).tolist()
    with np.errstate(all="ignore"):
        ids = generate(model, prompt, length, seed=seed, top_k=min(TOP_K, len(vocabulary)), skip_ids=skip)
    return vocabulary.decode(ids[0])


def join_samples(texts: Sequence[str]) -> str:
    """Return the texts of all epochs, each indented behind the number of its epoch."""
    width = len(str(len(texts)))
    lines = []
    for epoch, text in enumerate(texts, start=1):
        label = f"epoch {epoch:{width}}  "
        lines += [label + text.replace("\n", "\n" + " " * len(label)), ""]
    return "\n".join(lines)
