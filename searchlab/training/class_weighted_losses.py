"""The losses of a model that weigh classes: they have the weights only while a training step is made."""

from __future__ import annotations

from collections.abc import Iterable

from searchlab.backend import Array
from searchlab.errors import UserMistake
from searchlab.nn.loss import Loss, losses_of
from searchlab.nn.module import Model


def set_class_weight(losses: Iterable[Loss], weights: Array | None) -> None:
    """Give the losses the weights (R, C) of the classes; None weighs every row alike."""
    for loss in losses:
        loss.class_weight = weights


def class_weighted_losses(model: Model) -> list[Loss]:
    """Return the losses of a model; raise UserMistake where there is none, or one that takes no weights of classes."""
    losses = losses_of(model)
    without = [loss for loss in losses if not loss.takes_class_weight]
    if without or not losses:
        what = f"its loss {type(without[0]).__name__} takes none" if without else "it has no Loss that takes them"
        raise UserMistake(f"class_weight weighs classes in the loss of {type(model).__name__}, and {what}.")
    return losses
