"""`searchlab generate`: how the winner of a sweep of language models continues a text."""

from __future__ import annotations

import click

from searchlab.cli.artifact_argument import load_artifact
from searchlab.cli.output import Output, home_option, json_option
from searchlab.cli.unknown_tokens import name_unknown_tokens


@click.command("generate")
@click.argument("name")
@click.argument("prompt")
@click.option("--length", default=50, show_default=True, help="Number of words or characters to add.")
@click.option("--temperature", default=1.0, show_default=True, help="Divisor of the scores; 0 takes the likeliest.")
@click.option("--top-k", type=click.IntRange(1), help="Number of likeliest tokens that may be drawn; default: all.")
@click.option("--seed", default=0, show_default=True, help="Random seed.")
@home_option
@json_option
def generate_command(
    name: str, prompt: str, length: int, temperature: float, top_k: int | None, seed: int, home: str, as_json: bool
) -> None:
    """Print PROMPT and the text with which the language model NAME, a sweep or an artifact's folder, continues it."""
    output, saved = Output(as_json), load_artifact(name, home)
    text = saved.generate(prompt, length, temperature=temperature, top_k=top_k, seed=seed)
    unknown = name_unknown_tokens(saved, [prompt])
    output.console.print(text, markup=False, highlight=False, soft_wrap=True)
    output.result({"text": text, "unknown_tokens": unknown})
