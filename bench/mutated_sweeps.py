"""How mistakes in a sweep are met: every argument takes every wrong kind of value, and every outcome is counted.

A mutation is handled well where it is refused in one sentence before anything is written, or where its trials train.
It is handled badly where anything but a UserMistake is raised, or where it is accepted and a trial fails by an
exception.

    python -m bench.mutated_sweeps
"""

from __future__ import annotations

import argparse
import tempfile
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from typing import Any

import numpy as np

from models.mlp import MLP
from searchlab import (
    SGD,
    Accuracy,
    Adam,
    AdamW,
    Budget,
    Choice,
    EarlyStopping,
    Float,
    Halving,
    Int,
    KFold,
    Momentum,
    Plateau,
    Random,
    Space,
    Spiral,
    Sweep,
    Trainer,
)
from searchlab.errors import UserMistake

VALUES = [
    0, -1, 1, 1.5, -0.5, 1e30, float("nan"), float("inf"), True, None, "x", "", (), (1, 2), [3], {}, object,
    np.int64(4), np.float32(0.5), np.bool_(True), np.arange(3), Choice(1, "x"), Choice(0, 2), Int(-1, 3),
    Float(-1.0, 2.0),
]  # fmt: skip


def base_sweep() -> Sweep:
    """Return a small sweep in which every argument below is given."""
    schedule = Space(Plateau, factor=0.5, patience=1, threshold=0.0, warmup=0.0)
    return Sweep(
        name="mutated",
        data=Spiral(points=20),
        validation=KFold(2),
        metric=Accuracy(),
        model=Space(MLP, hidden=8, dropout=0.1),
        optimizer=Choice(
            Space(SGD, lr=0.1),
            Space(Momentum, lr=0.1, momentum=0.9),
            Space(Adam, lr=0.01, beta1=0.9, beta2=0.99, epsilon=1e-7),
            Space(AdamW, lr=0.01, weight_decay=0.01),
        ),
        training=Space(Trainer, batch_size=10, epochs=2, clip_norm=1.0, l2=0.0, schedule=schedule),
        trials=4,
        sampler=Random(),
        early_stopping=EarlyStopping(patience=2),
        pruner=Halving(),
        budget=Budget(epochs=1000, patience=100),
    )


def mutations(sweep: Sweep) -> Iterator[tuple[str, Any]]:
    """Yield the path of every argument of the sweep with every value."""
    paths = [path for path, _, _ in sweep.iter_arguments()]
    for part in ("data", "validation", "metric", "sampler", "early_stopping", "pruner", "budget", "resources"):
        owner = getattr(sweep, part)
        paths += [f"{part}.{field.name}" for field in fields(owner)] if is_dataclass(owner) else []
    paths += [field.name for field in fields(sweep)]
    for path in paths:
        for value in VALUES:
            yield path, value


def mutate(sweep: Sweep, path: str, value: Any) -> Sweep:
    """Return the sweep with one argument changed, as a sweep file would have it."""
    if "." not in path and path != "optimizer":
        return replace(sweep, **{path: value})
    return sweep.with_values({path: value})


def outcome(sweep: Sweep, path: str, value: Any, home: str) -> tuple[str, str]:
    """Return how a mutation is met, and what was said."""
    try:
        result = mutate(sweep, path, value).run(engine="local", tracking=None, home=home, trials=4)
    except UserMistake as mistake:
        text = str(mistake)
        return ("refused" if "\n" not in text else "bad: several lines"), text
    except Exception as error:
        return f"bad: {type(error).__name__}", str(error).splitlines()[0] if str(error) else ""
    raised = [trial.reason for trial in result.trials if trial.traceback]
    return ("bad: a trial failed", str(raised[0])) if raised else ("trained", "")


def main() -> None:
    """Try every mutation, and print the counts and what was handled badly."""
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    counts, sweep = Counter[str](), base_sweep()
    warnings.simplefilter("ignore")
    for path, value in mutations(sweep):
        with tempfile.TemporaryDirectory() as home:
            kind, text = outcome(sweep, path, value, home)
        counts[kind.partition(":")[0]] += 1
        if kind.startswith("bad"):
            print(f"{path}={value!r}: {kind}: {text}")
    print(f"{sum(counts.values()):,} mutations: {dict(counts)}")


if __name__ == "__main__":
    main()
