"""A small process that prints a sentence when this one dies without a word, as Ray's library makes it do."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import IO, cast

DONE = "done"
DEFAULT_HOME = ".searchlab"
# it prints the last line that it has read when its input ends, and shows the cursor that a live display has hidden
SCRIPT = r"""
trap '' HUP INT TERM
while read -r line; do text=$line; done
[ "$text" = done ] && exit
[ -t 2 ] && printf '\033[?25h' >&2
printf 'searchlab: %s\n' "$text" >&2
"""


@contextmanager
def exit_message(name: str, home: str | os.PathLike[str] = DEFAULT_HOME) -> Iterator[Callable[[str], None]]:
    """Within the block, have a sentence printed on stderr if this process dies: that `resume` continues the sweep.

    The block gets a function that replaces the sentence. SIGKILL and the exits of Ray's library cannot be handled in
    this process.
    """
    process = _start()
    if process is None:
        yield lambda sentence: print(f"searchlab: {sentence}", file=sys.stderr, flush=True)
        return

    def tell(sentence: str) -> None:
        stdin = cast(IO[bytes], process.stdin)
        with suppress(OSError, ValueError):  # it was killed, or the block has ended
            stdin.write(f"{sentence}\n".encode())
            stdin.flush()

    option = "" if os.fspath(home) == DEFAULT_HOME else f" --home {shlex.quote(os.fspath(home))}"
    tell(f"the process of {name!r} died; what was reached is kept, and `searchlab resume {name}{option}` continues it.")
    try:
        yield tell
    finally:
        tell(DONE)
        with suppress(OSError):
            process.communicate()


def _start() -> subprocess.Popen[bytes] | None:
    """Start the process in a group of its own; None where there is no shell."""
    try:
        descriptor = sys.stderr.fileno()
    except (AttributeError, OSError, ValueError):  # a stderr without a descriptor, as in a notebook
        descriptor = 2
    try:
        return subprocess.Popen(
            ["/bin/sh", "-c", SCRIPT],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=descriptor,
            process_group=0,
        )
    except OSError:
        return None
