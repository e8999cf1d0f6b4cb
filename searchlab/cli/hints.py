"""Commands that output suggests: they repeat the options of this command that say where the sweep is."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence

import click

WINNER_VERBS = (
    "reproduce", "evaluate", "export", "predict", "generate", "translate", "most-similar", "analogy"
)  # fmt: skip
REPEATED = {  # option: the commands that take it
    "--home": ("resume", "list", "watch", "stop", "report", "replay", "ui", *WINNER_VERBS),
    "--address": ("resume", "list", "watch", "stop", "report", "replay"),
}
QUOTED = re.compile(r"`searchlab ([\w-]+)((?: [^`]*)?)`")


def command(words: str, given: Mapping[str, str] | None = None) -> str:
    """Return `searchlab` with these words, and with those of the given options that it takes.

    Args:
        words: The command, such as "resume digits".
        given: Values of the options in `REPEATED`; default: those of this process's own command.
    """
    verb, given = words.split()[0], given_options() if given is None else given
    options = [name for name, verbs in REPEATED.items() if name in given and verb in verbs and name not in words]
    return " ".join(["searchlab", words, *(f"{name} {shlex.quote(given[name])}" for name in options)])


def complete(text: str, given: Mapping[str, str] | None = None) -> str:
    """Return a text with those options in each command that it quotes, so that the command can be pasted."""
    return QUOTED.sub(lambda match: f"`{command(match[1] + match[2], given)}`", text)


def given_options() -> dict[str, str]:
    """Return the options among `REPEATED` that this command was given.

    Variables of the environment hold for the next command of the same shell too. Other threads than the command's own
    know of no command.
    """
    context = click.get_current_context(silent=True)
    arguments: Sequence[str] = (context.find_root().obj if context else None) or ()
    given: dict[str, str] = {}
    for word, following in zip(arguments, [*arguments, ""][1:], strict=True):
        name, equals, value = word.partition("=")
        if name in REPEATED:
            given[name] = value if equals else following
    if not given.get("--address", "").startswith("http"):  # that of a driver in this process
        given.pop("--address", None)
    return given
