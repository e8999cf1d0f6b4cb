"""Commands about sweeps on a cluster: they run on the cluster's head, and their output is printed here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import click

from searchlab.cli.output import Output
from searchlab.cluster.address import takes_jobs


def address_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the option --address of commands about existing sweeps."""
    return click.option(
        "--address", envvar="RAY_ADDRESS", metavar="URL",
        help="URL of a cluster, such as http://HEAD:8265, whose sweeps are meant; default: those of this machine.",
    )(command)  # fmt: skip


def cluster_url(address: str | None) -> str | None:
    """Return the address if it is the URL of a cluster's jobs; None if the sweeps of this machine are meant."""
    return address if takes_jobs(address) else None


def run_on_cluster(url: str, arguments: Sequence[str], output: Output) -> int:
    """Run a command on the cluster, print what it prints, its JSON object last, and return its exit code."""
    from searchlab.cluster.jobs import (
        ERROR_PREFIX,
        JobClient,
        JobFailed,
        parse_json_line,
    )

    code, result = 0, None
    try:
        for line in JobClient(url).output_lines([*arguments, "--json"]):
            parsed = parse_json_line(line)
            result = parsed or result
            if line.startswith(ERROR_PREFIX):
                click.echo(line, err=True)
            elif parsed is None:
                output.console.print(line, markup=False, soft_wrap=True)
    except JobFailed as error:
        code = error.code
    if result is not None:
        output.result(result)
    return code


def html_from_cluster(url: str, arguments: Sequence[str]) -> str:
    """Return the HTML page that a command prints on the cluster.

    Raises UserMistake or WorldFault with the command's own sentence, when it fails.
    """
    from searchlab.cluster.jobs import ERROR_PREFIX, JobClient, JobFailed

    lines: list[str] = []
    try:
        lines += JobClient(url).output_lines(arguments)
    except JobFailed as error:
        raise error.as_error(next((line for line in reversed(lines) if line.startswith(ERROR_PREFIX)), None)) from error
    first = next((row for row, line in enumerate(lines) if line.lstrip().lower().startswith("<!doctype")), 0)
    return "\n".join(lines[first:])
