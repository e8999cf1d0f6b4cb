"""Parameters of the branches of a choice under one name, so that MLflow can show them in one column.

The learning rate of a sweep with several optimizers is `optimizer.SGD.lr` in one trial and `optimizer.Adam.lr` in
another; as `optimizer.lr` it is one column, and one axis of a chart.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from searchlab.runs.events import Scalar

SEPARATOR = " | "  # of the values of a choice, in the description of a sweep


def joint_parameters(parameters: Mapping[str, Scalar]) -> dict[str, Scalar]:
    """Return the parameters of a trial that belong to a branch of a choice, by their path without the branch.

    Args:
        parameters: Suggested values by path, such as {"optimizer": "Adam", "optimizer.Adam.lr": 0.1}.

    Returns:
        The values by joint path, such as {"optimizer.lr": 0.1}; a path that is a parameter's own is left out.
    """
    branches = {path: [str(value)] for path, value in parameters.items()}
    joint = {_without_branches(path, branches): value for path, value in parameters.items()}
    return {path: value for path, value in joint.items() if path not in parameters}


def joint_paths(searched: Mapping[str, str]) -> dict[str, bool]:
    """Return the paths of all searched parameters, those of branches joined, and whether every trial has a value.

    Args:
        searched: What is searched, as text by path, such as {"optimizer": "SGD | Adam", "model.hidden": "8 to 64"}.
    """
    branches = {path: text.partition(" when ")[0].split(SEPARATOR) for path, text in searched.items()}
    found: dict[str, list[str]] = {}
    for path in searched:
        found.setdefault(_without_branches(path, branches), []).append(path)
    return {joint: _is_always_there(joint, paths, searched, branches) for joint, paths in found.items()}


def _without_branches(path: str, branches: Mapping[str, list[str]]) -> str:
    """Return the path without the parts that name a branch of a choice."""
    parts = path.split(".")
    kept = [part for i, part in enumerate(parts) if part not in branches.get(".".join(parts[:i]), ())]
    return ".".join(kept)


def _is_always_there(
    joint: str, paths: list[str], searched: Mapping[str, str], branches: Mapping[str, list[str]]
) -> bool:
    if any(" when " in searched[path] for path in paths):
        return False
    if paths == [joint]:
        return True
    choices = Counter(path.rpartition(".")[0].rpartition(".")[0] for path in paths)  # "optimizer" of optimizer.SGD.lr
    choice, count = choices.most_common(1)[0]
    return len(choices) == 1 and " when " not in searched.get(choice, " when ") and count == len(branches[choice])
