"""What the command line's words mean: arguments fixed by path, how many trials train fused, and for how long."""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from typing import Any

from searchlab.errors import UserMistake

NUMBER = r"(\d+(?:\.\d+)?)"
DURATION = re.compile(rf"(?:{NUMBER}d)?(?:{NUMBER}h)?(?:{NUMBER}m)?(?:{NUMBER}s?)?")
SIZES = (86_400.0, 3_600.0, 60.0, 1.0)


def values_of(settings: Sequence[str], epochs: int | None = None) -> dict[str, Any]:
    """The values by path of --set and --epochs; raises UserMistake for what is no PATH=VALUE or no number of epochs."""
    if epochs is not None and epochs < 1:
        raise UserMistake(f"--epochs is at least 1, got {epochs}.")
    return dict(_setting(text) for text in settings) | ({"training.epochs": epochs} if epochs else {})


def fuse_of(text: str) -> Any:
    """What --fuse says: "auto" or a number; raises UserMistake for another word."""
    if text == "auto" or text.isdigit():
        return text if text == "auto" else int(text)
    raise UserMistake(f"--fuse is 'auto' or a number of trials, got {text!r}.")


def seconds_of(text: str | None) -> float | None:
    """What --time-budget says, in seconds: 90, 45s, 30m, 2h, 1h30m. Raises UserMistake for anything else."""
    if text is None:
        return None
    found = DURATION.fullmatch(text.strip())
    seconds = sum(float(number or 0) * size for number, size in zip(found.groups(), SIZES, strict=True)) if found else 0
    if not seconds:
        raise UserMistake(f"--time-budget is a time above 0 such as 90, 30m or 1h30m, got {text!r}.")
    return seconds


def _setting(text: str) -> tuple[str, Any]:
    path, equals, value = text.partition("=")
    if not equals or not path:
        raise UserMistake(f"--set takes PATH=VALUE, as in model.hidden=64; got {text!r}.")
    try:
        return path, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return path, value  # a word
