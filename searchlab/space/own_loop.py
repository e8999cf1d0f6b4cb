"""The training of a sweep that names none, because a loop of the user's trains its trials."""

from __future__ import annotations

from typing import Any, ClassVar

from searchlab.errors import UserMistake


class OwnLoop:
    """The default of `Sweep(training=...)`: the trials are trained by a loop of one's own, by `Sweep.study`.

    Raises:
        UserMistake: When it is to train, as in `Sweep.run`.
    """

    needs_optimizer: ClassVar[bool | None] = None  # a loop of one's own may use the argument or not

    def __init__(self, *parts: Any) -> None:
        raise UserMistake(MISSING)


MISSING = (
    "Sweep(training=...) is missing; use Space(Trainer, epochs=...), or train the trials of sweep.study() by a loop of "
    "your own."
)
