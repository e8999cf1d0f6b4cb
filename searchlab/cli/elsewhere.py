"""Verbs whose sweep is on a cluster: they run on its head as they do here, and what they say comes back."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import click

from searchlab.cli.output import Output
from searchlab.errors import UserMistake, WorldFault
from searchlab.service.cluster.address import takes_jobs
from searchlab.service.cluster.jobs import Ended, Jobs

MISTAKE = "searchlab: "  # begins the sentence that a verb ends with when it could not


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
            found = _object(line)
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


def objects(address: str, words: Sequence[str]) -> Iterator[dict[str, Any]]:
    """The JSON objects that the verb prints on the cluster, one by one; raises Ended with its exit code if not 0."""
    for line in Jobs(address).lines([*words, "--json"]):
        found = _object(line)
        if found is not None:
            yield found


def page_of(address: str, words: Sequence[str]) -> str:
    """The page of HTML that the verb prints on the cluster; raises what it says instead as a mistake or a fault."""
    lines: list[str] = []
    try:
        lines += Jobs(address).lines(words)
    except Ended as ended:
        told = (lines[-1] if lines else f"it ended with exit code {ended.code}").removeprefix(MISTAKE)
        raise (UserMistake(told) if ended.code == UserMistake.exit_code else WorldFault(told)) from ended
    begun = next((at for at, line in enumerate(lines) if line.lstrip().lower().startswith("<!doctype")), 0)
    return "\n".join(lines[begun:])


def _object(line: str) -> dict[str, Any] | None:
    if not line.startswith("{"):
        return None
    try:
        found: dict[str, Any] = json.loads(line)
    except ValueError:
        return None
    return found
