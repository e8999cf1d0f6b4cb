"""Classes with too few rows for a validation scheme: a fold that holds out none of them scores the others alone."""

from __future__ import annotations

import numpy as np

from searchlab.data.class_names import class_word
from searchlab.data.splits import Splittable, Validation
from searchlab.wording import count


def rare_class_warnings(data: Splittable, validation: Validation) -> list[str]:
    """Return a sentence where a fold holds out no row of a class of these training rows, else nothing.

    A metric of classes then scores this fold by the other classes, as if the class did not exist.

    Example:
        >>> import numpy as np
        >>> from searchlab.data import Arrays, KFold
        >>> from searchlab.data.rare_classes import rare_class_warnings
        >>> rows = Arrays(np.ones((50, 1)), np.arange(50) // 48, test_size=0.1).training()
        >>> [text.split(":")[0] for text in rare_class_warnings(rows, KFold(5))]
        ["class '1' has 2 training rows, and 3 of 5 folds hold out none of them"]
    """
    labels = data.labels
    if labels is None or not len(labels):
        return []
    totals = np.bincount(labels)
    held_out = validation.split(data).held_out
    folds = [
        np.bincount(labels[rows[:size]], minlength=len(totals))
        for rows, size in zip(held_out.index, held_out.counts.tolist(), strict=True)
        if size
    ]
    if not folds:
        return []
    is_absent = (np.stack(folds) == 0) & (totals > 0)  # (K, classes)
    return [] if not is_absent.any() else [_sentence(data, totals.tolist(), is_absent.tolist())]


def _sentence(data: Splittable, totals: list[int], is_absent: list[list[bool]]) -> str:
    """Return what is wrong with the rarest class that a fold lacks, and what follows for the scores."""
    classes = {label for fold in is_absent for label, absent in enumerate(fold) if absent}
    rarest = min(classes, key=lambda label: (totals[label], label))
    lacking = sum(fold[rarest] for fold in is_absent)
    more = f" ({count(len(classes) - 1, 'more class')} likewise)" if len(classes) > 1 else ""
    return (
        f"class {class_word(data, rarest)} has {count(totals[rarest], 'training row')}, and {lacking} of "
        f"{count(len(is_absent), 'fold')} {'holds' if lacking == 1 else 'hold'} out none of them{more}: scores there, "
        "the baseline's too, say nothing about the class, and the test rows may have none; add rows of it"
    )
