"""Visible: whether the folder of the checkpoints is one that every node sees, asked by each worker when it begins."""

from __future__ import annotations

import socket
from pathlib import Path

from searchlab.engine.checkpoints import Checkpoints
from searchlab.errors import WorldFault

MARK = ".of-this-cluster"  # lies in the folder, and was written where the study is


def mark(place: Path | str) -> None:
    """Leave the mark in the folder; a store needs none, for it is one place wherever it is asked from."""
    if isinstance(place, Path):
        place.mkdir(parents=True, exist_ok=True)
        (place / MARK).touch()


def refuse_unseen(place: Path | str) -> None:
    """Raises WorldFault where this node does not see the folder or the store: nobody could go on from what it saves."""
    if isinstance(place, Path) and not (place / MARK).exists():
        raise WorldFault(
            f"the node {socket.gethostname()} does not see {place}, where the others keep their checkpoints; mount it "
            "there, or give --checkpoints a folder that every node sees, or an s3:// URL."
        )
    why = Checkpoints(place).unavailable_reason()
    if why:
        raise WorldFault(f"the node {socket.gethostname()} cannot keep checkpoints in {place}: {why}.")
