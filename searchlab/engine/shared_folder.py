"""Validation that every node of a cluster sees the same checkpoints; each worker validates its node when it starts."""

from __future__ import annotations

import socket
from pathlib import Path

from searchlab.engine.checkpoints import CheckpointStore
from searchlab.errors import WorldFault

MARKER_NAME = ".of-this-cluster"  # a file that the study's node writes into the folder


def create_marker(location: Path | str) -> None:
    """Write the marker file into a folder; a bucket needs none, because its URL means the same bucket on every node."""
    if isinstance(location, Path):
        location.mkdir(parents=True, exist_ok=True)
        (location / MARKER_NAME).touch()


def validate_visible(location: Path | str) -> None:
    """Raise WorldFault when this node does not see the checkpoints of the others, or cannot write there."""
    if isinstance(location, Path) and not (location / MARKER_NAME).exists():
        raise WorldFault(
            f"the node {socket.gethostname()} does not see {location}, where the other nodes keep their checkpoints; "
            "mount the folder there, or set --checkpoints to a folder that every node sees or to an s3:// URL."
        )
    reason = CheckpointStore(location).unavailable_reason()
    if reason:
        raise WorldFault(f"the node {socket.gethostname()} cannot keep checkpoints in {location}: {reason}.")
