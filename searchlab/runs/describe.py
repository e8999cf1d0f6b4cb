"""Descriptions for people: the parts and the space of a sweep, and the command that starts the same run again."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Mapping
from typing import Any

from searchlab.runs.manifest import SweepManifest

NOT_SHOWN = (
    "name",
    "trials",
    "seed",
    "values",
    "home",
    "address",
    "tracking_uri",
    "storage",
    "checkpoints",
    "register",
    "progress",
)


def command_of(manifest: SweepManifest) -> str:
    """Return the command, or the call in Python, that starts the same run; places and addresses are not part of it."""
    config = manifest.config
    changed = {name: value for name, value in config.changed().items() if name not in NOT_SHOWN}
    options = {"trials": manifest.trials, "seed": config.seed, **changed}
    if manifest.spec is None:
        options |= {"values": dict(config.values)} if config.values else {}
        return f"sweep.run({', '.join(f'{name}={value!r}' for name, value in options.items())})"
    words = ["searchlab", "run", manifest.spec]
    for name, value in options.items():
        if name == "tracking":
            words.append("--no-tracking")
        else:
            words += [f"--{name.replace('_', '-')}"] + ([] if value is True else [str(value)])
    for path, value in config.values.items():
        words += ["--set", f"{path}={_literal(value)}"]
    return shlex.join(words)


def set_options_of(parameters: Mapping[str, Any]) -> str:
    """Return options of `searchlab run` that fix the parameters of a trial."""
    return shlex.join(
        word for path, value in _inner_first(parameters) for word in ("--set", f"{path}={_literal(value)}")
    )


def python_values_of(parameters: Mapping[str, Any]) -> str:
    """Return the argument of `sweep.run` that fixes the parameters of a trial."""
    return f"values={dict(_inner_first(parameters))!r}"


def _inner_first(parameters: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Return paths and values, those of an option before the choice of it, which replaces all options by that one."""
    return sorted(parameters.items(), key=lambda pair: -pair[0].count("."))


def arguments_of(description: Mapping[str, Any]) -> dict[str, tuple[str, bool]]:
    """Return every argument of the described space by path: its domain or value, and whether it is searched."""
    return {path: _argument(value) for path, value in description["arguments"].items()}


def settings_of(description: Mapping[str, Any]) -> dict[str, str]:
    """Return the parts of a sweep beside its space, as text; what the description leaves out has its default."""
    defaults = {"sampler": "TPE (the default)", "pruner": "the default"}
    metrics = [description["metric"], *description.get("other_metrics", [])]
    kept = ("data", "validation", "model", "optimizer", "training")
    further = ("sampler", "pruner", "early_stopping", "constraint", "enqueue")
    shown = {name: _text(description[name]) for name in kept} | {"metric": ", ".join(map(_text, metrics))}
    for name in further:
        if name in description or name in defaults:
            shown[name.replace("_", " ")] = _text(description[name]) if name in description else defaults[name]
    return shown


def code_changes_of(manifest: SweepManifest) -> list[str]:
    """Return each change of the code since the sweep was started, as text."""
    return [f"{_when(change['ended'])}: {', '.join(change['names'])}" for change in manifest.code_changes]


def _when(ended: int | None) -> str:
    """Return the moment at which so many trials had ended, as text; None where their number was not known."""
    if ended is None:
        return "when it was resumed"
    return f"after {ended} {'trial' if ended == 1 else 'trials'} had ended"


def _argument(value: Any) -> tuple[str, bool]:
    """Return an argument as text, and whether it is searched: a domain is described as Kind(range)."""
    found = re.fullmatch(r"(?:Float|Int|Choice)\((.*)\)( when .*)?", value) if isinstance(value, str) else None
    return (found[1] + (found[2] or ""), True) if found else (_text(value), False)


def _literal(value: Any) -> str:
    """Return the value as --set reads it: a word stands for itself, unless it could be read as something else."""
    if not isinstance(value, str):
        return repr(value)
    try:
        ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return value
    return repr(value)


def _text(value: Any) -> str:
    """Return a part as it would be written, such as KFold(folds=5, seed=0); for arrays, their size."""
    if isinstance(value, Mapping):
        if "sha256" in value:
            return _size_of(value)
        known = {"kind", "name", "goal"} if "goal" in value else {"kind"}  # a metric's kind says the other two
        given = ", ".join(f"{name}={_text(inner)}" for name, inner in value.items() if name not in known)
        return f"{value.get('kind', '')}({given})" if given or "kind" not in value else str(value["kind"])
    return f"({', '.join(map(_text, value))})" if isinstance(value, (list, tuple)) else str(value)


def _size_of(described: Mapping[str, Any]) -> str:
    """Return the size of an array, or of the cells of a pandas frame, as text."""
    if "shape" in described:
        return f"array {tuple(described['shape'])} of {described['dtype']}"
    return f"{described['rows']:,} rows, {len(described['names']):,} columns"
