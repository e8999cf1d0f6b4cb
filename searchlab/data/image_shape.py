"""The shape of rows that are images."""

from __future__ import annotations

ImageShape = tuple[int, ...]  # (height, width) of gray images, (height, width, channels) of colored ones
