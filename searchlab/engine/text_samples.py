"""What a model of text or of pairs of sequences writes after each epoch of the refit: people see how it learns."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from searchlab.backend import to_host
from searchlab.data.loaded import LoadedDataset
from searchlab.data.sequence_pairs import SequencePairs
from searchlab.data.splits import Rows
from searchlab.data.vocabulary import Vocabulary
from searchlab.data.word_contexts import WordContexts
from searchlab.nn.generation import generate
from searchlab.nn.module import Model

LENGTHS = {"word": (5, 30), "char": (20, 120)}  # tokens of the prompt, and tokens generated after it, by unit
SAMPLE_PAIRS = 5  # pairs of sequences that are decoded
TOP_K = 20  # tokens are sampled from so many likeliest ones


def write_sample(model: Model, table: LoadedDataset, seed: int) -> str | None:
    """Return what a model of a single replica writes: generated text, or target sequences; None for other models."""
    if isinstance(table, SequencePairs):
        return decode_sample(model, table)
    if isinstance(table, WordContexts):  # word vectors write nothing
        return None
    vocabulary = getattr(table, "vocabulary", None)  # a custom data set may have no such attribute
    return generate_sample(model, table, vocabulary, seed) if vocabulary else None


def decode_sample(model: Model, table: SequencePairs) -> str | None:
    """Return the first sources of the table with what the model writes for them; None for one that does not decode."""
    decode = getattr(model, "decode", None)
    if decode is None:
        return None
    rows = range(min(SAMPLE_PAIRS, len(table)))
    with np.errstate(all="ignore"):
        ids = to_host(decode(next(iter(table.scoring_batches(Rows.from_folds([np.array(rows)]))))).ids)
    lines = []
    for row in rows:
        written, right = table.sequence_format.target_text(ids[0, :, row]), table.target_text(row)
        lines.append(f"{table.source_text(row)} -> {written}" + ("" if written == right else f"  (right: {right})"))
    return "\n".join(lines)


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
