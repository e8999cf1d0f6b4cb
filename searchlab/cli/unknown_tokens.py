"""The words and characters of a command's texts that a network does not know, named on stderr."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from searchlab.artifact import Artifact

MAX_NAMED = 10


def name_unknown_tokens(saved: Artifact, texts: Iterable[str]) -> list[str]:
    """Return the distinct tokens of these texts that the network does not know, which are also named on stderr."""
    unknown = list(dict.fromkeys(token for text in texts for token in saved.unknown_tokens(text)))
    if unknown:
        kind = "characters" if saved.input_vocabulary.unit == "char" else "words"
        named = ", ".join(map(repr, unknown[:MAX_NAMED]))
        more = f" and {len(unknown) - MAX_NAMED:,} more" if len(unknown) > MAX_NAMED else ""
        click.echo(f"{kind} that the network does not know, taken as rare ones: {named}{more}", err=True)
    return unknown
