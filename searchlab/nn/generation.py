"""Text generation by a language model, one word after the other, all replicas side by side."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from searchlab.backend import Array, to_device_of, to_host
from searchlab.data.batch import Batch
from searchlab.errors import UserMistake
from searchlab.nn.ensemble import Ensemble
from searchlab.nn.module import Carry, Model
from searchlab.replicas import Replicas, fold_seeds

MAX_SCORE = 1e30  # replaces an infinite score


def generate(
    model: Model,
    prompt: Array,
    length: int,
    *,
    seed: int | Sequence[int] = 0,
    temperature: float = 1.0,
    top_k: int | None = None,
    skip_ids: Sequence[int] = (),
) -> Array:
    """Return the prompt followed by `length` ids, each drawn from the model's distribution of the next word.

    Each replica draws by a seed of its own, so it writes the same text alone; an ensemble writes one text. A replica
    whose scores are NaN draws from all ids with equal probability.

    Args:
        model: A language model.
        prompt: Ids (R, S), or (S,) for all replicas.
        length: How many ids to draw.
        seed: A seed for each replica, or one number from which they are derived; default 0.
        temperature: Divisor of the scores before the softmax; 0 always takes the likeliest id; default 1.
        top_k: How many of the likeliest ids may be drawn; default None, all.
        skip_ids: Ids that are never drawn; default none.

    Returns:
        Ids (R, S + length), on the host.

    Raises:
        UserMistake: When the prompt is empty or has another number of replicas, or when an argument is out of range.

    Reference:
        Deep Learning from Scratch 2, section 7.1; for `top_k`, Fan et al. (2018).
    """
    like = next(parameter.value for _, parameter in model.named_parameters())
    ids = _with_prompt(prompt, 1 if isinstance(model, Ensemble) else len(like), length)
    _validate_sampling(temperature, top_k)
    seeds = fold_seeds(seed, len(ids)) if isinstance(seed, int) else seed
    drawn = (Replicas(seeds, dtype=np.float64).uniform(length) + 1.0) / 2.0  # (R, length), in [0, 1)
    prompt_length = prompt.shape[-1]
    carry: Carry = None
    for t in range(prompt_length, prompt_length + length):
        new = to_device_of(like, ids[:, 0 if t == prompt_length else t - 1 : t, None])  # (R, T, 1)
        scores, carry = model.predict(Batch(new, new), carry)
        last_scores = to_host(scores[:, -1, 0]).astype(np.float64)  # (R, V)
        ids[:, t] = _choose(_masked(last_scores, skip_ids), drawn[:, t - prompt_length], temperature, top_k)
    return ids


def _with_prompt(prompt: Array, replicas: int, length: int) -> Array:
    """Return int64 ids (R, S + length) that begin with the prompt."""
    prompts = np.atleast_2d(prompt)
    if prompts.shape[1] == 0 or length < 0:
        raise UserMistake(
            f"a text needs a prompt of at least 1 word and a length of 0 or more; got {prompts.shape[1]} and {length}."
        )
    if len(prompts) not in (1, replicas):
        raise UserMistake(f"a prompt is one for all or one for each of {replicas} networks; got {len(prompts)}.")
    ids = np.zeros((replicas, prompts.shape[1] + length), dtype=np.int64)
    ids[:, : prompts.shape[1]] = prompts
    return ids


def _validate_sampling(temperature: float, top_k: int | None) -> None:
    if not 0.0 <= temperature < np.inf:
        raise UserMistake(f"temperature is finite and at least 0 (always the likeliest word); got {temperature}.")
    if top_k is not None and top_k < 1:
        raise UserMistake(f"top_k is at least 1 word; got {top_k}.")


def _masked(scores: Array, skip_ids: Sequence[int]) -> Array:
    """Return finite scores (R, V), except -inf for the ids that are never drawn."""
    words = scores.shape[1]
    unknown = [word for word in skip_ids if not 0 <= word < words]
    if unknown or len(set(skip_ids)) == words:
        raise UserMistake(f"skip_ids are some, not all, of the {words} ids 0 to {words - 1}; got {list(skip_ids)}.")
    scores = np.nan_to_num(scores, nan=0.0, posinf=MAX_SCORE, neginf=-MAX_SCORE)
    scores[:, list(skip_ids)] = -np.inf
    return scores


def _choose(scores: Array, drawn: Array, temperature: float, top_k: int | None) -> Array:
    """Return an id (R,) per row of scores (R, V), by a number (R,) drawn from [0, 1).

    The ids divide [0, 1) in proportion to their probabilities, the likeliest first.
    """
    order = np.argsort(-scores, axis=1, kind="stable")[:, : 1 if temperature == 0.0 else top_k]  # (R, k)
    best = np.take_along_axis(scores, order, axis=1)
    with np.errstate(over="ignore", under="ignore"):
        weights = np.exp((best - best[:, :1]) / (temperature or 1.0))
    cumulative = weights.cumsum(axis=1)
    position = (cumulative <= drawn[:, None] * cumulative[:, -1:]).sum(axis=1)
    last = (weights > 0.0).sum(axis=1) - 1  # rounding must not choose an id of weight 0
    chosen: Array = order[np.arange(len(order)), np.minimum(position, last)]
    return chosen
