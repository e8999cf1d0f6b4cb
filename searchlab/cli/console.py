"""The console of commands: laid out for the width of a terminal, and neither wrapped nor padded in a pipe or a file."""

from __future__ import annotations

import os
from typing import Any

from rich.console import Console

from searchlab.cli.hints import complete, given_options

PIPE_WIDTH = 10_000  # characters: no line of a table is wrapped where nobody sees a width


class OutputConsole(Console):
    """A console whose hints can be pasted, and whose lines in a pipe end with their last letter."""

    def __init__(self, *, stderr: bool) -> None:
        super().__init__(stderr=stderr, highlight=False, soft_wrap=False)
        self._given = given_options()  # now: messages are printed by other threads too
        if not self.is_terminal and "COLUMNS" not in os.environ:
            self.width = PIPE_WIDTH

    def print(self, *objects: Any, **options: Any) -> None:
        """Print as rich does."""
        objects = tuple(complete(each, self._given) if isinstance(each, str) else each for each in objects)
        if self.is_terminal:
            return super().print(*objects, **options)
        with self.capture() as captured:
            super().print(*objects, **options)
        lines = captured.get().split("\n")
        text = "\n".join(line.rstrip() for line in lines)
        return super().print(text, end="", markup=False, emoji=False, highlight=False, soft_wrap=True)
