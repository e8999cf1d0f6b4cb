"""The options of a run on the command line, made from `RunConfig`: its fields, their kinds, and their documentation."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from typing import Any, TypeVar

import click

from searchlab.errors import UserMistake
from searchlab.runs.config import RunConfig

NUMBER = r"(\d+(?:\.\d+)?)"
DURATION = re.compile(rf"(?:{NUMBER}d)?(?:{NUMBER}h)?(?:{NUMBER}m)?(?:{NUMBER}s?)?")
UNIT_SECONDS = (86_400.0, 3_600.0, 60.0, 1.0)
SAME_ARGUMENT = {"epochs": "training.epochs", "time_budget": "budget.seconds", "trials": "trials"}  # option: its path

C = TypeVar("C", bound=Callable[..., Any])


def run_options(*names: str) -> Callable[[C], C]:
    """Add the options of these names to a command; one that is not given is None, or False for a flag."""

    def add(command: C) -> C:
        for name in reversed(names):
            command = _option(name)(command)
        return command

    return add


def value_options(command: C) -> C:
    """Add --epochs and --set, which fix arguments of the sweep."""
    command = click.option(
        "--set", "settings", multiple=True, metavar="PATH=VALUE", help="Fix an argument, such as model.hidden=64."
    )(command)
    return click.option(
        "--epochs", type=int, help="Number of epochs of each trial: short for --set training.epochs=N."
    )(command)


def time_budget_option(command: C) -> C:
    """Add --time-budget."""
    return click.option("--time-budget", metavar="TIME", help="Limit of the search time: 90 (seconds), 30m, 1h30m.")(
        command
    )


def config_from(options: Mapping[str, Any]) -> RunConfig:
    """Return the configuration that the options of a command ask for; raise UserMistake for what makes no sense."""
    given = given_options(options)
    _require_one_source(given)
    values = fixed_values(given.pop("settings", ()), given.pop("epochs", None))
    seconds = parse_duration(given.pop("time_budget", None))
    if "fuse" in given:
        given["fuse"] = parse_fuse(given["fuse"])
    if given.pop("no_tracking", False):
        given["tracking"] = None
    return RunConfig.of({**given, "values": values | ({"budget.seconds": seconds} if seconds else {})})


def _require_one_source(given: Mapping[str, Any]) -> None:
    """Raise UserMistake where an option and --set both fix the same argument."""
    paths = [text.partition("=")[0] for text in given.get("settings", ())]
    for option, path in SAME_ARGUMENT.items():
        if option in given and path in paths:
            flag = f"--{option.replace('_', '-')}"
            raise UserMistake(f"{flag} and --set {path}=... both fix {path}; leave out one of them.")


def given_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that were given: neither None, nor a flag that is not set, nor an empty list."""
    return {name: value for name, value in options.items() if value is not None and value is not False and value != ()}


def fixed_values(settings: Sequence[str], epochs: int | None = None) -> dict[str, Any]:
    """Return the values by path of --set and --epochs; raise UserMistake for what is not PATH=VALUE or not a number."""
    if epochs is not None and epochs < 1:
        raise UserMistake(f"--epochs is at least 1, got {epochs}.")
    return dict(_parse_setting(text) for text in settings) | ({"training.epochs": epochs} if epochs else {})


def parse_fuse(text: str) -> Any:
    """Return the value of --fuse, "auto" or a number; raise UserMistake for another word."""
    if text == "auto" or text.isdigit():
        return text if text == "auto" else int(text)
    raise UserMistake(f"--fuse is 'auto' or a number of trials, got {text!r}.")


def parse_duration(text: str | None) -> float | None:
    """Return the seconds of --time-budget: 90, 45s, 30m, 2h, 1h30m; raise UserMistake for anything else."""
    if text is None:
        return None
    found = DURATION.fullmatch(text.strip())
    parts = zip(found.groups(), UNIT_SECONDS, strict=True) if found else ()
    seconds = sum(float(number or 0) * size for number, size in parts)
    if not seconds:
        raise UserMistake(f"--time-budget is a time above 0 such as 90, 30m or 1h30m, got {text!r}.")
    return seconds


def _option(name: str) -> Callable[[C], C]:
    """Return the click option of a field of RunConfig."""
    field = next(field for field in fields(RunConfig) if field.name == name)
    kind, metadata = field.metadata["kind"], field.metadata
    flag, text = f"--{name.replace('_', '-')}", _documentation()[name]
    if kind is bool:
        return click.option(flag, is_flag=True, help=text)
    if "value_if_omitted" in metadata:
        return click.option(
            flag, is_flag=False, flag_value=metadata["value_if_omitted"], metavar=metadata["metavar"], help=text
        )
    choices = metadata.get("choices")
    return click.option(
        flag,
        type=click.Choice(choices) if choices else kind,
        metavar=metadata.get("metavar"),
        envvar=metadata.get("env"),
        help=text,
    )


def _documentation() -> dict[str, str]:
    """Return what the docstring of RunConfig says of each argument."""
    section = (inspect.getdoc(RunConfig) or "").partition("Args:\n")[2].partition("\n\n")[0]
    return dict(re.findall(r"^    (\w+): (.+)$", section, re.MULTILINE))


def _parse_setting(text: str) -> tuple[str, Any]:
    path, equals, value = text.partition("=")
    if not equals or not path:
        raise UserMistake(f"--set takes PATH=VALUE, such as model.hidden=64; got {text!r}.")
    try:
        return path, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return path, value  # a word
