"""`searchlab translate`: what the winner of a sweep of pairs of sequences writes for a source."""

from __future__ import annotations

import click

from searchlab.cli.artifact_argument import load_artifact
from searchlab.cli.output import Output, home_option, json_option
from searchlab.cli.unknown_tokens import name_unknown_tokens


@click.command("translate")
@click.argument("name")
@click.argument("sources", nargs=-1, required=True)
@click.option("--beam", type=click.IntRange(1), default=1, show_default=True, help="Hypotheses of the beam search.")
@click.option("--length-penalty", default=0.0, show_default=True, help="Exponent of the length that divides scores.")
@home_option
@json_option
def translate_command(
    name: str, sources: tuple[str, ...], beam: int, length_penalty: float, home: str, as_json: bool
) -> None:
    """Print what the network NAME, a sweep or an artifact's folder, writes for each of the SOURCES, such as 16+75."""
    output, saved = Output(as_json), load_artifact(name, home)
    targets = [saved.translate(source, beam=beam, length_penalty=length_penalty) for source in sources]
    unknown = name_unknown_tokens(saved, sources)
    for target in targets:
        output.console.print(target, markup=False, highlight=False, soft_wrap=True)
    pairs = [{"source": source, "target": target} for source, target in zip(sources, targets, strict=True)]
    output.result({"translations": pairs, "unknown_tokens": unknown})
