"""`searchlab most-similar`: the words whose vectors are nearest to that of a word."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from searchlab.cli.artifact_argument import load_artifact
from searchlab.cli.output import Output, home_option, json_option


def word_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of questions to word vectors: -n, --dot-product, --home and --json."""
    for option in (
        json_option,
        home_option,
        click.option(
            "--dot-product",
            is_flag=True,
            help="Compare by the product with vectors as long as they are, in place of the cosine.",
        ),
        click.option("-n", "count", type=click.IntRange(1), default=5, show_default=True, help="Number of words."),
    ):
        command = option(command)
    return command


@click.command("most-similar")
@click.argument("name")
@click.argument("word")
@word_options
def most_similar_command(name: str, word: str, count: int, dot_product: bool, home: str, as_json: bool) -> None:
    """Print the words that are most similar to WORD by the word vectors of NAME, a sweep or an artifact's folder."""
    found = load_artifact(name, home).most_similar(word, count, normalized=not dot_product)
    print_words(Output(as_json), name, found)


def print_words(output: Output, name: str, words: list[tuple[str, float]]) -> None:
    """Print words and their similarities, the nearest first."""
    width = max((len(word) for word, _ in words), default=0)
    for word, similarity in words:
        output.console.print(f"{word:{width}}  {similarity:.4f}", markup=False, highlight=False)
    output.result({"sweep": name, "words": [{"word": word, "similarity": value} for word, value in words]})
