"""What was asked for when a sweep was begun, in words: its parts, its space, and the command that asks for it again."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Mapping
from typing import Any

from searchlab.runs.config import RunConfig


def command_of(order: RunConfig) -> str:
    """The command, or the call in Python, that asks for the same; addresses of servers are not part of it."""
    if order.spec is None:
        names = ("trials", "seed", "workers", "device", "fuse", "engine", "memory", "warm_start", "values")
        given = {name: getattr(order, name) for name in names}
        given = {name: value for name, value in given.items() if value not in (None, {})}
        given |= {"reproducible": True} if order.generation else {}
        return f"sweep.run({', '.join(f'{name}={value!r}' for name, value in given.items())})"
    words = ["searchlab", "run", order.spec, "--trials", order.trials, "--seed", order.seed]
    words += ["--workers", order.workers] if order.workers else []
    words += ["--device", order.device, "--fuse", order.fuse, "--engine", order.engine]
    words += ["--ship-data"] if order.ship_data else []
    words += ["--memory", order.memory] if order.memory is not None else []
    words += ["--reproducible"] if order.generation else []
    words += ["--warm-start", order.warm_start] if order.warm_start else []
    for path, value in order.values.items():
        words += ["--set", f"{path}={_literal(value)}"]
    return shlex.join(str(word) for word in words)


def arguments_of(description: Mapping[str, Any]) -> dict[str, tuple[str, bool]]:
    """Every argument of the described space by path: its domain or value, and whether it is open."""
    return {path: _argument(value) for path, value in description["arguments"].items()}


def settings_of(description: Mapping[str, Any]) -> dict[str, str]:
    """What was asked for beside the space; what is not described is the default."""
    defaults = {"sampler": "TPE (the default)", "pruner": "the default"}
    metrics = [description["metric"], *description.get("other_metrics", [])]
    kept = ("data", "validation", "model", "optimizer", "training")
    further = ("sampler", "pruner", "early_stopping", "constraint", "enqueue")
    told = {name: _told(description[name]) for name in kept} | {"metric": ", ".join(map(_told, metrics))}
    for name in further:
        if name in description or name in defaults:
            told[name.replace("_", " ")] = _told(description[name]) if name in description else defaults[name]
    return told


def _argument(value: Any) -> tuple[str, bool]:
    """An argument as the sweep describes it, in words, and whether it is open: a domain is kept as Kind(range)."""
    found = re.fullmatch(r"(?:Float|Int|Choice)\((.*)\)( when .*)?", value) if isinstance(value, str) else None
    return (found[1] + (found[2] or ""), True) if found else (_told(value), False)


def _literal(value: Any) -> str:
    """The value as --set reads it: a word stands for itself, unless it could be read as something else."""
    if not isinstance(value, str):
        return repr(value)
    try:
        ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return value
    return repr(value)


def _told(value: Any) -> str:
    """A described part as it would be written: KFold(folds=5, seed=0); of an array, its shape."""
    if isinstance(value, Mapping):
        if "sha256" in value:
            return f"array {tuple(value['shape'])} of {value['dtype']}"
        known = {"kind", "name", "goal"} if "goal" in value else {"kind"}  # a metric's kind says the other two
        given = ", ".join(f"{name}={_told(held)}" for name, held in value.items() if name not in known)
        return f"{value.get('kind', '')}({given})" if given or "kind" not in value else str(value["kind"])
    return f"({', '.join(map(_told, value))})" if isinstance(value, (list, tuple)) else str(value)
