"""Verbs whose sweep is on a cluster: they run on its head as they do here, and what they say comes back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import click

from searchlab.cli.output import Output
from searchlab.cluster.address import takes_jobs
from searchlab.cluster.jobs import MISTAKE, Ended, Jobs, parsed


def address_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """The option --address of verbs about sweeps that are there already."""
    return click.option(
        "--address", envvar="RAY_ADDRESS", metavar="URL",
        help="Of a cluster, http://HEAD:8265: its sweeps, instead of this machine's.",
    )(command)  # fmt: skip


def elsewhere(address: str | None) -> str | None:
    """The address where it is a cluster's that takes jobs; None where sweeps of this machine are meant."""
    return address if takes_jobs(address) else None


def relay(address: str, words: Sequence[str], output: Output) -> int:
    """Run the verb on the cluster: passes on what it says to people, then its JSON object; returns its exit code."""
    code, answer = 0, None
    try:
        for line in Jobs(address).lines([*words, "--json"]):
            found = parsed(line)
            answer = found or answer
            if line.startswith(MISTAKE):
                click.echo(line, err=True)
            elif found is None:
                output.console.print(line, markup=False, soft_wrap=True)
    except Ended as ended:
        code = ended.code
    if answer is not None:
        output.result(answer)
    return code


def page_of(address: str, words: Sequence[str]) -> str:
    """The page of HTML that the verb prints on the cluster; raises what it says instead as a mistake or a fault."""
    lines: list[str] = []
    try:
        lines += Jobs(address).lines(words)
    except Ended as ended:
        raise ended.because(next((line for line in reversed(lines) if line.startswith(MISTAKE)), None)) from ended
    begun = next((at for at, line in enumerate(lines) if line.lstrip().lower().startswith("<!doctype")), 0)
    return "\n".join(lines[begun:])
