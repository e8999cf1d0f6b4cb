"""The tokens of each replica, read by position from ids that all replicas share."""

from __future__ import annotations

import numpy as np

from searchlab.backend import Array, to_device_of, xp_of
from searchlab.data.splits import Rows


class JoinedRows:
    """The rows of each of R replicas, joined in order, without a copy of the ids.

    A replica's rows are a few contiguous pieces of the shared ids, as the blocks before and after a held-out block.
    Only where each piece begins and ends is stored. A key is a position in all replicas' rows laid end to end, so that
    one binary search finds the pieces for all replicas.

    Args:
        rows: Row numbers of each replica: index (R, width), counts (R,), on the host.
        ids: The shared ids (N,).
    """

    def __init__(self, rows: Rows, ids: Array) -> None:
        replicas, width = rows.index.shape
        begins, ends, offsets = [], [], []
        for r, (index, count) in enumerate(zip(rows.index, rows.counts, strict=True)):
            piece_begins = np.concatenate([[0], np.flatnonzero(np.diff(index[:count]) != 1) + 1])
            begins.append(piece_begins + r * width)
            ends.append(np.append(piece_begins[1:], count) + r * width)
            offsets.append(index[piece_begins] - begins[-1])
        self.ids = ids
        self.begins, self.ends, self.offsets = (  # (P,)
            to_device_of(ids, np.concatenate(parts)) for parts in (begins, ends, offsets)
        )
        self.first_key = to_device_of(ids, np.arange(replicas)[:, None, None] * width)  # (R, 1, 1)

    def read(self, positions: Array) -> Array:
        """Return the ids (R, T, B) at these positions, (R, T, B) or (T, B), of each replica's joined rows."""
        keys = positions + self.first_key
        piece = xp_of(self.ids).searchsorted(self.begins, keys, side="right") - 1
        found: Array = self.ids.take(keys + self.offsets.take(piece))
        return found
