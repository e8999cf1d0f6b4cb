"""What a model is given at one step."""

from __future__ import annotations

from dataclasses import dataclass

from searchlab.backend import Array


@dataclass(frozen=True, slots=True)
class Batch:
    """Inputs x (R, B, features), targets y, and which of them count.

    y is classes (R, B), or numbers to predict (R, B, outputs). `weight` is None when all count; otherwise (R, B) of 0
    and 1, where replicas have held out unequal numbers of rows.
    """

    x: Array
    y: Array
    weight: Array | None = None
