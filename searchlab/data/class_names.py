"""The names of the classes of a data set, for messages."""

from __future__ import annotations

from collections.abc import Sequence


def class_names(data: object) -> Sequence[str] | None:
    """Return the names of the classes of a data set; None where they have none."""
    names: Sequence[str] | None = getattr(data, "target_names", None)  # custom data may not have it
    return names


def class_word(data: object, label: int) -> str:
    """Return the name of a class as a message shows it, quoted, or its number where it has none."""
    names = class_names(data)
    return repr(names[label]) if names is not None and label < len(names) else str(label)
