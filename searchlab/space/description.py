"""The description of a sweep: what is searched, as JSON values that its fingerprint is made of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from searchlab.pruning.default_pruner import default_pruner
from searchlab.space.domains import option_label
from searchlab.space.fingerprint import to_json_value
from searchlab.space.initial_points import enqueued_points
from searchlab.space.samplers import TPE
from searchlab.space.space import Space

if TYPE_CHECKING:
    from searchlab.space.sweep import Sweep


def describe_sweep(sweep: Sweep) -> dict[str, Any]:
    """Return what a sweep searches, as JSON values: sweeps with equal descriptions search the same space."""
    arguments = {path: to_json_value(value) for path, value, _ in sweep.iter_arguments()}
    spaces = {part: getattr(sweep, part) for part in sweep.parts}
    targets = {part: option_label(space) if isinstance(space, Space) else str(space) for part, space in spaces.items()}
    parts = {name: to_json_value(getattr(sweep, name)) for name in ("data", "validation")}
    parts["metric"] = to_json_value(sweep.primary_metric)
    default = default_pruner(len(sweep.metrics))
    # only what differs from the default: a new argument of Sweep does not change the fingerprint of older sweeps
    search: dict[str, Any] = {"sampler": sweep.sampler} if sweep.sampler != TPE() else {}
    search |= {"early_stopping": sweep.early_stopping} if sweep.early_stopping else {}
    search |= {"pruner": sweep.effective_pruner} if sweep.effective_pruner != default else {}
    search |= {"constraint": sweep.constraint} if sweep.constraint else {}
    search |= {"enqueue": [sorted(point.items()) for point in enqueued_points(sweep)]} if sweep.enqueue else {}
    search |= {"other_metrics": sweep.metrics[1:]} if len(sweep.metrics) > 1 else {}
    return {**parts, **targets, "arguments": arguments, **{k: to_json_value(v) for k, v in search.items()}}
