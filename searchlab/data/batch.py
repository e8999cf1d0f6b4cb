"""What a model is given at one step."""

from __future__ import annotations

from dataclasses import dataclass

from searchlab.backend import Array

IGNORED = -1  # the target of a place that asks for none: past the end of a stream


@dataclass(frozen=True, slots=True)
class Batch:
    """Inputs x (R, B, features), or ids (R, T, B) of the tokens of B sequences, targets y, and which of them count.

    y is classes (R, B), or numbers to predict (R, B, outputs), or the ids (R, T, B) to say at each place of a sequence,
    time-major, with IGNORED where nothing is asked. `weight` is None when all count; otherwise (R, B) of 0
    and 1, where replicas have held out unequal numbers of rows.
    """

    x: Array
    y: Array
    weight: Array | None = None
