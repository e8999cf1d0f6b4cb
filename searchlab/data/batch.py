"""What a model is given at one step."""

from __future__ import annotations

from dataclasses import dataclass

from searchlab.backend import Array


@dataclass(frozen=True, slots=True)
class Batch:
    """Inputs x (R, B, features), targets y (R, B), and which of them count.

    `weight` is None when all count; otherwise (R, B) of 0 and 1, where replicas have held out unequal numbers of rows.
    """

    x: Array
    y: Array
    weight: Array | None = None
