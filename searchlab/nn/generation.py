"""Texts written by a language model, one word after the other, all replicas side by side."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from searchlab.backend import Array, to_device_of, to_host
from searchlab.data.batch import Batch
from searchlab.errors import UserMistake
from searchlab.nn.module import Carry, Model
from searchlab.replicas import Replicas, fold_seeds

FAR = 1e30  # stands for an infinite score


def sample(
    model: Model,
    start: Array,
    length: int,
    *,
    seed: int | Sequence[int] = 0,
    temperature: float = 1.0,
    top_k: int | None = None,
    skip: Sequence[int] = (),
) -> Array:
    """The start (R, S), or (S,) for all, and `length` ids drawn after it, each by what was said of it: (R, S + length).

    Ids are drawn with the softmax of the scores divided by `temperature`, 0 being the likeliest always; `top_k` keeps
    the k likeliest (Fan et al. 2018), and those in `skip` never come (Deep Learning from Scratch 2, section 7.1). Each
    replica draws from a seed of its own, one of the R given or the r-th that one number stands for, so that it writes
    the same alone. One whose scores are NaN draws from all ids alike. On the host.
    Raises UserMistake for a start of no words and for what cannot be drawn by.
    """
    place = next(parameter.value for _, parameter in model.parameters())
    ids = _started(start, len(place), length)
    _check(temperature, top_k)
    seeds = fold_seeds(seed, len(ids)) if isinstance(seed, int) else seed
    drawn = (Replicas(seeds, dtype=np.float64).uniform(length) + 1.0) / 2.0  # (R, length), in [0, 1)
    begun = start.shape[-1]
    carry: Carry = None
    for at in range(begun, begun + length):
        new = to_device_of(place, ids[:, 0 if at == begun else at - 1 : at, None])  # (R, T, 1)
        scores, carry = model.predict(Batch(new, new), carry)
        said = to_host(scores[:, -1, 0]).astype(np.float64)  # (R, V)
        ids[:, at] = _choose(_allowed(said, skip), drawn[:, at - begun], temperature, top_k)
    return ids


def _started(start: Array, replicas: int, length: int) -> Array:
    """Ids (R, S + length) of int64 that begin with the start."""
    begun = np.atleast_2d(start)
    if begun.shape[1] == 0 or length < 0:
        raise UserMistake(f"a text goes on from at least 1 word, by 0 or more; got {begun.shape[1]} and {length}.")
    if len(begun) not in (1, replicas):
        raise UserMistake(f"a start is one for all or one for each of {replicas} networks; got {len(begun)}.")
    ids = np.zeros((replicas, begun.shape[1] + length), dtype=np.int64)
    ids[:, : begun.shape[1]] = begun
    return ids


def _check(temperature: float, top_k: int | None) -> None:
    if not 0.0 <= temperature < np.inf:
        raise UserMistake(f"temperature is 0 (the likeliest word always) or more, and finite; got {temperature}.")
    if top_k is not None and top_k < 1:
        raise UserMistake(f"top_k keeps at least 1 word; got {top_k}.")


def _allowed(scores: Array, skip: Sequence[int]) -> Array:
    """Finite scores (R, V), but for -inf at the words that never come."""
    words = scores.shape[1]
    unknown = [word for word in skip if not 0 <= word < words]
    if unknown or len(set(skip)) == words:
        raise UserMistake(f"of {words} words, 0 to {words - 1}, some may be skipped and not all; got {list(skip)}.")
    scores = np.nan_to_num(scores, nan=0.0, posinf=FAR, neginf=-FAR)
    scores[:, list(skip)] = -np.inf
    return scores


def _choose(scores: Array, drawn: Array, temperature: float, top_k: int | None) -> Array:
    """An id (R,) for each row of scores (R, V), by a number (R,) drawn from [0, 1): the likeliest come first in it."""
    order = np.argsort(-scores, axis=1, kind="stable")[:, : 1 if temperature == 0.0 else top_k]  # (R, k)
    best = np.take_along_axis(scores, order, axis=1)
    with np.errstate(over="ignore", under="ignore"):
        shares = np.exp((best - best[:, :1]) / (temperature or 1.0))
    up_to = shares.cumsum(axis=1)
    place = (up_to <= drawn[:, None] * up_to[:, -1:]).sum(axis=1)
    last = (shares > 0.0).sum(axis=1) - 1  # rounding must not reach what has no share
    chosen: Array = order[np.arange(len(order)), np.minimum(place, last)]
    return chosen
