"""The names of metrics: what the record derives from them must be distinct, and accepted by MLflow."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence

from searchlab.errors import UserMistake

MLFLOW_LENGTH = 250  # the longest name that MLflow takes
MAX_LENGTH = 200  # of the name of a metric, to which the record appends
OWN_KEYS = frozenset({"loss", "seconds", "epoch_of_best"})  # what the record holds besides the metrics
FOLD = re.compile(r"^(folds/.*)_\d+$")


def record_key(name: str) -> str:
    """Return a name as MLflow accepts it: other characters than letters, digits and `_-. :/` become `_`."""
    return re.sub(r"[^\w\-. :/]", "_", name)[:MLFLOW_LENGTH]


def record_keys(name: str) -> set[str]:
    """Return the names under which the record holds a metric; those of its folds all count as `folds/NAME_0`."""
    key = record_key(name)
    of_winner = {f"{word}_{key}" for word in ("best", "reseeded", "baseline", "test")}
    return {key, f"folds/{key}_std", f"folds/{key}_0", *of_winner, f"test_{key}_float16"}


def validate_metric_names(names: Sequence[str]) -> None:
    """Raise UserMistake for a name that MLflow refuses, and for two names that the record would mix up."""
    holders = dict.fromkeys(OWN_KEYS, "the record itself")
    for name in names:
        if not isinstance(name, str) or not name.strip() or len(name) > MAX_LENGTH:
            raise UserMistake(f"the name of a metric is a text of 1 to {MAX_LENGTH} characters, got {name!r}.")
        if posixpath.normpath(name) != name or name.startswith(("/", "..")) or name == ".":
            raise UserMistake(f"the name of a metric cannot be a path with '//', '..' or an outer '/': {name!r}.")
        for key in sorted(record_keys(name)):
            comparable = FOLD.sub(r"\1_0", key)
            if comparable in holders:
                raise UserMistake(
                    f"the metric {name!r} is recorded as {key!r}, which is also a name of {holders[comparable]}; "
                    "give the metric another name."
                )
        holders |= dict.fromkeys((FOLD.sub(r"\1_0", key) for key in record_keys(name)), f"the metric {name!r}")
