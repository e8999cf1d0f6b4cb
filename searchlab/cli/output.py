"""The output of commands: tables for people, and with --json one JSON object on the last line of stdout."""

from __future__ import annotations

import json
import math
import sys
import traceback
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, Any

import click

from searchlab.cli.hints import complete

if TYPE_CHECKING:
    from rich.console import Console


def home_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the option --home."""
    return click.option(
        "--home", envvar="SEARCHLAB_HOME", default=".searchlab", show_default=True, metavar="FOLDER",
        help="Folder of studies, checkpoints, artifacts and the MLflow store.",
    )(command)  # fmt: skip


def storage_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the option --storage."""
    return click.option(
        "--storage", envvar="SEARCHLAB_STORAGE", metavar="URL",
        help="URL of a database for the study; default: a journal file in the home folder.",
    )(command)  # fmt: skip


def tracking_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the option --tracking-uri."""
    return click.option(
        "--tracking-uri", envvar="MLFLOW_TRACKING_URI", metavar="URL",
        help="URL of an MLflow server; default: a store in the home folder.",
    )(command)  # fmt: skip


def json_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the option --json."""
    return click.option("--json", "as_json", is_flag=True, help="Print a JSON object on the last line of stdout.")(
        command
    )


class Output:
    """Output for people on stdout; with `as_json` it goes to stderr, and JSON to stdout."""

    def __init__(self, as_json: bool) -> None:
        self.as_json = as_json

    @cached_property
    def console(self) -> Console:
        """The rich console for people."""
        from searchlab.cli.console import OutputConsole

        return OutputConsole(stderr=self.as_json)

    def result(self, content: Mapping[str, Any]) -> None:
        """Print the JSON object, if JSON was requested."""
        if self.as_json:
            click.echo(json.dumps(_finite(content), allow_nan=False))

    def warnings(self, sentences: Iterable[str]) -> None:
        """Print what to consider, a sentence on each line."""
        from rich.markup import escape

        for sentence in sentences:
            self.console.print(f"[yellow]warning[/yellow]: {escape(sentence)}")

    def error(self, sentence: str, code: int) -> int:
        """Print one sentence on stderr, and as JSON if that was requested; return the exit code."""
        from searchlab.runs.secrets import mask

        sentence = mask(complete(sentence))
        click.echo(f"searchlab: {sentence}", err=True)
        self.result({"error": sentence, "exit_code": code})
        sys.stdout.flush()
        return code


def print_traceback(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Print the traceback of an error that nothing handles, as Python does, without secrets of the environment."""
    from searchlab.runs.secrets import mask

    sys.stderr.write(mask("".join(traceback.format_exception(kind, error, trace))))


def _finite(value: Any) -> Any:
    """Return the value with null for NaN and infinities, which JSON does not have."""
    if isinstance(value, Mapping):
        return {name: _finite(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
