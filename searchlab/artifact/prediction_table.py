"""The predictions of an artifact as a table: what `searchlab predict` prints and a served model answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from searchlab.artifact.loaded import Artifact
from searchlab.errors import UserMistake


def prediction_table(saved: Artifact, x: Any, *, probabilities: bool = False) -> tuple[list[str], list[list[Any]]]:
    """Return the header and the rows of a table of predictions, a row for each input.

    Of a classifier, the columns are the predicted class and its probability, or the class and the probability of every
    class. It is the likeliest class, or of two classes by the threshold of the artifact. Of a regression, they are the
    targets.

    Args:
        saved: The artifact, of rows.
        x: Inputs, as `Artifact.predict` takes them.
        probabilities: Whether to return the probability of every class; default False.

    Raises:
        UserMistake: When the inputs are not what the artifact takes, or it has no classes and `probabilities` is set.
    """
    targets = saved.manifest.get("targets") or {}
    if targets.get("kind") != "classes":
        if probabilities:
            raise UserMistake("probabilities need a network that classifies, and this one predicts numbers.")
        values = saved.predict(x)
        return target_names(targets, values.shape[1]), values.tolist()
    shares = saved.probabilities(x)
    names: Sequence[Any] = saved.class_names or list(range(shares.shape[1]))
    classes = saved.decide(shares).tolist()
    if probabilities:
        rows = [[names[c], *row] for c, row in zip(classes, shares.tolist(), strict=True)]
        return ["class", *map(str, names)], rows
    return ["class", "probability"], [[names[c], row[c]] for c, row in zip(classes, shares.tolist(), strict=True)]


def target_names(targets: dict[str, Any], count: int) -> list[str]:
    """Return the names of so many predicted numbers: those of the manifest, or numbered ones."""
    if targets.get("names"):
        return list(targets["names"])
    return ["prediction"] if count == 1 else [f"prediction_{number}" for number in range(count)]
