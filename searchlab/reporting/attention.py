"""The attention of a decoder for a few pairs of sequences: the values behind their figure.

This module does not need matplotlib, which takes half a second to import.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from searchlab.backend import Array


@dataclass(frozen=True)
class AttentionMap:
    """How much each target token attends to each source token, for one pair.

    Attributes:
        weights: Weights (T_out, T_in), each row of which sums to 1; with several heads (heads, T_out, T_in).
        source: Source tokens (T_in,), in their own order.
        target: Target tokens (T_out,), with the end mark.
    """

    weights: Array
    source: Sequence[str]
    target: Sequence[str]
