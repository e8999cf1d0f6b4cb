"""Where output goes: people read tables on the terminal, programs read one JSON object on the last line of stdout."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.console import Console


def home_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """The option --home."""
    return click.option(
        "--home", envvar="SEARCHLAB_HOME", default=".searchlab", show_default=True, metavar="FOLDER",
        help="Holds studies, MLflow store, checkpoints and artifacts.",
    )(command)  # fmt: skip


def storage_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """The option --storage."""
    return click.option(
        "--storage", envvar="SEARCHLAB_STORAGE", metavar="URL",
        help="A database for the study, instead of the home's own journal.",
    )(command)  # fmt: skip


def tracking_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """The option --tracking-uri."""
    return click.option(
        "--tracking-uri", envvar="MLFLOW_TRACKING_URI", metavar="URL",
        help="An MLflow server, instead of the home's own store.",
    )(command)  # fmt: skip


def json_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """The option --json."""
    return click.option("--json", "as_json", is_flag=True, help="End with one JSON object on stdout.")(command)


class Output:
    """Tables for people, on stdout, or on stderr when a JSON object is to be the last line of stdout."""

    def __init__(self, as_json: bool) -> None:
        self.as_json = as_json

    @cached_property
    def console(self) -> Console:
        """The terminal."""
        from rich.console import Console

        return Console(stderr=self.as_json, highlight=False, soft_wrap=False)

    def result(self, content: Mapping[str, Any]) -> None:
        """The JSON object, where one was asked for."""
        if self.as_json:
            click.echo(json.dumps(_finite(content), allow_nan=False))

    def error(self, sentence: str, code: int) -> int:
        """One sentence on stderr, and as JSON where that was asked for; returns the exit code."""
        click.echo(f"searchlab: {sentence}", err=True)
        self.result({"error": sentence, "exit_code": code})
        sys.stdout.flush()
        return code


def short_name(path: str) -> str:
    """The last word of an argument's path: lr for optimizer.SGD.lr."""
    return path.rpartition(".")[2]


def short(value: Any) -> str:
    """A value for a narrow column."""
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _finite(value: Any) -> Any:
    """The same values with null for NaN and infinities, which JSON does not have."""
    if isinstance(value, Mapping):
        return {name: _finite(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and (value != value or value in (float("inf"), -float("inf"))) else value
