"""`searchlab analogy`: the word that is to a third word as a second one is to a first one."""

from __future__ import annotations

import click

from searchlab.cli.artifact_argument import load_artifact
from searchlab.cli.most_similar import print_words, word_options
from searchlab.cli.output import Output


@click.command("analogy")
@click.argument("name")
@click.argument("a")
@click.argument("b")
@click.argument("c")
@word_options
def analogy_command(name: str, a: str, b: str, c: str, count: int, dot_product: bool, home: str, as_json: bool) -> None:
    """Print the words that are to C as B is to A, by the word vectors of the sweep NAME: king man queen."""
    print_words(Output(as_json), name, load_artifact(name, home).analogy(a, b, c, count, normalized=not dot_product))
